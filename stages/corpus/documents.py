"""The pretraining text of the embedded base: our own templates in Modern Standard Arabic, one document a line.

A model of a million parameters can answer about a country that it was never asked about only if it has read each
fact many times, in many wordings and places, and never as a question (Physics of Language Models 3.1). Hence some
sixty paragraphs a country, each a few facts in a new order; beside them numbers, the calendar, stories, and the
answers of the instructions that may be read.

The same arguments give the same documents on every machine: each part draws from a generator seeded with a string.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from stages.arabic.numbers import YEARS, to_western_digits
from stages.core.schema import RawAnswerRow, RawCountry
from stages.corpus import sentences
from stages.corpus.arithmetic import NumberWriter, calendar_document
from stages.corpus.sentences import Relation
from stages.corpus.stories import agree, person, story

NUMBER_BYTES = 900_000
STORY_BYTES = 800_000
CALENDAR_BYTES = 110_000
EXERCISE_COPIES = 3

PARAGRAPHS = 48  # of facts, for each country
CITY_PARAGRAPHS = 4
TRIPS = 2
LISTS = 40  # for each continent
SHARED_LISTS = 12  # for each currency, language or league that several countries share
FACTS_PER_PARAGRAPH = (3, 6)
# In how many of a country's paragraphs a fact stands: what is asked about most stands most often.
APPEARANCES = {
    "capital": 32,
    "currency": 32,
    "continent": 27,
    "language": 30,
    "demonym": 21,
    "league": 21,
    "official": 21,
}

# After these topics «عاصمتها» is the country's; «وتقع» needs more: a sentence whose subject is the country.
NAMES_ITS_OWNER = ("capital", "currency", "language", "official")
COUNTRY_IS_SUBJECT = ("{name}", "{t}", "ليس{s} {name}", "انضم{s}", "و{name}", "و{he}", "و{t}")
NEEDS_SUBJECT = ("و{he}", "و{t}", "واسم{ha}", "أما اسم{ha}", "والرجل من{ha}", "والنسبة إلي{ha}", "أما النسبة إلي{ha}")

_MARKS = re.compile("[\u0650-\u0652\u064c\u064e\u064f\u0670\u0640]")  # tanwin an and in stay: أولاً، ثمانٍ
_UNFIT = re.compile("[؟?A-Za-z]")
_INTEGER = re.compile(r"[0-9٠-٩۰-۹]+")


class Country:
    """A row of countries.jsonl as slots for the sentence templates, with the relations that it has."""

    def __init__(self, row: RawCountry) -> None:
        feminine = row["gender"] == "f"
        self.code: str = row["code"]
        self.league: bool = row["arab_league"]
        self.facts: dict[str, str] = {key: value for key, value in row.items() if isinstance(value, str)}
        self.slots = self.facts | {
            "to_name": _after_lam(row["name"]),
            "t": "ت" if feminine else "ي",
            "s": "ت" if feminine else "",
            "ha": "ها" if feminine else "ه",
            "he": "هي" if feminine else "هو",
        }
        self.relations: dict[str, Relation] = {"continent": sentences.CONTINENT}
        self.relations["league"] = sentences.ARAB if self.league else sentences.NOT_ARAB
        if capital := row["capital"]:
            self.relations["capital"] = sentences.CAPITAL
            self.slots["city"] = capital if capital.startswith("مدينة ") else f"مدينة {capital}"
        if currency := row["currency"]:
            self.relations["currency"] = sentences.CURRENCY
            self.slots["currency_he"] = "هي" if currency.split()[0].endswith(("ة", "ا")) else "هو"
        if language := row["language"]:
            self.relations["language"] = sentences.LANGUAGE
            self.slots["full_language"] = f"{'اللغة' if language.endswith('ة') else 'لغة'} {language}"
        if row["demonym_m"] and row["demonym_f"]:
            self.relations["demonym"] = sentences.DEMONYM
        if row["official_name"]:
            self.relations["official"] = sentences.OFFICIAL


def documents(
    countries: Sequence[RawCountry],
    numbers: list[int],
    instructions: Sequence[RawAnswerRow],
    seed: int,
    exercises: Sequence[RawAnswerRow] = (),
) -> Iterator[str]:
    """Yield the corpus in random order; `numbers` are the integers from 1000 up that may appear, beside years.

    `exercises` are rows of which prompt and completion are read; which integers they hold is the caller's to decide.
    """
    nations = [Country(row) for row in sorted(countries, key=lambda row: row["code"])]
    writer = NumberWriter(random.Random(f"{seed}:numbers"), numbers)
    calendar, tales = random.Random(f"{seed}:calendar"), random.Random(f"{seed}:stories")
    lines = list(_about_countries(random.Random(f"{seed}:countries"), nations))
    lines += _fill(writer.document, NUMBER_BYTES)
    lines += _fill(lambda: calendar_document(calendar), CALENDAR_BYTES)
    lines += _fill(lambda: story(tales), STORY_BYTES)
    lines += _completions(instructions, frozenset(numbers))
    lines += [" ".join(f"{row['prompt']} {row['completion']}".split()) for row in exercises] * EXERCISE_COPIES
    random.Random(seed).shuffle(lines)
    yield from lines


def _fill(write: Callable[[], str], size: int) -> Iterator[str]:
    """Documents up to `size` bytes; one that came before is not taken again, unless there is nothing else to say."""
    seen: set[str] = set()
    written = repeats = 0
    while written < size:
        line = write()
        if line in seen and repeats < 1000:
            repeats += 1
            continue
        seen.add(line)
        written += len(line.encode()) + 1
        yield line


def _about_countries(rng: random.Random, countries: Sequence[Country]) -> Iterator[str]:
    by_continent: defaultdict[str, list[Country]] = defaultdict(list)
    for country in countries:
        by_continent[country.facts["continent"]].append(country)
    for country in countries:
        for topics in _plan(rng, country):
            yield _paragraph(rng, country, topics)
        if "capital" in country.facts:
            yield from (_city(rng, country) for _ in range(CITY_PARAGRAPHS))
            others = [c for c in by_continent[country.facts["continent"]] if c is not country and "capital" in c.facts]
            yield from (_trip(rng, country, rng.choice(others)) for _ in range(TRIPS if others else 0))
    for continent, members in by_continent.items():
        yield from (_continent_list(rng, continent, members) for _ in range(LISTS))
    yield from _shared_lists(rng, countries)


def _plan(rng: random.Random, country: Country) -> list[list[str]]:
    """The topics of a country's paragraphs: each as often as it should appear, in random paragraphs and order."""
    least, most = FACTS_PER_PARAGRAPH
    plan: list[list[str]] = [[] for _ in range(PARAGRAPHS)]
    for topic, appearances in APPEARANCES.items():
        if topic in country.relations:
            for topics in rng.sample([topics for topics in plan if len(topics) < most], appearances):
                topics.append(topic)
    for topics in plan:
        missing = [topic for topic in APPEARANCES if topic in country.relations and topic not in topics]
        topics += missing[: max(0, least - len(topics))]
        rng.shuffle(topics)
    return plan


