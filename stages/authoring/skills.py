"""Write data/raw/skills/<task>.jsonl: questions whose answers a program can check.

Reads data/raw/countries.jsonl for the questions on countries and nationalities; everything else follows from rules and
from the tables of the other modules here.
Every choice comes from a generator seeded with a string, so the same countries give the same bytes on every run:

    python -m stages.authoring.skills
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, cast

from stages.authoring.agreement import agreement
from stages.authoring.calendars import dates
from stages.authoring.drills import comparison, numbers, units
from stages.authoring.extraction import extraction
from stages.authoring.formatting import formatting
from stages.authoring.money import money
from stages.authoring.rows import Level, SkillRow, Wording, gives_away, make_row, pick_wrong, spread, wordings
from stages.core import paths
from stages.core.errors import PipelineError, run_stage
from stages.core.files import read_jsonl, write_jsonl
from stages.core.schema import RawCountry


@dataclass(frozen=True)
class Relation:
    """What is asked of a country: the column that answers and the wordings, which may agree with its gender."""

    name: str
    answer: Literal["capital", "currency", "continent", "language", "name"]
    kind: tuple[list[Wording], Wording]


CAPITAL = wordings(
    "capital",
    "عاصمة {name} هي {answer}.",
    {
        "what": "ما عاصمة {name}؟",
        "what-is": "ما هي عاصمة {name}؟",
        "which-city": "أي مدينة هي عاصمة {name}؟",
        "called": "ما اسم عاصمة {name}؟",
        "mention": "اذكر عاصمة {name}.",
    },
    "أود أن أزور {name} وأبدأ من العاصمة، فإلى أي مدينة أسافر؟",
)
COUNTRY = wordings(
    "country",
    "{capital} هي عاصمة {answer}.",
    {
        "which": "ما الدولة التي عاصمتها {capital}؟",
        "of-what": "عاصمة أي دولة هي {capital}؟",
        "serves": "لأي دولة تعد {capital} عاصمة؟",
        "called": "ما اسم الدولة التي عاصمتها {capital}؟",
        "mention": "اذكر الدولة التي عاصمتها {capital}.",
    },
    "وصلتني بطاقة بريدية من العاصمة {capital}، فمن أي بلد أرسلت؟",
)
CURRENCY = wordings(
    "currency",
    "عملة {name} هي {answer}.",
    {
        "what": "ما عملة {name}؟",
        "official": "ما العملة الرسمية في {name}؟",
        "trade": "بأي عملة يتعامل الناس في {name}؟",
        "called": "ما اسم العملة المتداولة في {name}؟",
        "possessive": "إذا سألك أحد عن {name}، فما {its_currency}؟",
    },
    "سأسافر غداً إلى {name}، فأي نقود أحتاج إليها هناك؟",
)
CONTINENT = wordings(
    "continent",
    "{lies} {name} في قارة {answer}.",
    {
        "where": "في أي قارة {lies} {name}؟",
        "what": "ما القارة التي {lies} فيها {name}؟",
        "belongs": "إلى أي قارة {belongs} {name}؟",
        "called": "ما اسم القارة التي {lies} فيها {name}؟",
        "mention": "اذكر القارة التي {lies} فيها {name}.",
    },
    "أبحث عن {name} على خريطة العالم، ففي أي قارة {i_find}؟",
)
LANGUAGE = wordings(
    "language",
    "اللغة الرسمية في {name} هي {answer}.",
    {
        "what": "ما اللغة الرسمية في {name}؟",
        "what-is": "ما هي اللغة الرسمية في {name}؟",
        "adopted": "ما اللغة المعتمدة رسمياً في {name}؟",
        "called": "ما اسم اللغة الرسمية في {name}؟",
        "mention": "اذكر اللغة الرسمية في {name}.",
    },
    "بأي لغة تكتب الدوائر الحكومية مراسلاتها في {name}؟",
)
RELATIONS = (
    Relation("capital", "capital", CAPITAL),
    Relation("country", "name", COUNTRY),
    Relation("currency", "currency", CURRENCY),
    Relation("continent", "continent", CONTINENT),
    Relation("language", "language", LANGUAGE),
)

# Not offered as wrong answers anywhere: what is used far beyond its country, or would only provoke.
NEVER_WRONG = frozenset({"الدولار الأمريكي", "الشيكل الإسرائيلي", "العبرية"})
# Not offered as wrong for one country, where it would be half right: lands on two continents, a neighbour's money
# that is legal tender, a second language of the state.
HALF_RIGHT: dict[str, frozenset[str]] = {
    "AM": frozenset({"أوروبا"}),
    "AZ": frozenset({"أوروبا"}),
    "BN": frozenset({"الدولار السنغافوري"}),
    "BT": frozenset({"الروبية الهندية"}),
    "CY": frozenset({"أوروبا"}),
    "EG": frozenset({"آسيا"}),
    "ES": frozenset({"الكتالانية"}),
    "GE": frozenset({"أوروبا"}),
    "ID": frozenset({"أوقيانوسيا"}),
    "IL": frozenset({"العربية"}),
    "KZ": frozenset({"أوروبا"}),
    "LS": frozenset({"الراند الجنوب أفريقي"}),
    "MK": frozenset({"الألبانية"}),
    "NA": frozenset({"الراند الجنوب أفريقي"}),
    "NP": frozenset({"الروبية الهندية"}),
    "PA": frozenset({"أمريكا الجنوبية"}),
    "PG": frozenset({"آسيا"}),
    "RU": frozenset({"آسيا"}),
    "SD": frozenset({"الإنجليزية"}),
    "SG": frozenset({"دولار بروناي"}),
    "SS": frozenset({"العربية"}),
    "SZ": frozenset({"الراند الجنوب أفريقي"}),
    "TL": frozenset({"أوقيانوسيا"}),
    "TR": frozenset({"أوروبا"}),
    "TT": frozenset({"أمريكا الجنوبية"}),
}


def country_rows(countries: Sequence[RawCountry]) -> list[SkillRow]:
    """For each country and relation a whole sentence and a short answer, and for each country one held-out wording.

    Pairs in which the question would contain the answer (the capital of غينيا بيساو is بيساو) are left out.
    """
    rng = Random("skills/countries")
    asked = {relation.name: [c for c in countries if _can_ask(c, relation)] for relation in RELATIONS}
    rows: dict[tuple[str, str], list[SkillRow]] = {}
    for relation in RELATIONS:
        chosen = asked[relation.name]
        seen = relation.kind[0]
        long, brief = spread(rng, seen, len(chosen)), spread(rng, seen, len(chosen))
        for country, whole, short in zip(chosen, long, brief, strict=True):
            pair = [_country_row(country, relation, w, countries) for w in (whole, short.short())]
            rows[country["code"], relation.name] = pair
    for i, country in enumerate(countries):
        relations = [r for r in RELATIONS if (country["code"], r.name) in rows]
        relation = relations[i % len(relations)]
        rows[country["code"], relation.name].append(_country_row(country, relation, relation.kind[1], countries))
    return [row for c in countries for r in RELATIONS for row in rows.get((c["code"], r.name), [])]


def _can_ask(country: RawCountry, relation: Relation) -> bool:
    answer = country[relation.answer]
    if answer is None or (relation is RELATIONS[1] and country["capital"] is None):
        return False
    seen, held_out = relation.kind
    return not any(gives_away(wording, _fields(country), answer) for wording in (*seen, held_out))


def _fields(country: RawCountry) -> dict[str, str]:
    masculine = country["gender"] == "m"
    return {
        "name": country["name"],
        "capital": country["capital"] or "",
        "lies": "يقع" if masculine else "تقع",
        "belongs": "ينتمي" if masculine else "تنتمي",
        "its_currency": "عملته" if masculine else "عملتها",
        "i_find": "أجده" if masculine else "أجدها",
    }


def _country_row(
    country: RawCountry, relation: Relation, wording: Wording, countries: Sequence[RawCountry]
) -> SkillRow:
    code, answer = country["code"], country[relation.answer]
    assert answer is not None  # _can_ask
    wrong, level = _near_values(Random(f"skills/countries/{code}/{wording.name}"), country, relation, countries)
    return make_row(
        id=f"skill-country-{code.lower()}-{wording.name}",
        topic="geography",
        task="countries",
        entities=[f"country:{code}"],
        level=level,
        wording=wording,
        fields=_fields(country),
        answer=answer,
        wrong=wrong,
    )


def _near_values(
    rng: Random, country: RawCountry, relation: Relation, countries: Sequence[RawCountry]
) -> tuple[list[str], Level]:
    """Three wrong values from the same continent ("hard"), or else from anywhere ("easy")."""
    answer = country[relation.answer]
    assert answer is not None
    avoided = NEVER_WRONG | HALF_RIGHT.get(country["code"], frozenset())
    pools = [_values(country, relation, countries, near=near) for near in (True, False)]
    for pool in pools:
        rng.shuffle(pool)
    near, far = ([value for value in pool if value not in avoided] for pool in pools)
    wrong = pick_wrong(answer, near)
    return (wrong, "hard") if len(wrong) == 3 else (pick_wrong(answer, [*near, *far]), "easy")


def _values(country: RawCountry, relation: Relation, countries: Sequence[RawCountry], near: bool) -> list[str]:
    """The distinct values of a relation on the same continent, or on the other ones; disputed capitals are nobody's."""
    values: set[str] = set()
    for other in countries:
        value = other[relation.answer]
        if value is None or (relation.answer == "name" and other["capital"] is None):
            continue
        if (other["continent"] == country["continent"]) == near:
            values.add(value)
    return sorted(values)


