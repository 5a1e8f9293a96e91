"""The generated rows keep their contract: checkable, distinct, grammatical where a rule can tell, and reproducible."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stages.arabic.dates import GREGORIAN, HIJRI, WEEKDAYS
from stages.arabic.normalise import folded
from stages.arabic.numbers import Gender, spell, to_arabic_digits, to_western_digits
from stages.authoring.rows import (
    SkillRow,
    Wording,
    make_row,
    overlap,
    pick_wrong,
    same,
    spread,
    words_overlap,
)
from stages.rows.conventions import SHORT_ANSWER
from stages.rows.raw import CHECK_NAMES, read_file
from stages.rows.split import LARGEST_HELD_OUT_GROUP, Mentions, keys_of
from stages.scoring.answer_checks import CHECKS, passes
from tests.support.clones import ROOT

SKILLS = ROOT / "data/raw/skills"
TASKS = ["agreement", "comparison", "countries", "dates", "extraction", "formatting", "money", "numbers", "units"]

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


COUNTRIES = {row["code"]: row for row in read(ROOT / "data/raw/countries.jsonl")}
ROWS = {task: read(SKILLS / f"{task}.jsonl") for task in TASKS}
ALL = [row for rows in ROWS.values() for row in rows]


def relation_of(row: Row) -> str:
    return str(row["wording"].split("-")[0])


def texts(row: Row) -> list[str]:
    return [row["prompt"], row["completion"], *(wrong["completion"] for wrong in row["wrong"])]


def integers(text: str) -> set[int]:
    return {int(found) for found in re.findall(r"\d+", to_western_digits(text))}


@pytest.mark.parametrize("hash_seed", ["0", "random"])
def test_a_fresh_run_writes_the_committed_bytes(tmp_path: Path, hash_seed: str) -> None:
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/countries.jsonl").write_bytes((ROOT / "data/raw/countries.jsonl").read_bytes())
    subprocess.run(
        [sys.executable, "-m", "stages.authoring.skills"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
        check=True,
    )
    assert sorted(path.stem for path in SKILLS.glob("*.jsonl")) == TASKS
    for task in TASKS:
        written = (tmp_path / f"data/raw/skills/{task}.jsonl").read_bytes()
        assert written == (SKILLS / f"{task}.jsonl").read_bytes(), f"run `python -m stages.authoring.skills`: {task}"


def test_every_row_has_the_documented_fields() -> None:
    for row in ALL:
        assert list(row) == sorted(
            SkillRow.__annotations__.keys() - (set() if row["task"] == "formatting" else {"checks"})
        )
        assert (row["source"], row["license"], row["version"]) == ("generated", "Apache-2.0", "2")
        assert row["generator"] == "stages.authoring.skills"
        assert row["level"] in ("easy", "hard")
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["id"])
        assert row["entities"] and all(re.fullmatch(r"[a-z]+:\S+", entity) for entity in row["entities"])
    assert {task: {row["task"] for row in rows} for task, rows in ROWS.items()} == {task: {task} for task in TASKS}


def test_ids_and_prompts_are_distinct_over_all_files() -> None:
    assert len({row["id"] for row in ALL}) == len(ALL)
    assert len({folded(row["prompt"]) for row in ALL}) == len(ALL)


def test_three_wrong_answers_stand_in_the_same_sentence_and_none_can_pass_for_the_right_one() -> None:
    # Forms of one word may hold each other's letters, and whole sentences one another: there words or checks decide.
    alike = {"agreement": words_overlap, "money": words_overlap, "formatting": same}
    for row in ALL:
        values = [row["answer"], *(wrong["answer"] for wrong in row["wrong"])]
        assert len(values) == 4
        assert not any(alike.get(row["task"], overlap)(a, b) for i, a in enumerate(values) for b in values[i + 1 :]), (
            row["id"]
        )
        before, _, after = row["completion"].rpartition(row["answer"])
        for wrong in row["wrong"]:
            assert wrong["completion"] == before + wrong["answer"] + after, row["id"]


def test_no_prompt_contains_its_answer_unless_it_must() -> None:
    for row in ALL:
        if row["task"] not in ("comparison", "extraction"):
            answer, prompt = folded(row["answer"]), folded(row["prompt"])
            if row["task"] == "agreement":  # «سعودي» stands in «سعودية» without giving it away
                answer, prompt = f" {answer} ", f" {prompt} "
            assert answer not in prompt, row["id"]


def test_short_questions_are_answered_with_the_bare_value() -> None:
    for row in ALL:
        short = row["prompt"].endswith(SHORT_ANSWER)
        assert short == row["wording"].endswith("-short")
        assert short == (row["completion"] == f"{row['answer']}."), row["id"]


def test_the_text_is_clean_arabic() -> None:
    allowed = re.compile(r"[ء-غف-يًٍ٠-٩ ،؟.:/«»]+")
    for row in ALL:
        for text in texts(row):
            assert allowed.fullmatch(text), (row["id"], text)
            assert text == unicodedata.normalize("NFC", text) and "  " not in text
            assert text[-1] in ".؟", row["id"]


def test_held_out_wordings_are_used_for_nothing_else() -> None:
    kinds = defaultdict(set)
    for row in ALL:
        assert row["held_out_wording"] == row["wording"].endswith("-held-out")
        kinds[row["wording"].removesuffix("-short")].add(row["held_out_wording"])
    assert all(len(flags) == 1 for flags in kinds.values())


# --- countries ---------------------------------------------------------------------------------------------------


def test_each_country_has_a_whole_and_a_short_row_for_a_relation_and_one_held_out_wording() -> None:
    rows = ROWS["countries"]
    assert 1900 <= len(rows) <= 2200
    forms = defaultdict(list)
    for row in rows:
        if not row["held_out_wording"]:
            forms[row["entities"][0], relation_of(row)].append(row["wording"].endswith("-short"))
    assert all(sorted(pair) == [False, True] for pair in forms.values())
    held_out = Counter(row["entities"][0] for row in rows if row["held_out_wording"])
    assert held_out == {f"country:{code}": 1 for code in COUNTRIES}


def test_seen_wordings_are_at_least_four_and_evenly_spread() -> None:
    uses: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for row in ROWS["countries"]:
        if not row["held_out_wording"]:
            uses[relation_of(row), row["wording"].endswith("-short")][row["wording"]] += 1
    assert len(uses) == 10
    for counts in uses.values():
        assert len(counts) >= 4 and max(counts.values()) - min(counts.values()) <= 1


def test_answers_are_the_reviewed_facts_and_disputed_capitals_are_never_asked_or_offered() -> None:
    undisputed = {row["name"] for row in COUNTRIES.values() if row["capital"]}
    for row in ROWS["countries"]:
        country = COUNTRIES[row["entities"][0].removeprefix("country:")]
        relation = relation_of(row)
        assert row["answer"] == country["name" if relation == "country" else relation]
        if relation in ("capital", "country"):
            assert country["capital"], row["id"]
        if relation == "country":
            assert country["capital"] in row["prompt"]
            assert {wrong["answer"] for wrong in row["wrong"]} <= undisputed


def test_hard_country_rows_stay_on_the_continent() -> None:
    homes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for country in COUNTRIES.values():
        for relation in ("capital", "currency", "language", "name"):
            homes[relation, country[relation]].add(country["continent"])
    hard = [row for row in ROWS["countries"] if row["level"] == "hard"]
    assert len(hard) > len(ROWS["countries"]) / 2
    for row in hard:
        relation = relation_of(row).replace("country", "name")
        continent = COUNTRIES[row["entities"][0].removeprefix("country:")]["continent"]
        assert all(continent in homes[relation, wrong["answer"]] for wrong in row["wrong"]), row["id"]


def test_verbs_and_pronouns_agree_with_the_country() -> None:
    masculine, feminine = {"يقع", "ينتمي", "عملته", "أجده"}, {"تقع", "تنتمي", "عملتها", "أجدها"}
    met: set[str] = set()
    for row in ROWS["countries"]:
        gender = COUNTRIES[row["entities"][0].removeprefix("country:")]["gender"]
        words = {word for text in texts(row) for word in re.findall(r"\w+", text)}
        assert not words & (feminine if gender == "m" else masculine), row["id"]
        met |= words
    assert masculine | feminine <= met


# --- numbers -----------------------------------------------------------------------------------------------------


def test_an_integer_of_the_numbers_rows_occurs_in_no_other_row_not_even_in_a_wrong_answer() -> None:
    rows = ROWS["numbers"]
    assert len(rows) == 900
    owned = [int(entity.removeprefix("number:")) for row in rows for entity in row["entities"]]
    assert len(set(owned)) == len(owned) and all(1000 <= n <= 999_999 and not 1800 <= n <= 2100 for n in owned)
    written = {form for n in owned for form in (spell(n), to_arabic_digits(str(n)))}
    assert not written & {wrong["answer"] for row in rows for wrong in row["wrong"]}
    for task in ("comparison", "dates", "units"):
        for row in ROWS[task]:
            for text in (*texts(row), row["answer"], *(wrong["answer"] for wrong in row["wrong"])):
                assert not integers(text) & set(owned), row["id"]
    units = [to_western_digits(wrong["answer"]) for row in ROWS["units"] for wrong in row["wrong"]]
    units += [to_western_digits(row["answer"]) for row in ROWS["units"]]
    assert not {spell(n) for n in owned} & {" ".join(answer.split()[:-1]) for answer in units}


def test_number_answers_are_right_and_entities_name_every_integer() -> None:
    for row in ROWS["numbers"]:
        numbers = [int(entity.removeprefix("number:")) for entity in row["entities"]]
        kind = row["wording"].split("-")[0]
        if kind == "to":
            (n,) = numbers
            words, figures = spell(n), to_arabic_digits(str(n))
            asked, answer = (words, figures) if row["wording"].startswith("to-digits") else (figures, words)
        else:
            n, result = numbers
            assert result - n == (1 if kind == "successor" else -1)
            asked, answer = spell(n, case="oblique"), spell(result)
        assert asked in row["prompt"] and row["answer"] == answer, row["id"]


# --- dates, units, comparison ------------------------------------------------------------------------------------


def test_dates_and_cycles_are_right() -> None:
    assert 230 <= len(ROWS["dates"]) <= 270
    for row in ROWS["dates"]:
        (entity,) = row["entities"]
        kind, _, key = entity.partition(":")
        both = row["prompt"] + " " + row["completion"] + " " + row["answer"]
        if kind == "date":
            year, month, day = map(int, key.split("-"))
            assert {day, month, year} <= integers(both) or row["wording"].endswith("-short")
            assert GREGORIAN[month - 1] in both and spell(year, case="oblique") in both
        elif not row["wording"].startswith("hijri"):
            names = WEEKDAYS if kind == "weekday" else HIJRI if key.startswith("hijri") else GREGORIAN
            step = 1 if "-after-" in row["wording"] else -1
            assert row["answer"] == names[(int(key.split("-")[-1]) - 1 + step) % len(names)], row["id"]


def test_unit_answers_are_right_and_their_noun_agrees() -> None:
    factors = {"km-m": 1000, "kg-g": 1000, "l-ml": 1000, "riyal-halala": 100, "hour-minute": 60, "day-hour": 24}
    seen = set()
    for row in ROWS["units"]:
        _, key, n = row["entities"][0].split(":")
        seen.add((key, n))
        value = int(n) * factors[key]
        words = row["answer"].split()
        if integers(row["answer"]):
            assert integers(row["answer"]) == {value}
        else:
            # In front of its noun the number loses the ending of a dual or of a counted thousand.
            number = " ".join(words[:-1])
            alone = spell(value, "m" if factors[key] == 1000 else "f")
            assert number.startswith(alone.removesuffix("ن").removesuffix("اً").removesuffix("ٍ")), row["id"]
        plural = words[-1] in ("ساعات", "دقائق", "أمتار", "غرامات", "هللات", "مليلترات")
        assert plural == (3 <= value % 100 <= 10), row["id"]
    assert len(seen) == len(ROWS["units"]) == 252


def test_comparisons_follow_from_their_prompt_and_stay_below_a_thousand() -> None:
    pick = {"greater": max, "largest": max, "smaller": min, "smallest": min}
    for row in ROWS["comparison"]:
        kind = row["wording"].split("-")[0]
        shown = [int(found) for found in re.findall(r"\d+", to_western_digits(row["prompt"]))]
        answer = [int(found) for found in to_western_digits(row["answer"]).split("، ")]
        if kind in pick:
            assert answer == [pick[kind](shown)], row["id"]
        else:
            assert answer == sorted(shown, reverse=kind == "descending") and shown != answer, row["id"]
        assert all(n < 1000 for text in texts(row) for n in integers(text))


# --- money, agreement, extraction, formatting --------------------------------------------------------------------

UNITS = {  # singular: (plural, accusative)
    "ريال": ("ريالات", "ريالاً"),
    "هللة": ("هللات", "هللة"),
    "دينار": ("دنانير", "ديناراً"),
    "درهم": ("دراهم", "درهماً"),
    "فلس": ("فلوس", "فلساً"),
    "جنيه": ("جنيهات", "جنيهاً"),
    "قرش": ("قروش", "قرشاً"),
    "ليرة": ("ليرات", "ليرة"),
}
AMOUNTS_IN_WORDS = {
    spell(n, gender, case): n
    for n in range(1, 1000)
    for gender in ("m", "f")
    for case in ("nominative", "oblique", "accusative")
}


def amounts_of(text: str) -> list[int]:
    """The amounts in a text, in digits or in words, each checked for the form of its noun."""
    forms = {form: unit for unit, (plural, accusative) in UNITS.items() for form in (unit, plural, accusative)}
    duals = {form: unit for unit in UNITS for form in dual_forms(unit)}
    words = re.findall(r"[\w\u064B-\u0652]+", to_western_digits(text))
    found = []
    for i, word in enumerate(words):
        if word in duals:
            found.append(2)
        if word not in forms:
            continue
        before = words[i - 1].removeprefix("و")
        numeral = before if before.isdecimal() else numeral_before(words[:i])
        if numeral is None:
            continue
        n = int(numeral) if numeral.isdecimal() else AMOUNTS_IN_WORDS[numeral]
        plural, accusative = UNITS[forms[word]]
        expected = plural if 3 <= n % 100 <= 10 else accusative if n % 100 > 10 else forms[word]
        assert word == expected, (text, word)
        if not numeral.isdecimal() and n % 100 not in (1, 2):
            gender = gender_of(forms[word])
            written = {spell(n, gender), spell(n, gender, "oblique"), spell(n, gender, "accusative")}
            assert numeral in written or f"{numeral[:-1]}ٍ" in written, (text, numeral)  # ثماني before its noun, ثمانٍ
        found.append(n)
    return found


def test_what_a_verb_takes_as_its_object_is_spelled_so() -> None:
    object_of = r"(?:اكتب|دفعت هند|اقسم|وبلغت الفاتورة|حول|أفك)"
    bare = rf"{object_of} (?:واحد|ثلاث|أربع|خمس|ست|سبع|ثمانٍ|ثماني|تسع|ريال|درهم|دينار|جنيه) و\w+"
    prompts = [row["prompt"] for task in ("units", "money") for row in ROWS[task]]
    assert [prompt for prompt in prompts if re.search(bare, prompt)] == []
    assert any(re.search(rf"{object_of} \w+اً و\w+ين ", prompt) for prompt in prompts)


def gender_of(noun: str) -> Gender:
    return "f" if noun.endswith("ة") or noun == "بئر" else "m"


def dual_forms(unit: str) -> tuple[str, str]:
    stem = unit.removesuffix("ة") + "ت" if unit.endswith("ة") else unit
    return stem + "ان", stem + "ين"


def numeral_before(words: list[str]) -> str | None:
    """The longest numeral in words that ends the list."""
    for start in range(max(0, len(words) - 5), len(words)):
        for text in (" ".join(words[start:]), " ".join(words[start:]).removeprefix("و").removeprefix("ب")):
            if text in AMOUNTS_IN_WORDS:
                return text
    return None


def money_of(kind: str) -> list[Row]:
    return [row for row in ROWS["money"] if relation_of(row) == kind]


def test_each_new_skill_has_its_rows_and_its_wordings() -> None:
    sizes = {"money": 220, "agreement": 300, "extraction": 220, "formatting": 220}
    assert {task: len(ROWS[task]) for task in sizes} == sizes
    for task in sizes:
        seen = defaultdict(set)
        for row in ROWS[task]:
            seen[relation_of(row)].add(row["wording"].removesuffix("-short"))
        for kind, names in seen.items():
            assert len(names) >= 5 and f"{kind}-held-out" in names, (task, kind)


def test_amounts_in_words_take_the_right_noun_and_the_wrong_ones_do_not() -> None:
    rows = money_of("amount")
    assert {row["entities"][0].split("-")[0] for row in rows} == {
        f"money:{key}" for key in ("riyal", "halala", "dinar", "dirham", "fils", "pound", "qirsh", "lira")
    }
    for row in rows:
        n = int(row["entities"][0].split("-")[1])
        (unit,) = re.findall("«([^»]+)»", row["prompt"].replace("«المبلغ بالحروف»", ""))
        plural, accusative = UNITS[unit]
        gender = gender_of(unit)
        assert integers(row["prompt"]) == {n}
        if n == 1:
            expected = f"{unit} {'واحدة' if gender == 'f' else 'واحد'}"
        elif n == 2:
            expected = dual_forms(unit)[0]
        else:
            numeral = "مئتا" if n == 200 else "ثماني" if (n, gender) == (8, "f") else spell(n, gender)
            form = plural if n <= 10 else accusative if n < 100 else unit
            expected = f"{numeral} {form}"
        assert row["answer"] == expected, row["id"]


def test_sums_change_and_prices_are_right() -> None:
    for kind in ("change", "sum", "one"):
        for row in money_of(kind):
            key = row["entities"][0].split(":")[1].split("-", 1)[1]
            a, b = (int(found) for found in re.findall(r"\d+", key))
            result = {"change": a - b, "sum": a + b, "one": a // b}[kind]
            assert a % b == 0 or kind != "one"
            assert amounts_of(row["answer"]) == [result], row["id"]
            shown = amounts_of(row["prompt"])
            assert sorted(shown) == sorted([a] if kind == "one" else [a, b]), (row["prompt"], shown)
            assert all(amounts_of(wrong["answer"]) != [result] for wrong in row["wrong"])
    for row in money_of("small"):
        total = int(row["entities"][0].rsplit("-", 1)[1])
        assert amounts_of(row["answer"]) == [total], row["id"]


def test_demonyms_stand_as_the_countries_file_has_them() -> None:
    rows = [row for row in ROWS["agreement"] if row["entities"][0].startswith("nationality:")]
    assert len(rows) >= 60
    endings = {"هو": "", "هي": "ة", "هذان الرجلان": "ان", "هاتان المرأتان": "تان", "هم": "ون", "هن": "ات"}
    codes = {"ms": "هو", "fs": "هي", "md": "هذان الرجلان", "fd": "هاتان المرأتان", "mp": "هم", "fp": "هن"}
    for row in rows:
        country = COUNTRIES[row["entities"][0].split(":")[1]]
        given, asked = (codes[part] for part in row["id"].split("-")[-2:])
        assert country["demonym_f"] == country["demonym_m"] + "ة"
        assert row["answer"] == country["demonym_m"] + endings[asked], row["id"]
        assert f"{given} {country['demonym_m']}{endings[given]}" in row["prompt"] and asked in row["prompt"]


def test_counted_nouns_agree_and_wrong_ones_break_a_rule() -> None:
    rows = [row for row in ROWS["agreement"] if relation_of(row) == "counted"]
    for row in rows:
        n = int(row["id"].split("-")[-1])
        noun = re.findall("«([^»]+)»", row["prompt"])[-1]
        gender = gender_of(noun)
        numeral, form = row["answer"].rsplit(" ", 1)
        assert numeral.replace("ثماني", "ثمانٍ") == spell(n, gender).replace("ثماني", "ثمانٍ"), row["id"]
        accusative = noun if noun.endswith("ة") else noun + "اً"
        assert form == accusative if n > 10 else form not in (noun, accusative), row["id"]


def test_a_verb_before_its_subject_is_singular_and_after_it_agrees() -> None:
    for row in ROWS["agreement"]:
        if relation_of(row) != "verb":
            continue
        (blank,) = (text for text in re.findall("«([^»]+)»", row["prompt"]) if "..." in text)
        before = blank.startswith("...")
        subject = blank.split()[1 if before else 0]
        ending = {"ون": "وا", "ان": "ا", "ات": "ن"}.get(subject[-2:], "ت")
        if subject[-3:] == "تان":
            ending = "تا"
        if not subject.startswith(("المسافر", "المعلم", "المهندس", "المتطوع", "المزارع", "اللاعب", "الموظف")) and (
            not subject.startswith(("المدرب", "الباحث", "المشارك", "المسعف", "المرشد"))
        ):
            ending = "ت"
        if before:
            ending = "" if ending in ("وا", "ا") else "ت"
        verbs = [row["answer"], *(wrong["answer"] for wrong in row["wrong"])]
        stem = row["answer"].removesuffix(ending)
        assert stem + ending == row["answer"] and all(verb.startswith(stem) for verb in verbs), row["id"]
        assert {verb.removeprefix(stem) for verb in verbs} <= {"", "ت", "ا", "تا", "وا", "ن"}, row["id"]


def test_an_extracted_value_stands_in_its_text_and_a_list_keeps_the_order() -> None:
    for row in ROWS["extraction"]:
        text = max(re.findall("«([^»]+)»", row["prompt"]), key=len)
        values = row["answer"].split("، ")
        assert len(values) == (3 if relation_of(row) == "list" else 1)
        assert all(re.search(rf"(?<!\w){value}(?!\w)", text) for value in values), row["id"]
        assert all(wrong["answer"].split("، ") != values for wrong in row["wrong"])


def test_every_constraint_holds_in_the_completion_and_in_no_wrong_one() -> None:
    met = set()
    for row in ROWS["formatting"]:
        met |= {check["name"] for check in row["checks"]}
        assert passes(row["completion"], row["checks"]) is True, row["id"]
        for wrong in row["wrong"]:
            assert passes(wrong["completion"], row["checks"]) is False, row["id"]
        quoted = [check["value"] for check in row["checks"] if not check["value"].isdecimal()]
        assert all(f"«{value}" in row["prompt"] for value in quoted), row["id"]
    assert met == set(CHECKS) == set(CHECK_NAMES)


def test_the_constraint_of_length_is_the_one_that_the_prompt_names() -> None:
    gender: dict[str, Gender] = {"exact_words": "f", "max_words": "f", "items": "m"}
    for row in ROWS["formatting"]:
        for check in row["checks"]:
            if check["name"] in gender and check["value"] != "2":
                n = int(check["value"])
                numeral = spell(n, gender[check["name"]]).replace("ثمانٍ", "ثماني")
                oblique = spell(n, gender[check["name"]], "oblique").replace("ثمانٍ", "ثماني")
                assert any(f"{word} " in row["prompt"] for word in (numeral, oblique)), row["id"]


def test_the_new_rows_are_tied_to_few_others() -> None:
    mentions = Mentions(list(COUNTRIES.values()))
    held: Counter[str] = Counter()
    for task in ("money", "agreement", "extraction", "formatting"):
        for raw in read_file(SKILLS / f"{task}.jsonl", "skills"):
            keys = keys_of(raw, mentions)
            assert keys == set(raw.row["entities"]), raw.row["id"]  # no country and no large number is mentioned
            held.update(keys)
    assert max(held.values()) <= LARGEST_HELD_OUT_GROUP


# --- the tools ---------------------------------------------------------------------------------------------------


def test_wrong_answers_that_contain_the_right_one_are_passed_over() -> None:
    assert pick_wrong("غينيا", ["غينيا بيساو", "مالي", "مالى", "توغو", "بنين", "غانا"]) == ["مالي", "توغو", "بنين"]


def test_a_row_without_three_wrong_answers_is_refused_by_name() -> None:
    wording = Wording("w", "س؟", "{answer}.")
    with pytest.raises(ValueError, match="some-row: three wrong answers"):
        make_row(
            id="some-row",
            task="units",
            entities=["unit:x"],
            level="easy",
            wording=wording,
            fields={},
            answer="أ",
            wrong=["ب", "ت"],
        )


def test_spread_uses_every_wording_equally_often() -> None:
    choices = [Wording(name, "", "") for name in "abc"]
    counts = Counter(wording.name for wording in spread(Random("seed"), choices, 10))
    assert sorted(counts.values()) == [3, 3, 4]