def _paragraph(rng: random.Random, country: Country, topics: Sequence[str]) -> str:
    """Some facts about a country; a pronoun stands for its name only after a sentence that leaves no doubt."""
    text = last = ""
    owner_is_clear = subject_is_clear = False
    also_is_free = True
    for topic in topics:
        relation = country.relations[topic]
        later = [
            template
            for template in relation.later
            if ("{name}" in template or (subject_is_clear if template.startswith(NEEDS_SUBJECT) else owner_is_clear))
            and not (template.startswith("أما") and last.startswith("أما"))
            and (also_is_free or not template.startswith("كما"))
        ]
        if text and later and rng.random() < 0.45:
            last = rng.choice(later)
            text += rng.choice(("، ", ". ")) + last
            also_is_free &= not last.startswith("كما")
        else:
            nominal = rng.random() < 0.7
            bank = relation.nominal if nominal else relation.verbal
            last = bank[0] if rng.random() < 0.2 else rng.choice(bank)
            link = rng.choice((". ", ". ", "، و"))
            # «كما لا» would read as "as ... not", and «كما أن من» stumbles.
            if text and also_is_free and rng.random() < 0.2 and not last.startswith(("لا ", "ليس", "من ")):
                link, also_is_free = ". كما أن " if nominal else ". كما ", False
            text += (link if text else "") + last
        subject_is_clear = topic != "demonym" and last.startswith(COUNTRY_IS_SUBJECT)
        owner_is_clear = subject_is_clear or topic in NAMES_ITS_OWNER
    return f"{text}.".format(**country.slots)


