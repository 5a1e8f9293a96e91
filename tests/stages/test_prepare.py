"""`prepare` run for real: the promised counts, the same bytes each time, and nothing of the test split in training."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from stages.arabic.normalise import folded, light
from stages.arabic.numbers import spell, to_western_digits
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl, sha256, write_jsonl
from stages.core.params import load_params
from stages.core.paths import SPLITS
from stages.prepare import main
from stages.scoring.answer_checks import passes
from tests.support.clones import ROOT, make_tree

FILES = [f"{kind}/{split}.jsonl" for kind in ("sft", "pairs", "unpaired") for split in SPLITS]
TRAINED = [name for name in FILES if name.endswith("/train.jsonl")]
IN_ASIA = {"AE", "BH", "IQ", "JO", "KW", "LB", "OM", "PS", "QA", "SA", "SY", "YE"}
IN_AFRICA = {"DJ", "DZ", "EG", "KM", "LY", "MA", "MR", "SD", "SO", "TN"}
ARAB_LEAGUE = IN_ASIA | IN_AFRICA
# Openings that any Arabic reader knows; a data set for practice has no business with them.
SCRIPTURE = [
    "بسم الله الرحمن الرحيم",
    "الحمد لله رب العالمين",
    "قل هو الله أحد",
    "قل أعوذ برب",
    "صدق الله العظيم",
    "إنما الأعمال بالنيات",
    "قال رسول الله",
    "رواه البخاري",
    "في البدء خلق الله",
    "أبانا الذي في السماوات",
]


def digests(tree: Path) -> dict[str, str]:
    files = [*(tree / paths.PREPARED).rglob("*"), tree / paths.DATA_METRICS]
    return {str(path.relative_to(tree)): sha256(path) for path in files if path.is_file()}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two processes that order their sets differently, each in a tree of its own."""
    made = []
    for hash_seed in ("0", "1"):
        tree = make_tree(tmp_path_factory.mktemp("prepare") / "tree")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
        subprocess.run(
            [sys.executable, "-m", "stages.prepare"], cwd=tree, env=environment, check=True, capture_output=True
        )
        made.append(tree)
    return made


@pytest.fixture(scope="module")
def prepared(trees: list[Path]) -> dict[str, list[Row]]:
    """Every prepared JSONL file by its name."""
    folder = trees[0] / paths.PREPARED
    return {str(path.relative_to(folder)): read_jsonl(path) for path in sorted(folder.rglob("*.jsonl"))}


@pytest.fixture(scope="module")
def corpus(trees: list[Path]) -> str:
    return (trees[0] / paths.CORPUS).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def metrics(trees: list[Path]) -> Row:
    summary: Row = read_json(trees[0] / paths.DATA_METRICS)
    return summary


@pytest.fixture(scope="module")
def countries() -> dict[str, Row]:
    return {row["code"]: row for row in read_jsonl(ROOT / paths.COUNTRIES)}


@pytest.fixture(scope="module")
def raw(trees: list[Path]) -> dict[str, Row]:
    """Every raw row that is split, by id."""
    folder = trees[0] / paths.RAW
    files = [*(folder / "skills").glob("*.jsonl"), *(folder / "instructions").glob("*.jsonl")]
    return {row["id"]: row for file in files for row in read_jsonl(file)}


@pytest.fixture(scope="module")
def held_out(prepared: dict[str, list[Row]], raw: dict[str, Row]) -> set[str]:
    """The entities that skill rows of validation and test declare."""
    rows = prepared["sft/validation.jsonl"] + prepared["sft/test.jsonl"]
    return {entity for row in rows for entity in raw[row["id"]].get("entities", [])}


def texts(row: Row) -> Iterable[str]:
    """What a row says, whatever kind it is of."""
    for field in ("prompt", "completion", "chosen", "rejected"):
        yield from (message["content"] for message in row.get(field, []))
    yield from (row["question"], *row["choices"]) if "question" in row else ()
    yield from row.get("references", ())


