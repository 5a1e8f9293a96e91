"""The pretraining text holds every fact often enough to be learned, and nothing that an evaluation keeps to itself."""

from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys
import time

import pytest

from stages.arabic.numbers import to_western_digits
from stages.core import paths
from stages.core.files import Row, read_jsonl
from stages.corpus.arithmetic import DATE_YEARS
from stages.corpus.documents import APPEARANCES, EXERCISE_COPIES, documents
from stages.corpus.stories import agree, story
from tests.support.clones import ROOT

SEED = 7
YEARS = range(1800, 2101)
HELD_OUT = frozenset(random.Random("held out").sample(range(1000, 1_000_000), 2000))
NUMBERS = sorted(set(random.Random("allowed").sample(range(2101, 1_000_000), 6000)) - HELD_OUT)
FACTS = ("capital", "currency", "continent", "language", "demonym_m", "demonym_f", "official_name")


@pytest.fixture(scope="module")
def countries() -> list[Row]:
    return read_jsonl(ROOT / paths.COUNTRIES)


@pytest.fixture(scope="module")
def instructions() -> list[Row]:
    return [row for path in sorted((ROOT / paths.INSTRUCTIONS).glob("*.jsonl")) for row in read_jsonl(path)]


@pytest.fixture(scope="module")
def corpus(countries: list[Row], instructions: list[Row]) -> list[str]:
    return list(documents(countries, NUMBERS, instructions, SEED))


def country(**changes: object) -> Row:
    """A made-up row of countries.jsonl."""
    row: Row = {
        "code": "XA",
        "name": "العراق",
        "official_name": "جمهورية العراق",
        "gender": "m",
        "capital": "بغداد",
        "currency": "الدينار العراقي",
        "continent": "آسيا",
        "language": "العربية",
        "demonym_m": "عراقي",
        "demonym_f": "عراقية",
        "arab_league": True,
    }
    return row | changes


def word(*values: str) -> re.Pattern[str]:
    """One of the values as whole words, alone or after one-letter prepositions and conjunctions."""
    return re.compile(rf"(?<!\w)[وفبكل]{{0,2}}(?:{'|'.join(map(re.escape, values))})(?!\w)")


def test_the_corpus_is_of_the_planned_size(corpus: list[str]) -> None:
    assert 4_300_000 <= sum(len(line.encode()) + 1 for line in corpus) <= 5_500_000


def test_the_corpus_is_written_in_seconds(countries: list[Row], instructions: list[Row]) -> None:
    start = time.monotonic()
    list(documents(countries, NUMBERS, instructions, SEED))
    assert time.monotonic() - start < 10


def test_a_document_is_one_line_of_filled_templates(corpus: list[str]) -> None:
    assert not [line for line in corpus if not line.strip() or line != " ".join(line.split())]
    assert not [line for line in corpus if re.search(r"[\[\]{}|]|\.\.|،،| [.،]", line)]


def test_few_documents_are_read_twice(corpus: list[str]) -> None:
    assert len(set(corpus)) > 0.95 * len(corpus)


def test_nothing_is_asked(corpus: list[str]) -> None:
    assert not [line for line in corpus if re.search("[؟?]|السؤال:|الجواب:|سؤال:|جواب:", line)]


def test_there_are_no_latin_letters_no_vowel_signs_and_no_tatweel(corpus: list[str]) -> None:
    # The tanwin of أولاً and ثمانٍ is ordinary spelling.
    assert not [line for line in corpus if re.search("[A-Za-z\u064c\u064e-\u0652\u0670\u0640\u200b-\u200f]", line)]


def test_no_integer_appears_but_small_ones_years_and_those_allowed(corpus: list[str]) -> None:
    allowed = {*range(1000), *YEARS, *NUMBERS}
    seen = {int(digits) for line in corpus for digits in re.findall(r"\d+", to_western_digits(line))}
    assert seen <= allowed
    assert not seen & HELD_OUT


def test_a_few_numbers_are_enough_and_no_others_are_made_up() -> None:
    lines = list(documents([], [4567, 4568], [], SEED))
    seen = {int(digits) for line in lines for digits in re.findall(r"\d+", to_western_digits(line))}
    assert {n for n in seen if n >= 1000 and n not in YEARS} == {4567, 4568}
    assert any("أربعة آلاف وخمسمئة وسبعة وستون" in line for line in lines)


def test_dates_keep_clear_of_the_years_that_are_asked_about(corpus: list[str]) -> None:
    written = {int(to_western_digits(year)) for line in corpus for year in re.findall(r"/(\d{4})\b", line)}
    assert written
    assert written <= set(DATE_YEARS)
    assert not written & set(range(1950, 2050))


