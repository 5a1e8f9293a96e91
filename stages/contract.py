"""Stage `contract`: what the chosen base's tokenizer makes of every prepared row, proved before anything trains.

Reads `models/base` (tokenizer, chat template) and every file of `data/prepared`. Writes `metrics/contract/`:
`summary.json` (lengths in tokens per file and field, tokens per word, what holds), `dropped.jsonl` (each row that is
too long for the profile's `max_tokens`, by file, line, id, tokens and limit) and `lengths/<kind>.json` (the tokens of
each training row that fits, by id: what `train` may see, and how it groups rows of like length).

For 100 % of the rows: the prompt is a strict prefix, the last trained token is the stop token, the padding token is
not the stop token, and an answer that two files share has the same ids in both. A row that does not fit is dropped
whole: cutting it would remove the stop token. A pair is dropped with both of its unpaired rows, so that every
method still trains on the same content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from stages.bases.loading import load_tokenizer
from stages.bases.tokens import Encoded, encode, sides, stop_token_id
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, read_jsonl, replaced_folder, write_json, write_jsonl
from stages.core.params import load_params
from stages.core.paths import SPLITS
from stages.core.quantiles import quantiles

TRAINED_KINDS = ("sft", "pairs", "unpaired")


def encode_file(tokenizer: PreTrainedTokenizerBase, path: Path, rows: Sequence[Row]) -> list[dict[str, Encoded]]:
    """The answers of every row by field; raises PipelineError naming file, line and id where the contract breaks."""
    encoded = []
    for line, row in enumerate(tqdm(rows, desc=f"contract {path}", unit="row", leave=False), start=1):
        try:
            encoded.append({field: encode(tokenizer, row["prompt"], answer) for field, answer in sides(row)})
        except PipelineError as error:
            raise PipelineError(f"{path}:{line} ({row['id']}): {error}") from None
    return encoded


def check_stop(tokenizer: PreTrainedTokenizerBase, path: Path, encoded: Iterable[dict[str, Encoded]]) -> None:
    """Every answer ends with the stop token and holds it once."""
    stop = stop_token_id(tokenizer)
    for line, row in enumerate(encoded, start=1):
        for field, answer in row.items():
            if answer.completion_ids[-1] != stop or answer.completion_ids.count(stop) != 1:
                raise PipelineError(f"{path}:{line}: field {field!r} does not end with the one stop token {stop}")


def too_long(path: Path, rows: Sequence[Row], encoded: Sequence[dict[str, Encoded]], limit: int) -> list[Row]:
    """The rows of which one answer does not fit, as dropped.jsonl records them."""
    return [
        {
            "file": str(path),
            "line": line,
            "id": row["id"],
            "pair": row.get("pair", row["id"]),
            "tokens": max(answer.length for answer in answers.values()),
            "limit": limit,
            "reason": "prompt and answer exceed max_tokens",
        }
        for line, (row, answers) in enumerate(zip(rows, encoded, strict=True), start=1)
        if max(answer.length for answer in answers.values()) > limit
    ]


def check_shared(
    pairs: Sequence[Row],
    paired: Sequence[dict[str, Encoded]],
    singles: Sequence[Row],
    single: Sequence[dict[str, Encoded]],
) -> int:
    """An unpaired row made of a pair has the very ids of its side; returns the number of rows compared."""
    by_id = {row["id"]: answers for row, answers in zip(pairs, paired, strict=True)}
    compared = 0
    for row, answers in zip(singles, single, strict=True):
        if "pair" not in row:
            continue  # binary feedback of the user's own
        compared += 1
        side = "chosen" if row["label"] else "rejected"
        if answers["completion"] != by_id[row["pair"]][side]:
            raise PipelineError(
                f"{row['id']}: trained ids differ between the pair and its unpaired row; run `dvc repro`"
            )
    return compared


def kept_lengths(rows: Sequence[Row], encoded: Sequence[dict[str, Encoded]], dropped: Iterable[Row]) -> dict[str, int]:
    """Tokens of the longest answer, prompt included, of every row that was not dropped, by id."""
    gone = {row["id"] for row in dropped}
    return {
        row["id"]: max(answer.length for answer in answers.values())
        for row, answers in zip(rows, encoded, strict=True)
        if row["id"] not in gone
    }


def length_summary(encoded: Sequence[dict[str, Encoded]], rows: Sequence[Row]) -> Row:
    """Lengths in tokens by field, and tokens per word of the answers."""
    summary: Row = {}
    for field in encoded[0]:
        lengths = [row[field].length for row in encoded]
        answer_tokens = sum(len(row[field].completion_ids) - 1 for row in encoded)
        words = sum(len(row[field][0]["content"].split()) for row in rows)
        found = quantiles(lengths)
        summary[field] = {
            "rows": len(lengths),
            "median_tokens": found["median"],
            "p95_tokens": found["p95"],
            "max_tokens": found["max"],
            "trained_tokens": sum(len(row[field].completion_ids) for row in encoded),
            "tokens_per_word": answer_tokens / words,
        }
    return summary


def main() -> None:
    limit = load_params().active.max_tokens
    tokenizer = load_tokenizer()
    lengths: Row = {}
    dropped: list[Row] = []
    compared = 0
    for split in SPLITS:
        rows = {kind: read_jsonl(paths.prepared_split(kind, split)) for kind in TRAINED_KINDS}
        encoded = {
            kind: encode_file(tokenizer, paths.prepared_split(kind, split), rows[kind]) for kind in TRAINED_KINDS
        }
        for kind in TRAINED_KINDS:
            path = paths.prepared_split(kind, split)
            if not rows[kind]:
                if split == "test":
                    raise PipelineError(
                        f"{path} holds no rows: add rows to {paths.RAW}, or change data.seed in params.yaml"
                    )
                continue  # data of the user's own: `prepare` has named the models that cannot train without
            check_stop(tokenizer, path, encoded[kind])
            dropped += too_long(path, rows[kind], encoded[kind], limit)
            lengths[f"{kind}/{split}"] = length_summary(encoded[kind], rows[kind])
        compared += check_shared(rows["pairs"], encoded["pairs"], rows["unpaired"], encoded["unpaired"])
        gone = {row["pair"] for row in dropped if row["file"] == str(paths.prepared_split("pairs", split))}
        named = {row["id"] for row in dropped}
        path = paths.prepared_split("unpaired", split)
        for line, row in enumerate(rows["unpaired"], start=1):
            if row.get("pair") in gone and row["id"] not in named:
                dropped.append(
                    {
                        "file": str(path),
                        "line": line,
                        "id": row["id"],
                        "pair": row["pair"],
                        "reason": "its pair was dropped",
                    }
                )
        if split == "train":
            trained = {kind: kept_lengths(rows[kind], encoded[kind], dropped) for kind in TRAINED_KINDS}
    stop = stop_token_id(tokenizer)
    with replaced_folder(paths.CONTRACT) as folder:
        write_jsonl(folder / paths.CONTRACT_DROPPED.name, dropped)
        for kind, tokens in trained.items():
            write_json(folder / "lengths" / f"{kind}.json", tokens)
        write_json(
            folder / paths.CONTRACT_SUMMARY.name,
            {
                "stop_token": tokenizer.convert_ids_to_tokens(stop),
                "pad_token": tokenizer.pad_token,
                "limits_tokens": dict.fromkeys(TRAINED_KINDS, limit),
                "lengths": lengths,
                "dropped_rows": len(dropped),
                "unpaired_rows_equal_to_their_pair": compared,
                "rows_with_strict_prefix_and_stop_token": sum(
                    file[next(iter(file))]["rows"] for file in lengths.values()
                ),
            },
        )
    print(f"contract: holds for {sum(map(len, lengths.values()))} fields; {len(dropped)} rows dropped by length")


if __name__ == "__main__":
    run_stage(main, __doc__)