def numbers_of(entities: Iterable[str]) -> set[int]:
    return {int(entity.removeprefix("number:")) for entity in entities if entity.startswith("number:")}


# ---------------------------------------------------------------- the promised counts


EVALUATION_ONLY = (
    "mcq.jsonl",
    "generation.jsonl",
    "tuning.jsonl",
    "safety.jsonl",
    "culture.jsonl",
    "dialect.jsonl",
    "own.jsonl",
)


def test_two_runs_give_the_same_bytes(trees: list[Path]) -> None:
    one, two = map(digests, trees)
    assert one == two
    assert set(one) == {
        f"{paths.PREPARED}/{name}" for name in (*FILES, *EVALUATION_ONLY, "dropped.jsonl", "corpus.txt")
    } | {str(paths.DATA_METRICS)}


def test_training_has_1500_answers_and_1500_pairs(prepared: dict[str, list[Row]]) -> None:
    assert len(prepared["sft/train.jsonl"]) >= 1500
    assert len(prepared["pairs/train.jsonl"]) >= 1500


def test_every_kind_has_rows_in_every_split(prepared: dict[str, list[Row]]) -> None:
    assert [name for name in FILES if len(prepared[name]) < 100] == []


def test_there_are_200_questions_with_four_options_of_which_one_is_right(
    prepared: dict[str, list[Row]], raw: dict[str, Row]
) -> None:
    rows = prepared["mcq.jsonl"]
    assert len(rows) >= 200
    for row in rows:
        assert len(row["choices"]) == len({folded(choice) for choice in row["choices"]}) == 4
        assert row["choices"][row["answer"]] == raw[row["id"].removeprefix("mcq-")]["answer"]


def test_the_position_of_the_right_option_is_balanced_and_the_subject_does_not_tell_it(
    prepared: dict[str, list[Row]],
) -> None:
    rows = prepared["mcq.jsonl"]
    counts = Counter(row["answer"] for row in rows)
    assert max(counts.values()) - min(counts.values()) <= 1
    for subject, n in Counter(row["subject"] for row in rows).items():
        most = max(Counter(row["answer"] for row in rows if row["subject"] == subject).values())
        assert n >= 20 and most / n < 0.45, subject


def test_there_are_200_generation_prompts_with_references(prepared: dict[str, list[Row]]) -> None:
    rows = prepared["generation.jsonl"]
    assert len(rows) >= 200
    for row in rows:
        assert row["prompt"][-1]["role"] == "user"
        assert row["references"] and all(reference.strip() for reference in row["references"])
        for check in row["checks"]:
            assert passes(row["references"][0], [check])
    assert {row["wording"] for row in rows} == {"seen", "unseen"}
    assert sum(row["task"] == "open" for row in rows) >= 20


def test_the_corpus_has_four_megabytes(corpus: str, metrics: Row) -> None:
    size = len(corpus.encode())
    assert size >= 4_000_000
    assert metrics["prepared"]["corpus"]["bytes"] == size


def test_there_are_150_hand_written_rows(prepared: dict[str, list[Row]]) -> None:
    written = [row for split in SPLITS for row in prepared[f"sft/{split}.jsonl"] if row["source"] == "hand-written"]
    assert len({row["id"] for row in written}) >= 150


def test_all_22_states_of_the_arab_league_are_there_and_asked_about(
    prepared: dict[str, list[Row]], raw: dict[str, Row], countries: dict[str, Row]
) -> None:
    assert {code for code, row in countries.items() if row["arab_league"]} == ARAB_LEAGUE
    asked = {
        entity
        for split in SPLITS
        for row in prepared[f"sft/{split}.jsonl"]
        for entity in raw[row["id"]].get("entities", [])
    }
    assert {code for code in ARAB_LEAGUE if f"country:{code}" not in asked} == set()


