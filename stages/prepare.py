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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from stages.arabic.numbers import YEARS, spell
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import Row, replaced_folder, write_json, write_jsonl, write_text
from stages.core.params import Data, Flaws, OwnTest, Params, load_params
from stages.core.paths import SPLITS
from stages.core.quantiles import quantiles
from stages.core.schema import (
    DroppedRow,
    GenerationRow,
    Messages,
    Origin,
    PairRow,
    QuestionRow,
    RawCountry,
    SafetyRow,
    SftRow,
    UnpairedRow,
    Wrong,
)
from stages.corpus.documents import documents
from stages.rows import prepared_rows
from stages.rows.conventions import equal_length
from stages.rows.data_page import data_page
from stages.rows.decontamination import EvaluationIndex
from stages.rows.raw import Raw, answers, drop_duplicates, drop_record, instructions, read_file, read_folder, skills
from stages.rows.reading.sources import as_source, read_source
from stages.rows.row_policy import Tally, row_key, screen, texts_of
from stages.rows.split import Mentions, held_out, numbers_in, overlap, split_rows
from stages.rows.user_mixture import Mixture

KINDS_IN_WORDS = {
    "sft": "answers (prompt, completion)",
    "pairs": "pairs (prompt, chosen, rejected)",
    "unpaired": "feedback (prompt, completion, label)",
}
R = TypeVar("R", SftRow, PairRow, UnpairedRow)
CORPUS_NUMBERS_PER_LENGTH = 1500  # integers drawn of each length, four to six digits; their neighbours come on top


@dataclass(frozen=True)
class Prepared:
    """The rows of every file below data/prepared; what is trained, by split."""

    sft: dict[str, list[SftRow]]
    pairs: dict[str, list[PairRow]]
    unpaired: dict[str, list[UnpairedRow]]
    mcq: list[QuestionRow]
    generation: list[GenerationRow]
    tuning: list[GenerationRow]
    safety: list[SafetyRow]
    culture: list[QuestionRow]
    dialect: list[QuestionRow]

    def by_kind(self) -> dict[str, Mapping[str, Sequence[Mapping[str, Any]]]]:
        """What is trained, by kind and split."""
        return {"sft": self.sft, "pairs": self.pairs, "unpaired": self.unpaired}

    def for_evaluation(self) -> dict[str, Sequence[Mapping[str, Any]]]:
        """What is only asked, by file."""
        return {
            "mcq": self.mcq,
            "generation": self.generation,
            "tuning": self.tuning,
            "safety": self.safety,
            "culture": self.culture,
            "dialect": self.dialect,
        }

    def files(self) -> dict[str, Sequence[Mapping[str, Any]]]:
        """Every file's rows, by its path below data/prepared without the suffix."""
        trained = {f"{kind}/{split}": rows for kind, of in self.by_kind().items() for split, rows in of.items()}
        return trained | self.for_evaluation()

    def for_test_alone(self) -> Prepared:
        """Without the rows that are trained or tuned on."""

        def emptied(rows: Mapping[str, list[R]]) -> dict[str, list[R]]:
            return {split: rows[split] if split == "test" else [] for split in SPLITS}

        return replace(self, sft=emptied(self.sft), pairs=emptied(self.pairs), unpaired=emptied(self.unpaired))


def read_raw() -> tuple[list[RawCountry], list[Raw[Origin]]]:
    """The countries, and every row that is split, in a fixed order."""
    countries: list[RawCountry] = [raw.row for raw in read_file(paths.COUNTRIES, "countries")]
    folders = ((paths.SKILLS, "skills"), (paths.INSTRUCTIONS, "instructions"), (paths.RAW_PAIRS, "pairs"))
    raws: list[Raw[Origin]] = [raw for folder, kind in folders for raw in read_folder(folder, kind)]
    if not raws:
        raise PipelineError(f"{paths.RAW} holds no rows: restore it with `git checkout -- {paths.RAW}` or add your own")
    return countries, raws


