"""Stage `prepare`: from the reviewed rows of `data/raw` to everything that training and evaluation read.

Reads `data/raw` (countries, verifiable skill rows, hand-written instructions and preference pairs, evaluation sets)
and the sources that params.yaml names. Writes `data/prepared/` (the pretraining corpus; sft, pairs and unpaired rows
in three splits; multiple-choice questions; generation prompts to test on and, from the validation split, to tune on;
safety, culture and dialect sets; `dropped.jsonl` with every dropped row, its file, line and reason),
`metrics/data.json` (counts) and `metrics/data.md` (the same to read).

No entity, number or near-copy stands on both sides of the split. The corpus may speak of a held-out country in
prose, never as a question (it asks what training rows ask); a held-out number stands in it nowhere. Nothing here
knows a tokenizer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from stages.arabic.numbers import YEARS, spell
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, replaced_folder, write_json, write_jsonl, write_text
from stages.core.params import Data, Flaws, Params, load_params
from stages.core.paths import SPLITS
from stages.core.quantiles import quantiles
from stages.corpus.documents import documents
from stages.rows import prepared_rows
from stages.rows.conventions import equal_length
from stages.rows.data_page import data_page
from stages.rows.decontamination import EvaluationIndex
from stages.rows.raw import Raw, drop_duplicates, drop_record, read_file, read_folder
from stages.rows.row_policy import Tally, said_by, screen, text_key, texts_of
from stages.rows.split import Mentions, held_out, numbers_in, overlap, split_rows
from stages.rows.user_mixture import Mixture

KINDS_IN_WORDS = {
    "sft": "answers (prompt, completion)",
    "pairs": "pairs (prompt, chosen, rejected)",
    "unpaired": "feedback (prompt, completion, label)",
}
CORPUS_NUMBERS_PER_LENGTH = 1500  # integers drawn of each length, four to six digits; their neighbours come on top


def read_raw() -> tuple[list[Row], list[Raw]]:
    """The countries, and every row that is split, in a fixed order."""
    countries = [raw.row for raw in read_file(paths.COUNTRIES, "countries")]
    folders = ((paths.SKILLS, "skills"), (paths.INSTRUCTIONS, "instructions"), (paths.RAW_PAIRS, "pairs"))
    raws = [raw for folder, kind in folders for raw in read_folder(folder, kind)]
    if not raws:
        raise PipelineError(f"{paths.RAW} holds no rows: restore it with `git checkout -- {paths.RAW}` or add your own")
    return countries, raws


def read_evaluation() -> dict[str, list[Row]]:
    """The hand-written sets that nothing trains on, as they are scored; an absent file is an empty set."""
    sets = {}
    for name, kind, convert in (
        ("safety", "safety", prepared_rows.safety_rows),
        ("culture", "questions", prepared_rows.question_rows),
        ("dialect", "questions", prepared_rows.question_rows),
    ):
        file = paths.RAW_EVALUATION / f"{name}.jsonl"
        rows, duplicates = drop_duplicates(read_file(file, kind) if file.exists() else [])
        if duplicates:
            raise PipelineError(f"{file}:{duplicates[0]['line']}: {duplicates[0]['reason']}: remove one of the two")
        sets[name] = convert(rows)
    return sets


def drop_unfair(splits: dict[str, list[Raw]]) -> tuple[dict[str, list[Raw]], list[Row]]:
    """A wording that is kept for the test may not be trained: such rows of the other splits are dropped by name."""
    dropped = [
        drop_record(raw, "a wording kept for the test, of an entity that trains")
        for split in ("train", "validation")
        for raw in splits[split]
        if raw.row.get("held_out_wording")
    ]
    kept = {
        split: [raw for raw in raws if split == "test" or not raw.row.get("held_out_wording")]
        for split, raws in splits.items()
    }
    return kept, dropped


def corpus_numbers(forbidden: set[int], seed: int) -> list[int]:
    """The integers that the corpus may spell, as short as those that are asked for.

    A uniform draw would be nine tenths six-digit numbers. A third of the draw brings its successor along, and the
    round thousands are in, since statements of successors and of unit conversions need them.
    """
    generator = random.Random(f"{seed}:corpus")
    drawn = [
        number
        for digits in (4, 5, 6)
        for number in generator.sample(range(10 ** (digits - 1), 10**digits), CORPUS_NUMBERS_PER_LENGTH)
    ]
    wanted = {*drawn, *(number + 1 for number in drawn[::3]), *range(1000, 100_000, 1000)}
    return sorted(number for number in wanted if number not in forbidden and number not in YEARS and number < 10**6)


def corpus_lines(
    countries: list[Row], train: Sequence[Raw], key_sides: dict[str, str], seed: int
) -> tuple[list[str], int]:
    """The pretraining text, and how many documents were left out because they held a held-out number."""
    forbidden = {int(key.split(":")[1]) for key in held_out(key_sides, "number:")}
    instructions, exercises = ([raw.row for raw in train if raw.kind == kind] for kind in ("instructions", "skills"))
    lines = list(documents(countries, corpus_numbers(forbidden, seed), instructions, seed, exercises))
    kept = [line for line in lines if not numbers_in(line) & forbidden]
    return kept, len(lines) - len(kept)


def prepare_kinds(
    splits: dict[str, list[Raw]], data: Data, mentions: Mentions, key_sides: dict[str, str]
) -> dict[str, list[Row]]:
    """Every prepared file's rows, by its path below data/prepared without the suffix."""
    hidden = held_out(key_sides, "country:")
    hidden_numbers = {int(key.split(":")[1]) for key in held_out(key_sides, "number:")}
    hidden_words = {spell(number) for number in hidden_numbers}

    def may_train(wrong: Row) -> bool:
        text = wrong["completion"]
        shown = mentions.of(text) & hidden or numbers_in(text) & hidden_numbers or wrong["answer"] in hidden_words
        return not shown

    prepared: dict[str, list[Row]] = {}
    for split in SPLITS:
        answers = [raw for raw in splits[split] if raw.kind != "pairs"]
        clean = split == "test"
        flaws = Flaws(hedging=0.0, repetition=0.0) if clean else data.flaws
        prepared[f"sft/{split}"] = prepared_rows.sft_rows(answers, flaws, data.seed)
        prepared[f"pairs/{split}"] = (
            prepared_rows.pair_rows(splits[split], data.pairs_per_skill_row, data.seed)
            if clean
            else prepared_rows.pair_rows(splits[split], data.pairs_per_skill_row, data.seed, may_train)
        )
        bad_share = 1.0 if clean else data.unpaired_bad_share
        prepared[f"unpaired/{split}"] = prepared_rows.unpaired_rows(prepared[f"pairs/{split}"], bad_share, data.seed)
    skills = {split: [raw for raw in splits[split] if raw.kind == "skills"] for split in SPLITS}
    open_ended = {split: [raw for raw in splits[split] if raw.kind == "instructions"] for split in SPLITS}
    prepared["mcq"] = prepared_rows.mcq_rows(skills["test"], data.mcq_questions, data.seed)
    for name, split in (("generation", "test"), ("tuning", "validation")):
        prepared[name] = prepared_rows.generation_rows(
            skills[split], open_ended[split], data.generation_prompts, data.seed
        )
    return prepared