def test_every_row_says_what_it_is_about_where_it_comes_from_and_its_licence(prepared: dict[str, list[Row]]) -> None:
    for name, rows in prepared.items():
        if name == "dropped.jsonl":
            continue
        assert len({row["id"] for row in rows}) == len(rows), name
        for row in rows:
            for field in ("id", "topic", "source", "license"):
                assert isinstance(row[field], str) and row[field].strip(), (name, row)


# ---------------------------------------------------------------- what training may not see


def test_no_row_and_no_prompt_stands_in_two_splits(prepared: dict[str, list[Row]]) -> None:
    for kind in ("sft", "pairs", "unpaired"):
        ids = [{row["id"] for row in prepared[f"{kind}/{split}.jsonl"]} for split in SPLITS]
        said = [{folded(row["prompt"][-1]["content"]) for row in prepared[f"{kind}/{split}.jsonl"]} for split in SPLITS]
        for group in (ids, said):
            assert not (group[0] & group[1] or group[0] & group[2] or group[1] & group[2]), kind


def test_questions_and_prompts_are_asked_about_test_rows_only(prepared: dict[str, list[Row]]) -> None:
    test = {row["id"] for row in prepared["sft/test.jsonl"]}
    assert {row["id"].removeprefix("mcq-") for row in prepared["mcq.jsonl"]} <= test
    assert {row["id"].removeprefix("gen-") for row in prepared["generation.jsonl"]} <= test
    validation = {row["id"] for row in prepared["sft/validation.jsonl"]}
    assert {row["id"].removeprefix("gen-") for row in prepared["tuning.jsonl"]} <= validation


def test_no_entity_stands_in_two_splits(prepared: dict[str, list[Row]], raw: dict[str, Row]) -> None:
    sides: dict[str, set[str]] = {}
    for split in SPLITS:
        for row in prepared[f"sft/{split}.jsonl"]:
            for entity in raw[row["id"]].get("entities", []):
                sides.setdefault(entity, set()).add(split)
    assert len(sides) > 1000
    assert {entity for entity, where in sides.items() if len(where) > 1} == set()


def test_no_held_out_country_and_no_capital_of_one_is_named_in_training_not_even_in_a_rejected_answer(
    prepared: dict[str, list[Row]], held_out: set[str], countries: dict[str, Row]
) -> None:
    names = {
        code: {folded(row[field]) for field in ("name", "capital") if row[field]} for code, row in countries.items()
    }
    hidden = {code for code in countries if f"country:{code}" in held_out}
    assert len(hidden) >= 20
    # A longer name is read first: «غينيا الاستوائية» is not «غينيا».
    longest_first = sorted({name for own in names.values() for name in own}, key=len, reverse=True)
    spelled = "|".join(name if not name.startswith("ال") else f"{name}|ل{name[1:]}" for name in longest_first)
    pattern = re.compile(rf"(?<!\w)[وف]?[بلك]?({spelled})(?!\w)")
    forms = {form for code in hidden for name in names[code] for form in (name, "ل" + name[1:])}
    found = [
        (name, row["id"], match)
        for name in TRAINED
        for row in prepared[name]
        for text in texts(row)
        for match in pattern.findall(folded(text))
        if match in forms
    ]
    assert found == []


def test_no_held_out_number_stands_in_training_in_digits_or_in_words(
    prepared: dict[str, list[Row]], held_out: set[str]
) -> None:
    numbers = numbers_of(held_out)
    assert len(numbers) >= 100
    words = {folded(spell(number)) for number in numbers}
    for name in TRAINED:
        for row in prepared[name]:
            for text in texts(row):
                assert not {int(n) for n in re.findall(r"\d+", to_western_digits(text))} & numbers, row
                assert folded(text) not in words, row


def test_no_held_out_number_stands_in_the_corpus_in_digits(corpus: str, held_out: set[str]) -> None:
    seen = {int(number) for number in re.findall(r"\d+", to_western_digits(corpus))}
    assert len(seen) > 1000
    assert seen & numbers_of(held_out) == set()