def read_evaluation(name: str, kind: str) -> list[Raw[Any]]:
    """One hand-written set that nothing trains on; an absent file is an empty set."""
    file = paths.RAW_EVALUATION / f"{name}.jsonl"
    rows, duplicates = drop_duplicates(read_file(file, kind) if file.exists() else [])
    if duplicates:
        raise PipelineError(f"{file}:{duplicates[0]['line']}: {duplicates[0]['reason']}: remove one of the two")
    return rows


def drop_unfair(splits: dict[str, list[Raw[Origin]]]) -> tuple[dict[str, list[Raw[Origin]]], list[DroppedRow]]:
    """A wording that is kept for the test may not be trained: such rows of the other splits are dropped by name."""
    dropped = [
        drop_record(raw, "a wording kept for the test, of an entity that trains")
        for split in ("train", "validation")
        for raw in splits[split]
        if raw.row.get("held_out_wording")  # of a skill row alone
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
    countries: list[RawCountry], train: Sequence[Raw[Origin]], key_sides: dict[str, str], seed: int
) -> tuple[list[str], int]:
    """The pretraining text, and how many documents were left out because they held a held-out number."""
    forbidden = {int(key.split(":")[1]) for key in held_out(key_sides, "number:")}
    read = [raw.row for raw in instructions(train)]
    exercises = [raw.row for raw in skills(train)]
    lines = list(documents(countries, corpus_numbers(forbidden, seed), read, seed, exercises))
    kept = [line for line in lines if not numbers_in(line) & forbidden]
    return kept, len(lines) - len(kept)


def prepare_kinds(
    splits: dict[str, list[Raw[Origin]]], data: Data, mentions: Mentions, key_sides: dict[str, str]
) -> Prepared:
    """The rows of every kind, made of the raw rows of each split; the hand-written evaluation sets are read here."""
    hidden = held_out(key_sides, "country:")
    hidden_numbers = {int(key.split(":")[1]) for key in held_out(key_sides, "number:")}
    hidden_words = {spell(number) for number in hidden_numbers}

    def may_train(wrong: Wrong) -> bool:
        text = wrong["completion"]
        shown = mentions.of(text) & hidden or numbers_in(text) & hidden_numbers or wrong["answer"] in hidden_words
        return not shown

    sft, pairs, unpaired = {}, {}, {}
    for split, raws in splits.items():
        clean = split == "test"
        flaws = Flaws(hedging=0.0, repetition=0.0) if clean else data.flaws
        sft[split] = prepared_rows.sft_rows(answers(raws), flaws, data.seed)
        pairs[split] = (
            prepared_rows.pair_rows(raws, data.pairs_per_skill_row, data.seed)
            if clean
            else prepared_rows.pair_rows(raws, data.pairs_per_skill_row, data.seed, may_train)
        )
        bad_share = 1.0 if clean else data.unpaired_bad_share
        unpaired[split] = prepared_rows.unpaired_rows(pairs[split], bad_share, data.seed)

    def prompts(split: str) -> list[GenerationRow]:
        raws = splits[split]
        return prepared_rows.generation_rows(skills(raws), instructions(raws), data.generation_prompts, data.seed)

    return Prepared(
        sft=sft,
        pairs=pairs,
        unpaired=unpaired,
        mcq=prepared_rows.mcq_rows(skills(splits["test"]), data.mcq_questions, data.seed),
        generation=prompts("test"),
        tuning=prompts("validation"),
        safety=prepared_rows.safety_rows(read_evaluation("safety", "safety")),
        culture=prepared_rows.question_rows(read_evaluation("culture", "questions")),
        dialect=prepared_rows.question_rows(read_evaluation("dialect", "questions")),
    )