def test_every_fact_about_every_country_is_told_twenty_times(countries: list[Row], corpus: list[str]) -> None:
    rare: list[str] = []
    for row in countries:
        after_lam = row["name"].removeprefix("ا") if row["name"].startswith("ال") else row["name"]  # ل + العراق: للعراق
        mentions = [line for line in corpus if after_lam in line and word(row["name"], after_lam).search(line)]
        for fact in FACTS:
            if row[fact] is not None:
                times = sum(bool(word(row[fact]).search(line)) for line in mentions)
                rare += [f"{row['code']} {fact}: {times}"] if times < 20 else []
        league = word("جامعة الدول العربية", "الدول العربية", "دولة عربية", "دولة غير عربية", "دول عربية", "بلد عربي")
        times = sum(bool(league.search(line)) for line in mentions)
        rare += [f"{row['code']} arab_league: {times}"] if times < 20 else []
    assert not rare
    assert min(APPEARANCES.values()) >= 20


def test_an_unknown_fact_is_passed_over() -> None:
    unknown = country(capital=None, currency=None, language=None, demonym_m=None, demonym_f=None, official_name=None)
    text = "\n".join(documents([unknown], [], [], SEED))
    assert "None" not in text
    assert not re.search("(عاصمة|عملة|لغة) العراق|عاصمته|عملته|لغته", text)
    assert "يقع العراق في قارة آسيا" in text


def test_a_capital_that_is_left_open_is_named_nowhere(countries: list[Row]) -> None:
    text = "\n".join(documents(countries, NUMBERS, [], SEED))
    named = [row["name"] for row in countries if row["capital"] is None and word(f"عاصمة {row['name']}").search(text)]
    # غينيا and the like are heads of longer names that do have a capital.
    assert [name for name in named if not any(other["name"].startswith(f"{name} ") for other in countries)] == []


def test_verbs_and_pronouns_follow_the_gender_of_the_country() -> None:
    masculine = "\n".join(documents([country()], [], [], SEED))
    assert "يقع العراق" in masculine and "تقع العراق" not in masculine
    assert "عاصمته" in masculine
    feminine = "\n".join(documents([country(name="مصر", gender="f")], [], [], SEED))
    assert "تقع مصر" in feminine and "يقع مصر" not in feminine
    assert "عاصمتها" in feminine and not re.search(r"أما عاصمته |وعاصمته ", feminine)


def test_the_article_gives_way_to_the_preposition() -> None:
    text = "\n".join(documents([country()], [], [], SEED))
    assert "الاسم الرسمي للعراق هو" in text
    assert "لالعراق" not in text


def test_a_story_agrees_with_its_hero() -> None:
    assert agree("كتب[|ت] في دفتر[ه|ها]", feminine=False) == "كتب في دفتره"
    assert agree("كتب[|ت] في دفتر[ه|ها]", feminine=True) == "كتبت في دفترها"
    stories = [story(random.Random(seed)) for seed in range(3000)]
    assert len(set(stories)) > 2900
    assert not [text for text in stories if re.search(r"[\[\]{}|]", text)]


def test_completions_stand_once_and_only_as_plain_prose() -> None:
    rows: list[Row] = [
        {"id": "a", "prompt": "اكتب جملة عن البحر.", "completion": "البحر هادئ\nفي الصباح."},
        {"id": "b", "prompt": "حاور صديقك.", "completion": "كيف حالك؟ قال: بخير."},
        {"id": "c", "prompt": "اذكر عدداً.", "completion": "قطع القطار ٥٤٣٢ متراً."},
        {"id": "d", "prompt": "اشرح الاختصار.", "completion": "هذا اختصار AI."},
    ]
    lines = list(documents([], [4567], rows, SEED))
    assert lines.count("البحر هادئ في الصباح.") == 1
    assert not [line for line in lines if "اكتب جملة" in line or "كيف حالك" in line or "قطع القطار" in line]


def test_exercises_are_questions_with_their_answers_among_the_rest() -> None:
    row = {"id": "e", "prompt": "ما عاصمة مصر؟", "completion": "عاصمة مصر هي القاهرة."}
    lines = list(documents([], [4567], [], SEED, [row]))
    assert lines.count("ما عاصمة مصر؟ عاصمة مصر هي القاهرة.") == EXERCISE_COPIES
    assert [line for line in lines if "؟" in line] == ["ما عاصمة مصر؟ عاصمة مصر هي القاهرة."] * EXERCISE_COPIES


def test_the_order_of_the_arguments_does_not_matter(countries: list[Row], instructions: list[Row]) -> None:
    again = documents(countries[::-1], NUMBERS[::-1], instructions[::-1], SEED)
    assert list(again) == list(documents(countries, NUMBERS, instructions, SEED))


def test_another_seed_writes_another_corpus(corpus: list[str], countries: list[Row], instructions: list[Row]) -> None:
    assert list(documents(countries, NUMBERS, instructions, SEED + 1)) != corpus


def test_every_process_writes_the_same_bytes() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from stages.core import paths\n"
        "from stages.corpus.documents import documents\n"
        "from stages.core.files import read_jsonl\n"
        "lines = documents(read_jsonl(paths.COUNTRIES), list(range(3000, 9000, 7)), [], 7)\n"
        "sys.stdout.buffer.write('\\n'.join(lines).encode())\n"
    )
    digests = set()
    for hash_seed in ("0", "1", "random"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
        digests.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(digests) == 1