def test_the_corpus_asks_only_what_trains(corpus: str, prepared: dict[str, list[Row]]) -> None:
    asked = [line for line in corpus.splitlines() if "؟" in line or "?" in line]
    assert asked
    trained = {row["prompt"][0]["content"] for row in prepared["sft/train.jsonl"]}
    held_out = {
        row["prompt"][0]["content"] for split in ("validation", "test") for row in prepared[f"sft/{split}.jsonl"]
    }
    for line in set(asked):
        assert beginnings(line, trained)
        assert not beginnings(line, held_out)


def beginnings(line: str, prompts: set[str]) -> set[str]:
    """Those of the prompts with which the line begins."""
    return {prompt for end in range(1, len(line) + 1) if (prompt := line[:end]) in prompts}


def test_no_held_out_answer_of_a_person_is_read_in_the_corpus(prepared: dict[str, list[Row]], corpus: str) -> None:
    lines = set(corpus.splitlines())
    rows = {split: [r for r in prepared[f"sft/{split}.jsonl"] if r["source"] == "hand-written"] for split in SPLITS}
    told = [row for split in ("validation", "test") for row in rows[split] if answer(row) in lines]
    assert told == []
    assert any(answer(row) in lines for row in rows["train"])


def answer(row: Row) -> str:
    return " ".join(row["completion"][0]["content"].split())


def test_a_wording_kept_for_the_test_is_not_trained(prepared: dict[str, list[Row]], raw: dict[str, Row]) -> None:
    def unseen(split: str) -> list[str]:
        return [row["id"] for row in prepared[f"sft/{split}.jsonl"] if raw[row["id"]].get("held_out_wording")]

    assert unseen("train") == unseen("validation") == []
    assert len(unseen("test")) >= 20


def test_there_is_no_scripture(prepared: dict[str, list[Row]], corpus: str) -> None:
    everything = light(
        "\n".join([corpus, *(text for rows in prepared.values() for row in rows for text in texts(row))])
    )
    assert [phrase for phrase in SCRIPTURE if light(phrase) in everything] == []


# ---------------------------------------------------------------- flaws, pairs, metrics


def test_the_planted_shares_are_those_of_params_and_the_test_split_is_clean(prepared: dict[str, list[Row]]) -> None:
    flaws = load_params(ROOT / paths.PARAMS).data.flaws
    rows = prepared["sft/train.jsonl"]
    counts = Counter(row["flaw"] for row in rows)
    for name, share in (("hedging", flaws.hedging), ("repetition", flaws.repetition)):
        assert abs(counts[name] - len(rows) * share) < 4 * math.sqrt(len(rows) * share * (1 - share))
    assert {row["flaw"] for row in prepared["sft/test.jsonl"]} == {None}


def test_a_preferred_answer_is_the_clean_one(prepared: dict[str, list[Row]], raw: dict[str, Row]) -> None:
    for split in SPLITS:
        for row in prepared[f"pairs/{split}.jsonl"]:
            identity = row["id"].removesuffix(f"-{row['axis']}")
            assert row["chosen"][0]["content"] == raw[identity]["completion"] != row["rejected"][0]["content"]


def test_unpaired_rows_are_the_halves_of_the_pairs_of_their_split(prepared: dict[str, list[Row]]) -> None:
    for split in SPLITS:
        halves = {(row["pair"], row["label"]): row["completion"] for row in prepared[f"unpaired/{split}.jsonl"]}
        wanted = {}
        for row in prepared[f"pairs/{split}.jsonl"]:
            wanted |= {(row["id"], True): row["chosen"], (row["id"], False): row["rejected"]}
        assert halves == wanted


def test_the_metrics_count_what_was_written(prepared: dict[str, list[Row]], corpus: str, metrics: Row) -> None:
    counts = metrics["prepared"]
    for kind in ("sft", "pairs", "unpaired"):
        assert counts[kind] == {split: len(prepared[f"{kind}/{split}.jsonl"]) for split in SPLITS}
    assert (counts["mcq"], counts["generation"]) == (len(prepared["mcq.jsonl"]), len(prepared["generation.jsonl"]))
    assert counts["corpus"]["documents"] == corpus.count("\n")
    assert metrics["overlap"]["test_prompts_in_train"] == 0