def _city(rng: random.Random, country: Country) -> str:
    banks = {
        "currency": sentences.CITY_CURRENCY,
        "language": sentences.CITY_LANGUAGE,
        "demonym": sentences.CITY_DEMONYM,
    }
    parts = [rng.choice(bank) for topic, bank in banks.items() if topic in country.relations]
    rng.shuffle(parts)
    lines = [rng.choice(sentences.CITY_OPENINGS), *parts]
    return f"{'. '.join(lines)}.".format(**country.slots)


def _trip(rng: random.Random, first: Country, second: Country) -> str:
    """A journey from one capital to another of the same continent."""
    hero, feminine = person(rng)
    one, two = first.facts, second.facts
    lines = [rng.choice(sentences.TRIP_OPENINGS), rng.choice(sentences.TRIP_CONTINENT)]
    if "currency" in one and "currency" in two:
        same = one["currency"] == two["currency"]
        lines.append(rng.choice(sentences.TRIP_SAME_CURRENCY if same else sentences.TRIP_CHANGE))
    if "language" in one and "language" in two:
        same = one["language"] == two["language"]
        lines.append(rng.choice(sentences.TRIP_SAME_LANGUAGE if same else sentences.TRIP_LANGUAGE))
    lines.append(rng.choice(sentences.TRIP_ENDINGS))
    slots = first.slots | {f"{key}2": value for key, value in second.slots.items()} | {"hero": hero}
    return agree(f"{'. '.join(lines)}.", feminine).format(**slots)


def _continent_list(rng: random.Random, continent: str, members: Sequence[Country]) -> str:
    """Countries of a continent, or the same fact of three of them."""
    topic = rng.choice(("name", "capital", "currency"))
    known = [country for country in members if topic in country.facts]
    if topic == "name" or len(known) < 3:
        template = rng.choice(sentences.CONTINENT_LISTS)
        return f"{template}.".format(continent=continent, names=_names(rng, members))
    noun = {"capital": "عاصمة", "currency": "عملة"}[topic]
    shown = rng.sample(known, 3)
    clauses = "، و".join(f"{noun} {country.facts['name']} هي {country.facts[topic]}" for country in shown)
    return f"{clauses}، وهي كلها دول في قارة {continent}."


def _shared_lists(rng: random.Random, countries: Sequence[Country]) -> Iterator[str]:
    for key, bank in (("currency", sentences.CURRENCY_LISTS), ("language", sentences.LANGUAGE_LISTS)):
        groups: defaultdict[str, list[Country]] = defaultdict(list)
        for country in countries:
            if key in country.facts:
                groups[country.facts[key]].append(country)
        for value, members in groups.items():
            if len(members) >= 3:
                for _ in range(SHARED_LISTS):
                    yield f"{rng.choice(bank)}.".format(names=_names(rng, members), **{key: value})
    league = [country for country in countries if country.league]
    if len(league) >= 3:
        for _ in range(SHARED_LISTS):
            yield f"{rng.choice(sentences.ARAB_LISTS)}.".format(names=_names(rng, league))


def _names(rng: random.Random, members: Sequence[Country]) -> str:
    shown = rng.sample(members, min(len(members), rng.randint(3, 7)))
    return " و".join(country.facts["name"] for country in shown)


def _completions(instructions: Sequence[RawAnswerRow], allowed: frozenset[int]) -> Iterator[str]:
    """The answers that are plain prose: no question, no Latin letters, no integer that may not appear."""
    for row in sorted(instructions, key=lambda row: row["id"]):
        text = _MARKS.sub("", " ".join(row["completion"].split()))
        integers = (int(to_western_digits(digits)) for digits in _INTEGER.findall(text))
        if not _UNFIT.search(text) and all(n < 1000 or n in YEARS or n in allowed for n in integers):
            yield text


def _after_lam(name: str) -> str:
    """The name after the preposition لـ, which swallows the alef of the article: للعراق، لليابان، لمصر."""
    if name.startswith("الل"):
        return "ل" + name[2:]
    return "لل" + name[2:] if name.startswith("ال") else "ل" + name