def describe(prepared: dict[str, list[Row]], raws: Iterable[Raw], dropped: list[Row], key_sides: dict[str, str]) -> Row:
    """The counts of metrics/data.json; corpus figures are added by the caller."""
    counts: Row = {name: len(rows) for name, rows in prepared.items() if "/" not in name}
    equal = [row for row in prepared["pairs/test"] if equal_length(row)]
    for kind in ("sft", "pairs", "unpaired"):
        counts[kind] = {split: len(prepared[f"{kind}/{split}"]) for split in SPLITS}
    words = {
        f"{kind}_{field}": quantiles([len(row[field][0]["content"].split()) for row in prepared[f"{kind}/train"]])
        for kind, field in (("sft", "prompt"), ("sft", "completion"), ("pairs", "chosen"), ("pairs", "rejected"))
    }
    keys = Counter(f"{key.split(':')[0]}/{side}" for key, side in key_sides.items())
    return {
        "raw": {file: {"rows": n} for file, n in Counter(str(raw.file) for raw in raws).items()},
        "prepared": counts,
        "by_topic": dict(Counter(row["topic"] for row in prepared["sft/train"])),
        "flaws": dict(Counter(row["flaw"] or "none" for row in prepared["sft/train"])),
        "axes": {split: dict(Counter(row["axis"] for row in prepared[f"pairs/{split}"])) for split in SPLITS},
        "equal_length_test_pairs": dict(Counter(row["axis"] for row in equal)),
        "words": words,
        "keys": dict(keys),
        "held_out": {prefix: len(held_out(key_sides, f"{prefix}:")) for prefix in ("country", "number")},
        "overlap": {"test_prompts_in_train": overlap(prepared["sft/train"], prepared["sft/test"])},
        "dropped": dropped,
        "dropped_by_reason": dict(Counter(row["reason"].split(" data/")[0] for row in dropped)),
    }