def test_every_raw_row_is_prepared_or_named_among_the_dropped(
    prepared: dict[str, list[Row]], metrics: Row, raw: dict[str, Row], trees: list[Path]
) -> None:
    kept = {row["id"] for split in SPLITS for row in prepared[f"sft/{split}.jsonl"]}
    dropped = {row["id"]: row for row in metrics["dropped"]}
    assert kept.isdisjoint(dropped)
    assert kept | dropped.keys() == raw.keys()
    for row in metrics["dropped"]:
        assert row["reason"]
        lines = (trees[0] / row["file"]).read_text(encoding="utf-8").split("\n")
        assert f'"id": "{row["id"]}"' in lines[row["line"] - 1]


# ---------------------------------------------------------------- rows of the user's own


def test_pairs_of_the_users_own_are_taken_in_and_a_duplicate_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: dict[str, list[Row]]
) -> None:
    tree = make_tree(tmp_path / "tree")
    monkeypatch.chdir(tree)
    own = {
        "id": "mine-1",
        "topic": "tea",
        "source": "hand-written",
        "license": "Apache-2.0",
        "prompt": "كيف تحب الشاي؟",
        "chosen": "أحبه خفيفاً مع النعناع.",
        "rejected": "شاي.",
        "axis": "brevity",
    }
    write_jsonl(paths.RAW_PAIRS / "mine.jsonl", [own, own | {"id": "mine-2"}])
    main()
    dropped = read_json(paths.DATA_METRICS)["dropped"]
    assert [row for row in dropped if "pairs" in row["file"]] == [
        {
            "file": "data/raw/pairs/mine.jsonl",
            "line": 2,
            "id": "mine-2",
            "reason": "says the same as data/raw/pairs/mine.jsonl:1",
        }
    ]
    taken = [
        (split, row)
        for split in SPLITS
        for row in read_jsonl(paths.prepared_split("pairs", split))
        if row["id"].startswith("mine")
    ]
    assert len(taken) == 1
    split, row = taken[0]
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"], row["axis"]) == (
        own["chosen"],
        own["rejected"],
        "brevity",
    )
    halves = [row["id"] for row in read_jsonl(paths.prepared_split("unpaired", split)) if row["pair"] == "mine-1"]
    assert sorted(halves) == ["mine-1-chosen", "mine-1-rejected"]
    for split in SPLITS:  # nothing else has moved
        same = {row["id"] for row in read_jsonl(paths.prepared_split("sft", split))}
        assert same == {row["id"] for row in prepared[f"sft/{split}.jsonl"]}


def test_without_raw_rows_the_stage_says_so_and_keeps_the_old_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(tmp_path / "tree")
    monkeypatch.chdir(tree)
    write_jsonl(paths.MCQ, [{"id": "old"}])
    shutil.rmtree(paths.SKILLS)
    shutil.rmtree(paths.INSTRUCTIONS)
    with pytest.raises(PipelineError, match=r"^data/raw holds no rows: restore it") as caught:
        main()
    assert len(str(caught.value).splitlines()) == 1
    assert read_jsonl(paths.MCQ) == [{"id": "old"}]


def test_a_broken_raw_row_is_refused_with_its_place_and_the_old_output_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(tmp_path / "tree")
    monkeypatch.chdir(tree)
    write_jsonl(paths.MCQ, [{"id": "old"}])
    before = hashlib.sha256(paths.MCQ.read_bytes()).hexdigest()
    file = paths.INSTRUCTIONS / "recipes.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[3] = lines[3].replace('"prompt"', '"promt"')
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"^data/raw/instructions/recipes\.jsonl:4: field 'prompt'"):
        main()
    assert sha256(paths.MCQ) == before
