"""Raw rows are checked where they enter, split without leaks, and prepared with every promise kept."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stages.arabic.flaws import (
    ENGLISH,
    HEDGES,
    hedge,
    is_hedged,
    is_repeated,
    latin_punctuation,
    mix_languages,
    repeat,
    sentences,
)
from stages.arabic.normalise import folded
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_jsonl
from stages.core.params import Flaws
from stages.core.paths import SPLITS
from stages.rows.conventions import SHORT_ANSWER
from stages.rows.prepared_rows import AXIS_WEIGHTS, generation_rows, mcq_rows, pair_rows, sft_rows, unpaired_rows
from stages.rows.raw import TEXT_FIELDS, Raw, drop_duplicates, read_file, read_folder
from stages.rows.split import (
    LARGEST_HELD_OUT_GROUP,
    Mentions,
    held_out,
    near_copies,
    numbers_in,
    overlap,
    split_rows,
    unit_interval,
)
from tests.support.clones import ROOT

SHARED = {"topic": "geography", "source": "hand-written", "license": "Apache-2.0"}
WORDS = ["نخيل", "سوق", "قهوة", "مدرسة", "كتاب", "بحر", "جبل", "رحلة", "خبز", "مطر", "قمر", "باب", "حقل", "نهر", "قلم"]
# No country, number or entity in them ties the rows made below to each other.
CLEAN = "يفتح السوق أبوابه صباحاً، ثم يمتلئ بالناس. يعود الجميع إلى بيوتهم مساءً."


def instruction(identity: str, completion: str = CLEAN, **changes: Any) -> Row:
    return SHARED | {"id": identity, "prompt": f"صف {identity}.", "completion": completion} | changes


def skill(
    identity: str, answer: str = "القاهرة", wrong: tuple[str, ...] = ("الرياض", "بغداد", "تونس"), **changes: Any
) -> Row:
    row = instruction(identity, f"الجواب هو {answer}.") | {
        "answer": answer,
        "task": "countries",
        "level": "easy",
        "wording": "capital-what",
        "held_out_wording": False,
        "entities": [f"fact:{identity}"],
        "wrong": [{"answer": item, "completion": f"الجواب هو {item}."} for item in wrong],
    }
    return row | changes


def pair(identity: str, **changes: Any) -> Row:
    texts = {"prompt": "صف السوق.", "chosen": CLEAN, "rejected": "لا.", "axis": "brevity"}
    return SHARED | {"id": identity} | texts | changes


def country(code: str, name: str, capital: str | None) -> Row:
    return SHARED | {"id": f"country-{code}", "code": code, "name": name, "capital": capital}


COUNTRIES = [
    country("EG", "مصر", "القاهرة"),
    country("SA", "السعودية", "الرياض"),
    country("GN", "غينيا", "كوناكري"),
    country("GQ", "غينيا الاستوائية", None),
    country("IQ", "العراق", "بغداد"),
    country("OM", "عُمان", "مسقط"),
    country("JO", "الأردن", "عمان"),
]
MENTIONS = Mentions(COUNTRIES)


def raws(rows: list[Row], kind: str = "instructions") -> list[Raw]:
    return [Raw(kind, Path(f"data/raw/{kind}/made.jsonl"), line, row) for line, row in enumerate(rows, start=1)]


def sentence(seed: object, words: int = 30) -> str:
    """Random words, which no other seed puts in the same order."""
    generator = random.Random(str(seed))
    return " ".join(f"{generator.choice(WORDS)}{generator.choice('ابتثجح')}" for _ in range(words)) + "."


def split(rows: list[Raw], mentions: Mentions = MENTIONS, seed: int = 7) -> tuple[dict[str, str], dict[str, str]]:
    """The side of every row, by id, and of every key."""
    by_split, keys = split_rows(rows, mentions, seed, validation_share=0.2, test_share=0.3)
    return {raw.row["id"]: side for side, members in by_split.items() for raw in members}, keys


def write(folder: Path, rows: list[Row], name: str = "made.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def refusal(file: Path, kind: str) -> str:
    with pytest.raises(PipelineError) as caught:
        read_file(file, kind)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.fixture(scope="module")
def countries() -> list[Row]:
    return read_jsonl(ROOT / paths.COUNTRIES)


@pytest.fixture(scope="module")
def written() -> list[Raw]:
    """The hand-written rows of this repository."""
    return read_folder(ROOT / paths.INSTRUCTIONS, "instructions")


@pytest.fixture(scope="module")
def real(written: list[Raw]) -> list[Raw]:
    """Every raw row of this repository that is split."""
    return [*read_folder(ROOT / paths.SKILLS, "skills"), *written]


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("kind", "row"), [("instructions", instruction("a")), ("skills", skill("a")), ("pairs", pair("a"))]
)
def test_a_row_without_a_required_field_is_refused_with_its_place(tmp_path: Path, kind: str, row: Row) -> None:
    for field in ("id", "topic", "source", "license", *TEXT_FIELDS[kind]):
        for value, found in ((None, "None"), ("  ", "'  '"), (7, "7"), ([row[field]], "[")):
            file = write(tmp_path, [row | {"id": "first"}, row | {field: value}])
            message = refusal(file, kind)
            assert message.startswith(f"{file}:2: field '{field}' must be a non-empty string, found {found}")
        file = write(tmp_path, [{key: value for key, value in row.items() if key != field}])
        assert refusal(file, kind).startswith(f"{file}:1: field '{field}' must be a non-empty string, found nothing")


@pytest.mark.parametrize("mark", ["<|im_end|>", "< |im_end|>", "<think>", "</think>", "</s>", "[INST]"])
@pytest.mark.parametrize("field", ["prompt", "completion"])
def test_a_special_token_inside_a_text_is_refused(tmp_path: Path, mark: str, field: str) -> None:
    file = write(tmp_path, [instruction("a"), instruction("b", **{field: f"السوق {mark} مفتوح."})])
    assert refusal(file, "instructions").startswith(f"{file}:2: field '{field}' contains a chat template's special")


@pytest.mark.parametrize("text", ["السوق <|im_end|> مفتوح.", "</think> نعم."], ids=["a turn's end", "a thought's end"])
def test_a_special_token_inside_a_wrong_answer_is_refused(tmp_path: Path, text: str) -> None:
    row = skill("a")
    row["wrong"][1] = {"answer": "بغداد", "completion": text}
    file = write(tmp_path, [row])
    assert refusal(file, "skills").startswith(f"{file}:1: field 'wrong'")


@pytest.mark.parametrize(
    "changes",
    [
        {"entities": None},
        {"entities": "country:EG"},
        {"held_out_wording": "no"},
        {"held_out_wording": None},
        {"wrong": None},
        {"wrong": []},
        {"wrong": skill("a")["wrong"][:2]},
        {"wrong": [*skill("a")["wrong"][:2], {"answer": "القاهرة", "completion": "الجواب هو القاهرة."}]},
        {"wrong": [skill("a")["wrong"][0]] * 3},
        {"wrong": ["الرياض", "بغداد", "تونس"]},
        {"wrong": [{"answer": "الرياض"}, {"answer": "بغداد"}, {"answer": "تونس"}]},
    ],
    ids=[
        "no entities",
        "entities in a string",
        "a wording held out in words",
        "a wording held out or not",
        "no wrong answers",
        "an empty list of them",
        "two of them",
        "the answer among them",
        "one three times",
        "texts instead of rows",
        "no completions",
    ],
)
def test_a_skill_row_that_cannot_be_checked_is_refused(tmp_path: Path, changes: Row) -> None:
    file = write(tmp_path, [skill("a") | changes])
    message = refusal(file, "skills")
    assert message.startswith(f"{file}:1: ")
    assert repr(next(iter(changes))) in message


def test_an_empty_file_is_refused_and_an_absent_folder_holds_no_rows(tmp_path: Path) -> None:
    file = write(tmp_path, [])
    assert refusal(file, "instructions") == f"{file} is empty: add rows or remove the file"
    assert read_folder(tmp_path / "pairs", "pairs") == []


def test_a_folder_is_read_in_name_order_and_every_row_knows_its_place(tmp_path: Path) -> None:
    second = write(tmp_path, [instruction("b"), instruction("c")], "second.jsonl")
    first = write(tmp_path, [instruction("a")], "first.jsonl")
    write(tmp_path, [instruction("x")], "notes.txt")
    assert [(raw.place, raw.row["id"]) for raw in read_folder(tmp_path, "instructions")] == [
        (f"{first}:1", "a"),
        (f"{second}:1", "b"),
        (f"{second}:2", "c"),
    ]


def test_an_id_that_stands_twice_is_refused_naming_both_places() -> None:
    rows = raws([instruction("same", "أول."), instruction("other", "ثان."), instruction("same", "ثالث.")])
    with pytest.raises(PipelineError) as caught:
        drop_duplicates(rows)
    message = str(caught.value)
    assert message.startswith("data/raw/instructions/made.jsonl:3: id 'same'")
    assert "data/raw/instructions/made.jsonl:1" in message
    assert len(message.splitlines()) == 1


def test_rows_that_say_the_same_are_dropped_with_file_line_and_reason() -> None:
    said = {"prompt": "ما العاصمة؟"}
    rows = raws(
        [
            instruction("kept", "هي ٣٥ مدينة.", **said),
            instruction("other", "هي ٣٦ مدينة.", **said),
            instruction("marked", "هِيَ 35  مَدِينَة.", **said),
        ]
    )
    kept, dropped = drop_duplicates(rows)
    assert [raw.row["id"] for raw in kept] == ["kept", "other"]
    assert dropped == [
        {
            "file": "data/raw/instructions/made.jsonl",
            "line": 3,
            "id": "marked",
            "reason": "says the same as data/raw/instructions/made.jsonl:1",
        }
    ]


# ---------------------------------------------------------------- splitting


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("زرت مصر.", {"EG"}),
        ("عدت من القاهرة بالقطار.", {"EG"}),
        ("هو في بغداد، وهي في الرياض.", {"IQ", "SA"}),
        ("سافر إلى مِصْرَ.", {"EG"}),
        ("وبمصر نيل، ولمصر تاريخ، وكمصر لا بلد.", {"EG"}),
        ("للعراق نهران.", {"IQ"}),
        ("بالعراق نهران.", {"IQ"}),
        ("تقع غينيا الاستوائية في أفريقيا.", {"GQ"}),
        ("تقع غينيا في أفريقيا.", {"GN"}),
        ("عمان جميلة.", {"OM", "JO"}),
        ("هو مصري، والمصريون كثيرون.", set()),
        ("يعرق اللاعب.", set()),
        ("", set()),
    ],
)
def test_a_country_is_mentioned_by_its_name_or_capital_as_a_whole_word(text: str, codes: set[str]) -> None:
    assert MENTIONS.of(text) == {f"country:{code}" for code in codes}


def test_without_countries_nothing_is_mentioned() -> None:
    assert Mentions([]).of("زرت مصر.") == set()


def test_numbers_of_four_digits_that_are_no_years_tie_rows() -> None:
    assert numbers_in("٤٥٦٧ و4568", "999 و١٠٠٠ و١٩٧٣ و٢١٠١") == {4567, 4568, 1000, 2101}


def test_rows_that_share_an_entity_a_country_or_a_number_go_to_one_side() -> None:
    rows = []
    for i in range(40):
        rows += raws(
            [skill(f"entity-{i}-{j}", entities=[f"fact:{i}"], completion=sentence((i, j))) for j in range(3)], "skills"
        )
    tied, keys = split(rows)
    assert set(tied.values()) == set(SPLITS)
    for i in range(40):
        assert {tied[f"entity-{i}-{j}"] for j in range(3)} == {keys[f"fact:{i}"]}


@pytest.mark.parametrize(
    ("one", "two"),
    [("زرت مصر.", "عدت من القاهرة."), ("قطعنا ٤٥٦٧ متراً.", "عددها 4567."), ("للعراق نهران.", "هو في بغداد.")],
    ids=["a country and its capital", "a number in either digits", "a name after a preposition"],
)
def test_a_mention_alone_ties_two_rows(one: str, two: str) -> None:
    rows = raws([instruction("one", one), instruction("two", f"{two} {sentence(2)}")])
    assert all(len(set(split(rows, seed=seed)[0].values())) == 1 for seed in range(30))
    unrelated = raws([instruction("one", sentence(1)), instruction("two", sentence(2))])
    assert any(len(set(split(unrelated, seed=seed)[0].values())) == 2 for seed in range(30))


def test_ties_are_followed_through_rows_in_between() -> None:
    rows = raws(
        [instruction("a", "زرت مصر."), instruction("b", "من القاهرة إلى بغداد."), instruction("c", "للعراق نهران.")]
    )
    assert all(len(set(split(rows, seed=seed)[0].values())) == 1 for seed in range(30))


def test_near_copies_stay_together() -> None:
    rows = []
    for i in range(40):
        words = sentence(i).split()
        rows += [instruction(f"text-{i}", " ".join(words))]
        words[15] = "أخرى"
        rows += [instruction(f"copy-{i}", " ".join(words))]
    sides, _ = split(raws(rows))
    assert set(sides.values()) == set(SPLITS)
    assert [i for i in range(40) if sides[f"text-{i}"] != sides[f"copy-{i}"]] == []


def test_texts_that_share_few_words_are_no_near_copies() -> None:
    rows = raws([instruction(f"text-{i}", sentence(i)) for i in range(40)])
    assert near_copies(rows) == []


def test_a_side_does_not_move_when_unrelated_rows_are_added() -> None:
    rows = raws([instruction(f"row-{i}", f"{sentence(i)} قطعنا {5000 + i // 2} متراً.") for i in range(60)])
    added = raws([instruction(f"added-{i}", f"{sentence(f'new{i}')} قطعنا {7000 + i // 2} متراً.") for i in range(60)])
    before, keys = split(rows)
    mixed = [raw for two in zip(added, rows, strict=True) for raw in two]
    assert set(before.values()) == set(SPLITS)
    for more in (added + rows, rows + added, mixed, mixed[::-1]):
        after, moved = split(more)
        assert {identity: after[identity] for identity in before} == before
        assert {key: moved[key] for key in keys} == keys


def test_the_seed_decides_which_rows_are_held_out() -> None:
    rows = raws([instruction(f"row-{i}", sentence(i)) for i in range(60)])
    assert split(rows, seed=7) == split(rows, seed=7)
    assert split(rows, seed=7) != split(rows, seed=8)


def test_a_group_that_would_decide_the_whole_test_split_trains() -> None:
    for size in (LARGEST_HELD_OUT_GROUP, LARGEST_HELD_OUT_GROUP + 1):
        rows = raws(
            [skill(f"row-{i}", entities=["fact:one"], answer="نهر", completion="نهر.") for i in range(size)], "skills"
        )
        sides = {side for seed in range(30) for side in split(rows, seed=seed)[0].values()}
        assert sides == ({"train"} if size > LARGEST_HELD_OUT_GROUP else set(SPLITS))


def test_the_shares_of_the_sides_are_those_asked_for() -> None:
    rows = raws([skill(f"row-{i}", answer="نهر", completion="نهر.") for i in range(2000)], "skills")
    sides = Counter(split(rows)[0].values())
    for side, share in (("train", 0.5), ("validation", 0.2), ("test", 0.3)):
        assert abs(sides[side] - 2000 * share) < 4 * math.sqrt(2000 * share * (1 - share))


def test_held_out_are_the_keys_of_validation_and_test() -> None:
    keys = {"country:EG": "train", "country:IQ": "validation", "country:SA": "test", "number:4567": "test"}
    assert held_out(keys, "country:") == {"country:IQ", "country:SA"}


def test_overlap_counts_prompts_that_differ_in_spelling_only() -> None:
    train = sft_rows(raws([instruction("a", prompt="ما عاصمة مصر؟")]), Flaws(0.0, 0.0), 7)
    test = sft_rows(
        raws([instruction("b", prompt="ما عاصمه مصر"), instruction("c", prompt="ما عملة مصر؟")]), Flaws(0.0, 0.0), 7
    )
    assert overlap(train, test) == 1


def test_no_entity_and_no_mentioned_country_of_this_repository_stands_on_both_sides(
    real: list[Raw], countries: list[Row]
) -> None:
    mentions = Mentions(countries)
    by_split, _ = split_rows(real, mentions, 7, 0.1, 0.2)
    tied: dict[str, set[str]] = {}
    for side, members in by_split.items():
        for raw in members:
            own = {*raw.row.get("entities", []), *mentions.of(raw.row["prompt"], raw.row["completion"])}
            for key in own:
                tied.setdefault(key, set()).add(side)
    assert len(tied) > 1000
    assert {key for key, sides in tied.items() if len(sides) > 1} == set()
    assert sum(map(len, by_split.values())) == len(real)
    assert all(by_split.values())


# ---------------------------------------------------------------- flaws


def test_the_flaws_are_planted_in_the_shares_asked_for_and_nowhere_else() -> None:
    rows = raws([instruction(f"row-{i}") for i in range(2000)])
    shares = {"hedging": 0.35, "repetition": 0.25, None: 0.4}
    prepared = sft_rows(rows, Flaws(hedging=0.35, repetition=0.25), 7)
    counts = Counter(row["flaw"] for row in prepared)
    assert set(counts) == set(shares)
    for flaw, share in shares.items():
        assert abs(counts[flaw] - 2000 * share) < 4 * math.sqrt(2000 * share * (1 - share))
    for row in prepared:
        text = row["completion"][0]["content"]
        assert (is_hedged(text), is_repeated(text)) == (row["flaw"] == "hedging", row["flaw"] == "repetition")
        assert (text == CLEAN) == (row["flaw"] is None)


def test_without_flaws_the_answers_are_the_raw_ones() -> None:
    prepared = sft_rows(raws([instruction(f"row-{i}", sentence(i)) for i in range(50)]), Flaws(0.0, 0.0), 7)
    assert {row["id"]: row["completion"][0]["content"] for row in prepared} == {
        f"row-{i}": sentence(i) for i in range(50)
    }
    assert {row["flaw"] for row in prepared} == {None}


def test_a_row_keeps_its_flaw_when_others_are_added() -> None:
    few, many = (
        {row["id"]: row for row in sft_rows(raws([instruction(f"row-{i}") for i in range(n)]), Flaws(0.35, 0.25), 7)}
        for n in (50, 100)
    )
    assert {identity: many[identity] for identity in few} == few


@pytest.mark.parametrize("choice", range(len(HEDGES)))
def test_every_hedge_is_recognised_and_keeps_the_answer(choice: int) -> None:
    text = hedge(CLEAN, choice)
    assert is_hedged(text) and not is_repeated(text)
    assert text == f"{HEDGES[choice]} {CLEAN}"


@pytest.mark.parametrize("choice", [0, 1])
@pytest.mark.parametrize("answer", [CLEAN, "عاصمة مصر هي القاهرة.", "الريال السعودي.", "القاهرة.", "٥٩٠٠٦٦."])
def test_every_repetition_is_recognised_and_says_nothing_new(answer: str, choice: int) -> None:
    text = repeat(answer, choice)
    assert is_repeated(text) and not is_hedged(text)
    said = sentences(text)
    assert said == [*sentences(answer), *[sentences(answer)[-1]] * (1 + choice)]


@pytest.mark.parametrize(
    "text", ["عاصمة مصر هي القاهرة وهي أكبر مدنها", "نعم. وهي كبيرة. نعم، وهي بعيدة.", "كتاب عن الكتب عن كتاب", ""]
)
def test_a_word_that_comes_back_is_no_repetition(text: str) -> None:
    assert not is_repeated(text)


def test_a_run_of_words_that_follows_itself_is_a_repetition() -> None:
    assert is_repeated("ثم ذهب إلى السوق ثم ذهب إلى السوق ثم ذهب")


@pytest.mark.parametrize("text", ["ربما تمطر غداً.", "لست متأكدة من ذلك.", "لا أدري.", "أما الجواب فلا أعرفه."])
def test_doubt_in_other_words_is_recognised(text: str) -> None:
    assert is_hedged(text)


def test_mixing_languages_turns_one_word_into_english() -> None:
    assert mix_languages("عاصمة مصر هي القاهرة، وهي في أفريقيا.") == "عاصمة مصر is القاهرة، وهي في أفريقيا."
    assert mix_languages("القاهرة.") is None


def test_latin_punctuation_changes_marks_and_digits_only() -> None:
    assert latin_punctuation("قال: «لماذا؟»، ثم عد ٣٫٥؛ وسكت.") == 'قال: "لماذا?", ثم عد 3.5; وسكت.'
    assert latin_punctuation("القاهرة.") is None


def test_every_corruption_of_this_repository_is_recognised_and_changes_one_factor(real: list[Raw]) -> None:
    pairs = pair_rows(real, len(AXIS_WEIGHTS), 7)
    raw_rows = {raw.row["id"]: raw.row for raw in real}
    assert {row["axis"] for row in pairs} == set(AXIS_WEIGHTS)
    wrong = []
    for row in pairs:
        chosen, rejected, axis = row["chosen"][0]["content"], row["rejected"][0]["content"], row["axis"]
        raw = raw_rows[row["id"].removesuffix(f"-{axis}")]
        if axis == "hedging":
            fine = rejected in {f"{opening} {chosen}" for opening in HEDGES}
        elif axis == "repetition":
            fine = rejected in {" ".join([chosen, *[sentences(chosen)[-1]] * times]) for times in (1, 2)}
        elif axis in ("near_miss", "broken_agreement", "ignored_constraint"):
            fine = rejected in {item["completion"] for item in raw["wrong"]}
        elif axis == "language_mixing":
            changed = [(a, b) for a, b in zip(chosen.split(" "), rejected.split(" "), strict=True) if a != b]
            fine = len(changed) == 1 and ENGLISH[changed[0][0]] == changed[0][1]
        elif axis == "truncation":
            share = len(rejected.split()) / len(chosen.split())
            fine = chosen.startswith(rejected) and 0.4 <= share <= 0.65
        else:
            letters = [[c for c in text if c.isalpha()] for text in (chosen, rejected)]
            fine = letters[0] == letters[1] and folded(chosen) == folded(rejected) and len(chosen) == len(rejected)
            fine = fine and not set(rejected) & set("،؛؟«»٠١٢٣٤٥٦٧٨٩٫")
        fine = fine and chosen == raw["completion"] and rejected != chosen
        fine = fine and not is_hedged(chosen) and not is_repeated(chosen)
        fine = fine and (is_hedged(rejected), is_repeated(rejected)) == (axis == "hedging", axis == "repetition")
        if not fine:
            wrong.append((row["id"], rejected))
    assert wrong == []


def test_the_hand_written_answers_carry_no_flaw(written: list[Raw]) -> None:
    answers = {raw.row["id"]: raw.row["completion"] for raw in written}
    assert len(answers) >= 150
    assert [identity for identity, text in answers.items() if is_hedged(text) or is_repeated(text)] == []


def test_no_hedge_occurs_in_the_hand_written_answers(written: list[Raw]) -> None:
    phrases = [folded(part) for opening in HEDGES for part in opening.rstrip(":،").split("، ")]
    found = [
        (raw.row["id"], phrase)
        for raw in written
        for phrase in phrases
        if f" {phrase} " in f" {folded(raw.row['completion'])} "
    ]
    assert found == []


# ---------------------------------------------------------------- pairs and unpaired rows


def test_a_pair_sets_the_clean_answer_against_one_axis_and_keeps_the_rows_origin() -> None:
    rows = pair_rows(raws([skill(f"row-{i}") for i in range(30)], "skills"), 2, 7)
    assert len(rows) == 60
    assert len({row["id"] for row in rows}) == 60
    for row in rows:
        assert row["chosen"] == [{"role": "assistant", "content": "الجواب هو القاهرة."}]
        assert row["prompt"][0]["role"] == "user"
        assert row["axis"] in AXIS_WEIGHTS
        assert {key: row[key] for key in SHARED} == SHARED


def test_an_axis_that_does_not_apply_is_not_made_up() -> None:
    rows = pair_rows(raws([instruction("short", "نعم.")]), len(AXIS_WEIGHTS), 7)
    assert sorted(row["axis"] for row in rows) == ["hedging", "repetition"]


def test_a_near_miss_that_may_not_be_shown_is_never_shown() -> None:
    rows = raws([skill(f"row-{i}") for i in range(60)], "skills")
    shown = {row["rejected"][0]["content"] for row in pair_rows(rows, 5, 7) if row["axis"] == "near_miss"}
    assert shown == {"الجواب هو الرياض.", "الجواب هو بغداد.", "الجواب هو تونس."}
    allowed = pair_rows(rows, 5, 7, lambda wrong: wrong["answer"] != "بغداد")
    assert {row["rejected"][0]["content"] for row in allowed if row["axis"] == "near_miss"} == {
        "الجواب هو الرياض.",
        "الجواب هو تونس.",
    }
    none = pair_rows(rows, 5, 7, lambda wrong: False)
    assert "near_miss" not in {row["axis"] for row in none}


def test_pairs_of_the_users_own_pass_unchanged() -> None:
    (row,) = pair_rows(raws([pair("mine")], "pairs"), 1, 7)
    assert (row["id"], row["axis"]) == ("mine", "brevity")
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == (CLEAN, "لا.")


@pytest.mark.parametrize("n", [2, 7, 40, 41, 400])
def test_unpaired_rows_are_the_two_halves_of_every_pair(n: int) -> None:
    pairs = pair_rows(raws([instruction(f"row-{i}", sentence(i)) for i in range(n)]), 1, 7)
    rows = unpaired_rows(pairs)
    assert len({row["id"] for row in rows}) == len(rows) == 2 * n
    halves = {(row["pair"], row["label"]): row for row in rows}
    for pair_row in pairs:
        for side, label in (("chosen", True), ("rejected", False)):
            half = halves[pair_row["id"], label]
            assert (half["prompt"], half["completion"]) == (pair_row["prompt"], pair_row[side])
            assert {key: half[key] for key in SHARED} == SHARED


@pytest.mark.parametrize("n", [7, 40, 41, 400])
def test_every_window_of_four_holds_two_good_and_two_bad_and_no_pair_meets_itself(n: int) -> None:
    rows = unpaired_rows(pair_rows(raws([instruction(f"row-{i}", sentence(i)) for i in range(n)]), 1, 7))
    windows = [rows[i : i + 4] for i in range(0, len(rows), 4)]
    for window in windows[: n // 2]:
        assert sorted(row["label"] for row in window) == [False, False, True, True]
    assert sum(row["label"] for row in windows[-1]) * 2 == len(windows[-1])
    assert all(len({row["pair"] for row in window}) == len(window) for window in windows)
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row["pair"], []).append(place)
    assert min(two[1] - two[0] for two in places.values()) > n - 8
    assert len({tuple(row["label"] for row in window) for window in windows[: n // 2]}) > 1


# ---------------------------------------------------------------- questions and prompts


def facts(tasks: int, each: int) -> list[Raw]:
    return raws([skill(f"q-{task}-{i}", task=f"task-{task}") for task in range(tasks) for i in range(each)], "skills")


def test_a_question_has_four_options_of_which_the_answer_is_one_once() -> None:
    rows = mcq_rows(facts(tasks=3, each=20), 60, 7)
    assert len(rows) == 60
    for row in rows:
        assert sorted(row["choices"]) == sorted(["القاهرة", "الرياض", "بغداد", "تونس"])
        assert row["choices"][row["answer"]] == "القاهرة"
        assert row["question"].count(SHORT_ANSWER) == 1


@pytest.mark.parametrize("limit", [40, 41, 42, 43])
def test_answer_positions_are_balanced_to_within_one_question(limit: int) -> None:
    counts = Counter(row["answer"] for row in mcq_rows(facts(tasks=3, each=20), limit, 7))
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 5, 6])
def test_the_subject_of_a_question_does_not_tell_the_position_of_its_answer(tasks: int) -> None:
    rows = mcq_rows(facts(tasks, each=20), 20 * tasks, 7)
    for subject, counts in positions(rows).items():
        assert all(3 <= counts[position] <= 7 for position in range(4)), (subject, counts)


def positions(rows: list[Row]) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for row in rows:
        found.setdefault(row["subject"], Counter())[row["answer"]] += 1
    return found


def test_the_wrong_options_stand_in_no_fixed_order() -> None:
    rows = mcq_rows(facts(tasks=3, each=20), 60, 7)
    orders = Counter(tuple(choice for choice in row["choices"] if choice != "القاهرة") for row in rows)
    assert len(orders) == 6


def test_a_fact_is_asked_once_however_many_wordings_it_has() -> None:
    rows = raws(
        [
            skill(f"{code}-{wording}", entities=[code], wording=wording)
            for code in ("eg", "iq")
            for wording in ("capital-what", "capital-name-short", "currency-what")
        ],
        "skills",
    )
    asked = Counter((row["id"].split("-")[1], row["id"].split("-")[2]) for row in mcq_rows(rows, 100, 7))
    assert asked == {("eg", "capital"): 1, ("eg", "currency"): 1, ("iq", "capital"): 1, ("iq", "currency"): 1}


def test_generation_prompts_hold_the_tasks_as_the_rows_do_and_a_quarter_of_open_ones() -> None:
    opened = raws([instruction(f"open-{i}", sentence(i)) for i in range(500)])
    held_out = [*facts(tasks=1, each=800), *facts(tasks=2, each=200)[200:]]
    rows = generation_rows(held_out, opened, 400, 7)
    shares = Counter(row["task"] for row in rows)
    assert shares["open"] == 100
    assert shares.keys() == {"task-0", "task-1", "open"}
    assert abs(shares["task-0"] - 240) < 35  # four standard deviations of a draw of 300 from 800 and 200
    for row in rows:
        opened_row = row["task"] == "open"
        assert row["checks"] == ([] if opened_row else [{"name": "contains", "value": "القاهرة"}])
        assert row["references"] and all(row["references"])
        assert row["prompt"][-1]["role"] == "user"


def test_a_generation_prompt_says_whether_its_wording_was_trained() -> None:
    rows = raws([skill("a", held_out_wording=True), skill("b")], "skills")
    assert {row["id"]: row["wording"] for row in generation_rows(rows, [], 2, 7)} == {
        "gen-a": "unseen",
        "gen-b": "seen",
    }


def test_the_side_of_a_row_depends_on_nothing_but_its_own_parts() -> None:
    assert unit_interval(7, "row:a") == unit_interval(7, "row:a")
    values = [unit_interval(7, i) for i in range(1000)]
    assert 0 <= min(values) < 0.02 and 0.98 < max(values) < 1
    assert len(set(values)) == 1000