def describe(
    prepared: Prepared, raws: Iterable[Raw[Origin]], dropped: list[DroppedRow], key_sides: dict[str, str]
) -> Row:
    """The counts of metrics/data.json; corpus figures are added by the caller."""
    counts: Row = {name: len(rows) for name, rows in prepared.for_evaluation().items()}
    for kind, by_split in prepared.by_kind().items():
        counts[kind] = {split: len(rows) for split, rows in by_split.items()}
    sft, pairs = prepared.sft["train"], prepared.pairs
    equal = [row for row in pairs["test"] if equal_length(row["chosen"], row["rejected"])]
    keys = Counter(f"{key.split(':')[0]}/{side}" for key, side in key_sides.items())
    return {
        "raw": {file: {"rows": n} for file, n in Counter(str(raw.file) for raw in raws).items()},
        "prepared": counts,
        "by_topic": dict(Counter(row["topic"] for row in sft)),
        "flaws": dict(Counter(row["flaw"] or "none" for row in sft)),
        "axes": {split: dict(Counter(row["axis"] for row in rows)) for split, rows in pairs.items()},
        "equal_length_test_pairs": dict(Counter(row["axis"] for row in equal)),
        "words": {
            "sft_prompt": words(row["prompt"] for row in sft),
            "sft_completion": words(row["completion"] for row in sft),
            "pairs_chosen": words(row["chosen"] for row in pairs["train"]),
            "pairs_rejected": words(row["rejected"] for row in pairs["train"]),
        },
        "keys": dict(keys),
        "held_out": {prefix: len(held_out(key_sides, f"{prefix}:")) for prefix in ("country", "number")},
        "overlap": {"test_prompts_in_train": overlap(sft, prepared.sft["test"])},
        "dropped": dropped,
        "dropped_by_reason": dict(Counter(row["reason"].split(" data/")[0] for row in dropped)),
    }


def words(turns: Iterable[Messages]) -> Row:
    """Quantiles of the number of words."""
    return quantiles([len(messages[0]["content"].split()) for messages in turns])


def screen_all(prepared: Prepared, data: Data, tally: Tally) -> tuple[Prepared, list[DroppedRow]]:
    """The checks on every answer of ours; a pair that is dropped takes its unpaired rows along."""
    sft, pairs, unpaired = {}, {}, {}
    dropped: list[DroppedRow] = []

    def kept(rows: Sequence[R], name: str) -> list[R]:
        screened = [screen(row, f"{row['source']} ({name})", data, tally) for row in rows]
        dropped.extend(record for _, record in screened if record is not None)
        return [row for row, _ in screened if row is not None]

    for split in SPLITS:
        sft[split] = kept(prepared.sft[split], f"sft/{split}")
        pairs[split] = kept(prepared.pairs[split], f"pairs/{split}")
        by_id = {row["id"]: row for row in pairs[split]}
        unpaired[split] = [
            with_texts_of(by_id[row["pair"]], row) for row in prepared.unpaired[split] if row["pair"] in by_id
        ]
    return replace(prepared, sft=sft, pairs=pairs, unpaired=unpaired), dropped


def with_texts_of(pair: PairRow, half: UnpairedRow) -> UnpairedRow:
    """The half of a pair with the pair's own texts, in which personal data may have been masked."""
    return {**half, "prompt": pair["prompt"], "completion": pair["chosen"] if half["label"] else pair["rejected"]}


def evaluation_index(prepared: Prepared, numbers: Iterable[int], params: Params) -> EvaluationIndex:
    """What no source may repeat: the questions of every evaluation set, the user's own included, and the answers of
    those that were written by hand or are the user's."""
    prompts = prepared.generation + prepared.tuning
    asked = [row["prompt"][-1]["content"] for row in prompts]
    asked += [row["question"] for row in prepared.mcq + prepared.culture + prepared.dialect]
    written = [row["references"][0] for row in prompts if row["task"] == "open"]
    written += [text for row in prepared.safety for text in texts_of(row)]
    for test in params.evaluate.own:
        for row in test_rows(test):
            asked.append(question_of(row))
            written += [turn["content"] for field in ("completion", "chosen") for turn in row.get(field, ())]
    for source in params.data.sources:
        asked += [question_of(row) for kind, row, _ in read_source(source, say=lambda line: None) if kind == "mcq"]
    return EvaluationIndex(written, asked, numbers)