def build(countries: Sequence[RawCountry]) -> dict[str, list[SkillRow]]:
    """Every task's rows; raises PipelineError when two rows would ask the same or share an id."""
    unit_rows, unit_integers = units()
    demonyms = {country["code"]: country["demonym_m"] or "" for country in countries}
    tasks = {
        "agreement": agreement(demonyms),
        "comparison": comparison(),
        "countries": country_rows(countries),
        "dates": dates(),
        "extraction": extraction(),
        "formatting": formatting(),
        "money": money(),
        "numbers": numbers(unit_integers),
        "units": unit_rows,
    }
    rows = [row for task in tasks.values() for row in task]
    for key, values in (("id", [row["id"] for row in rows]), ("prompt", [row["prompt"] for row in rows])):
        value, times = Counter(values).most_common(1)[0]
        if times > 1:
            raise PipelineError(f"{times} skill rows share the {key} «{value}»: reword one of them in stages/authoring")
    return tasks


def read_countries(path: Path) -> list[RawCountry]:
    return cast(list[RawCountry], read_jsonl(path))


def main() -> None:
    for task, rows in build(read_countries(paths.COUNTRIES)).items():
        path = paths.SKILLS / f"{task}.jsonl"
        write_jsonl(path, rows)
        held_out = sum(row["held_out_wording"] for row in rows)
        print(f"{path}: {len(rows)} rows, {held_out} of them in a held-out wording")


if __name__ == "__main__":
    run_stage(main)