def screen_all(prepared: dict[str, list[Row]], data: Data, tally: Tally) -> tuple[dict[str, list[Row]], list[Row]]:
    """The checks on every answer of ours; a pair that is dropped takes its unpaired rows along."""
    kept: dict[str, list[Row]] = {}
    dropped: list[Row] = []
    for name, rows in prepared.items():
        if "/" not in name or name.startswith("unpaired"):
            continue
        screened = [screen(row, f"{row['source']} ({name})", data, tally) for row in rows]
        kept[name] = [row for row, _ in screened if row is not None]
        dropped += [record for _, record in screened if record is not None]
    for split in SPLITS:
        pairs = {row["id"]: row for row in kept[f"pairs/{split}"]}
        kept[f"unpaired/{split}"] = [
            row | {"prompt": pair["prompt"], "completion": pair["chosen" if row["label"] else "rejected"]}
            for row in prepared[f"unpaired/{split}"]
            if (pair := pairs.get(row["pair"])) is not None
        ]
    return prepared | kept, dropped


def evaluation_index(prepared: dict[str, list[Row]]) -> EvaluationIndex:
    """What no source may repeat: the questions of every evaluation set, and the answers of the hand-written ones."""
    prompts = prepared["generation"] + prepared["tuning"]
    asked = [row["prompt"][-1]["content"] for row in prompts]
    asked += [row["question"] for name in ("mcq", "culture", "dialect") for row in prepared[name]]
    written = [row["references"][0] for row in prompts if row["task"] == "open"]
    return EvaluationIndex([*asked, *written, *(text for row in prepared["safety"] for text in texts_of(row))])


def known_texts(prepared: dict[str, list[Row]]) -> set[int]:
    trained = (rows for name, rows in prepared.items() if name.startswith(("sft", "pairs")))
    return {text_key(said_by(row)) for rows in trained for row in rows}


def check_trainable(params: Params, counts: Mapping[str, int]) -> None:
    """Raise PipelineError for models of params.yaml whose data, or whose start's data, hold no rows to train on."""
    lacking: dict[str, list[str]] = {}
    for model in params.models[1:]:
        empty = [kind for kind in kinds_behind(params, model) if not counts.get(kind)]
        if empty:
            lacking.setdefault(empty[0], []).append(model)
    if lacking:
        gaps = " and ".join(f"no {KINDS_IN_WORDS[kind]} for {', '.join(models)}" for kind, models in lacking.items())
        raise PipelineError(
            f"data.sources leave {gaps} to train on: add a source of that kind or set data.shipped: true, or remove "
            "these from `models` in params.yaml and run `dvc repro evaluate@<model>` for each that stays"
        )


def kinds_behind(params: Params, model: str) -> list[str]:
    """The kinds of rows that a model is trained on, its own first and then its start's."""
    found: list[str] = []
    while model in params.train:
        found.append(params.train[model].data)
        model = params.train[model].init.removeprefix("models/")
    return found


def main() -> None:
    params = load_params()
    data = params.data
    countries, raws = read_raw()
    unique, duplicates = drop_duplicates(raws)
    mentions = Mentions(countries)
    splits, key_sides = split_rows(unique, mentions, data.seed, data.validation_share, data.test_share)
    splits, unfair = drop_unfair(splits)
    tally = Tally()
    prepared, flagged = screen_all(prepare_kinds(splits, data, mentions, key_sides), data, tally)
    prepared |= read_evaluation()
    lines, left_out = corpus_lines(countries, splits["train"], key_sides, data.seed)
    if not data.shipped:
        prepared |= {name: [] for name in prepared if name.endswith(("/train", "/validation"))}
    summary = describe(prepared, raws, duplicates + unfair, key_sides)
    text = "\n".join(lines) + "\n"
    summary["prepared"]["corpus"] = {
        "documents": len(lines),
        "documents_left_out_for_a_held_out_number": left_out,
        "bytes": len(text.encode()),
    }
    with replaced_folder(paths.PREPARED) as folder:
        for name, rows in prepared.items():
            write_jsonl(folder / f"{name}.jsonl", rows)
        write_jsonl(folder / "dropped.jsonl", [*duplicates, *unfair, *flagged])
        write_text(folder / "corpus.txt", text)
        with Mixture(folder, data, evaluation_index(prepared), known_texts(prepared), tally) as mixture:
            for source in data.sources:
                mixture.add(source)
        check_trainable(
            params, {kind: len(prepared[f"{kind}/train"]) + mixture.rows[f"{kind}/train"] for kind in KINDS_IN_WORDS}
        )
    summary["checks"] = tally.as_row()
    summary["own"] = dict(mixture.rows)
    write_json(paths.DATA_METRICS, summary)
    write_text(paths.DATA_PAGE, data_page(summary))
    print(f"prepare: {len(raws)} raw rows, {len(duplicates) + len(unfair)} dropped; {summary['prepared']}")
    for name, count in sorted(mixture.rows.items()):
        print(f"prepare: {count} rows of your own to {name}")


if __name__ == "__main__":
    run_stage(main, __doc__)