def test_rows(test: OwnTest) -> Iterator[Row]:
    """The rows of a test set of the user's that can be read as they stand, whoever's prompts it is asked with."""
    for _, row, _ in read_source(as_source(test), say=lambda line: None):
        if "reason" not in row:
            yield cast(Row, row)


def question_of(row: Mapping[str, Any]) -> str:
    """What a row asks: its question, or its last turn."""
    return str(row["question"] if "question" in row else row["prompt"][-1]["content"])


def known_texts(prepared: Prepared) -> set[int]:
    """The keys of our own rows to train on, which no source may say again."""
    ours = ((kind, rows) for kind, by_split in prepared.by_kind().items() for rows in by_split.values())
    return {row_key(kind, row) for kind, rows in ours for row in rows}


def trained_rows(prepared: Prepared, mixture: Mixture) -> Row:
    """{kind: [{source, license, rows}]} of what may be trained on: ours under `shipped`, and each source's."""
    found: Row = {}
    for kind, by_split in prepared.by_kind().items():
        ours = Counter(("shipped", row["license"]) for row in by_split["train"])
        theirs = Counter({(name, terms): n for (own, name, terms), n in mixture.trained.items() if own == kind})
        found[kind] = [
            {"source": source, "license": terms, "rows": n} for (source, terms), n in sorted((ours + theirs).items())
        ]
    return found


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
    lines, left_out = corpus_lines(countries, splits["train"], key_sides, data.seed)
    if not data.shipped:
        prepared = prepared.for_test_alone()
    summary = describe(prepared, raws, duplicates + unfair, key_sides)
    text = "\n".join(lines) + "\n"
    summary["prepared"]["corpus"] = {
        "documents": len(lines),
        "documents_left_out_for_a_held_out_number": left_out,
        "bytes": len(text.encode()),
    }
    with replaced_folder(paths.PREPARED) as folder:
        for name, rows in prepared.files().items():
            write_jsonl(folder / f"{name}.jsonl", rows)
        write_jsonl(folder / "dropped.jsonl", [*duplicates, *unfair, *flagged])
        write_text(folder / "corpus.txt", text)
        hidden = {int(key.split(":")[1]) for key in held_out(key_sides, "number:")} if data.sources else set()
        index = evaluation_index(prepared, hidden, params) if data.sources else EvaluationIndex(())
        with Mixture(folder, data, index, known_texts(prepared), tally) as mixture:
            mixture.mix(data.sources)
        check_trainable(
            params,
            {kind: len(rows["train"]) + mixture.rows[f"{kind}/train"] for kind, rows in prepared.by_kind().items()},
        )
    summary["checks"] = tally.as_row()
    summary["own"] = dict(mixture.rows)
    summary["sources"] = {name: counts.as_row() for name, counts in mixture.counts.items()}
    summary["trained"] = trained_rows(prepared, mixture)
    if data.sources:
        summary["overlap"] |= {f"own_{name}": count for name, count in mixture.overlap.counts().items()}
        summary["own_rows_in_groups_too_large_to_hold_out"] = mixture.groups.rows_in_large_groups()
    write_json(paths.DATA_METRICS, summary)
    write_text(paths.DATA_PAGE, data_page(summary))
    print(f"prepare: {len(raws)} raw rows, {len(duplicates) + len(unfair)} dropped; {summary['prepared']}")
    for name, count in sorted(mixture.rows.items()):
        print(f"prepare: {count} rows of your own to {name}")


if __name__ == "__main__":
    run_stage(main, __doc__)
