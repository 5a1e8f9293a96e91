"""data/raw/countries.jsonl: complete, consistent, written in plain Arabic, and in agreement with the Unicode CLDR."""

import datetime
import json
import re
import unicodedata
from collections import Counter
from typing import Literal, TypedDict

import pytest
from babel import Locale
from babel.languages import get_official_languages
from babel.numbers import get_territory_currencies

from tests.support.clones import ROOT

FILE = ROOT / "data" / "raw" / "countries.jsonl"
AS_OF = datetime.date(2026, 11, 1)
CLDR = Locale("ar")


class Country(TypedDict):
    """One line of the file."""

    id: str
    topic: str
    source: str
    license: str
    code: str
    name: str
    official_name: str | None
    gender: Literal["f", "m"]
    capital: str | None
    currency: str | None
    currency_code: str | None
    continent: str
    language: str | None
    demonym_m: str | None
    demonym_f: str | None
    arab_league: bool


ARAB_LEAGUE_IN_ASIA = {"AE", "BH", "IQ", "JO", "KW", "LB", "OM", "PS", "QA", "SA", "SY", "YE"}
ARAB_LEAGUE_IN_AFRICA = {"DJ", "DZ", "EG", "KM", "LY", "MA", "MR", "SD", "SO", "TN"}
ARAB_LEAGUE = ARAB_LEAGUE_IN_ASIA | ARAB_LEAGUE_IN_AFRICA
CONTINENTS = {"آسيا", "أفريقيا", "أوروبا", "أمريكا الشمالية", "أمريكا الجنوبية", "أوقيانوسيا"}
MASCULINE = {"CV", "IQ", "JO", "LB", "MA", "ME", "SD", "SO", "SS", "YE"}

# A question about the capital of one of these has no single answer.
NO_CAPITAL = {
    "BI": "the political capital moved to Gitega in 2019, the economic one is still Bujumbura",
    "BJ": "Porto-Novo by law, the government sits in Cotonou",
    "BO": "Sucre by the constitution, the government sits in La Paz",
    "CI": "Yamoussoukro by law, the government sits in Abidjan",
    "GQ": "moved from Malabo to Ciudad de la Paz by a decree of January 2026, under way",
    "ID": "the move from Jakarta to Nusantara is under way",
    "IL": "disputed",
    "LK": "Sri Jayawardenepura Kotte and Colombo",
    "MC": "a city state",
    "NR": "no official capital",
    "PS": "disputed",
    "SG": "a city state",
    "SZ": "Mbabane and Lobamba",
    "TZ": "Dodoma by law, much of the government long stayed in Dar es Salaam",
    "ZA": "Pretoria, Cape Town and Bloemfontein share the branches of the state",
}

# Where the file rightly differs from Babel's current tender.
CURRENCY_EXCEPTIONS: dict[str, tuple[str | None, str]] = {
    "BG": ("EUR", "the euro replaced the lev on 1 January 2026, after the CLDR release in Babel 2.18"),
    "PS": (None, "no currency of its own, several foreign ones circulate"),
    "ZW": (None, "the ZiG of 2024 and the US dollar circulate side by side"),
}
# Where Babel names several tenders: the one the country issues.
OWN_TENDER = {"BT": "BTN", "HT": "HTG", "LS": "LSL", "NA": "NAD", "PA": "PAB"}

LANGUAGE_EXCEPTIONS = {
    "BN": ("ms", "الملايوية", "the CLDR's «الماليزية» names the state, not the language"),
    "DK": ("da", "الدنماركية", "the usual spelling, as in the country's name"),
    "HU": ("hu", "المجرية", "as the country's usual name, المجر"),
    "IS": ("is", "الآيسلندية", "the same madda as in آيسلندا"),
    "MY": ("ms", "الملايوية", "the CLDR's «الماليزية» names the state, not the language"),
    "SI": ("sl", "السلوفينية", "the usual spelling, as in the country's name"),
    "US": (None, "الإنجليزية", "official by an executive order of March 2025; the CLDR has none"),
}

TEXT_FIELDS = ("name", "official_name", "capital", "currency", "continent", "language", "demonym_m", "demonym_f")
# Letters only, one space between words: no tashkeel, tatweel, Latin, digits, punctuation or bidi controls.
ARABIC_WORDS = re.compile(r"[ء-غف-ي]+(?: [ء-غف-ي]+)*")
SOURCE = re.compile(r"hand-written|Unicode CLDR via Babel 2\.18 \(([a-z_, ]+)\); hand-written \(the rest\)")


def read() -> list[Country]:
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


COUNTRIES = read()
BY_CODE = {country["code"]: country for country in COUNTRIES}
every_country = pytest.mark.parametrize("country", COUNTRIES, ids=lambda country: country["code"])


def texts(country: Country) -> dict[str, str]:
    """The Arabic fields that are not null."""
    values: dict[str, object] = dict(country)
    return {field: text for field in TEXT_FIELDS if isinstance(text := values[field], str)}


def tenders(code: str) -> list[str]:
    return list(get_territory_currencies(code, AS_OF))


def without_articles(text: str) -> str:
    return " ".join(word.removeprefix("ال") for word in text.split())


def official_languages(code: str) -> set[str]:
    """The definite Arabic names of the official languages."""
    names = {CLDR.languages.get(language) for language in get_official_languages(code)} - {None}
    return {name if name.startswith("ال") else f"ال{name}" for name in names if name}


def test_the_file_is_canonical_json_lines_sorted_by_code() -> None:
    lines = [json.dumps(country, ensure_ascii=False, sort_keys=True) for country in COUNTRIES]
    assert FILE.read_bytes() == "".join(f"{line}\n" for line in lines).encode()
    assert [country["code"] for country in COUNTRIES] == sorted(BY_CODE)


def test_the_members_of_the_united_nations_and_palestine_are_present() -> None:
    assert len(COUNTRIES) == 193 + 1
    assert "PS" in BY_CODE


def test_the_22_members_of_the_arab_league_are_present_and_marked() -> None:
    assert len(ARAB_LEAGUE) == 22
    assert {country["code"] for country in COUNTRIES if country["arab_league"]} == ARAB_LEAGUE
    assert {BY_CODE[code]["continent"] for code in ARAB_LEAGUE_IN_ASIA} == {"آسيا"}
    assert {BY_CODE[code]["continent"] for code in ARAB_LEAGUE_IN_AFRICA} == {"أفريقيا"}


@pytest.mark.parametrize("field", ["id", "code", "name", "official_name", "capital"])
def test_a_value_belongs_to_one_country(field: str) -> None:
    values = Counter(dict(country)[field] for country in COUNTRIES)
    del values[None]
    assert [value for value, count in values.items() if count > 1] == []


def test_an_official_name_is_not_another_countrys_short_name() -> None:
    names = {country["name"]: country["code"] for country in COUNTRIES}
    assert {
        country["code"]: country["official_name"]
        for country in COUNTRIES
        if names.get(country["official_name"] or "", country["code"]) != country["code"]
    } == {}


@every_country
def test_a_row_has_the_documented_fields(country: Country) -> None:
    assert set(country) == set(Country.__annotations__)
    assert re.fullmatch("[A-Z]{2}", country["code"])
    assert country["id"] == f"country-{country['code']}"
    assert country["topic"] == "geography"
    assert country["license"] == "Unicode-3.0 AND Apache-2.0"
    assert country["continent"] in CONTINENTS
    assert country["gender"] == ("m" if country["code"] in MASCULINE else "f")


@every_country
def test_arabic_fields_hold_arabic_letters_only(country: Country) -> None:
    for field, text in texts(country).items():
        assert ARABIC_WORDS.fullmatch(text), f"{field}: {text!r}"
        assert unicodedata.is_normalized("NFC", text), f"{field}: {text!r}"


@every_country
def test_the_hamza_of_continents_is_written(country: Country) -> None:
    for field, text in texts(country).items():
        assert not re.search("افريقي|اوروب|امريك|إفريقي|أميرك", text), f"{field}: {text!r}"


@every_country
def test_demonyms_agree(country: Country) -> None:
    masculine, feminine = country["demonym_m"], country["demonym_f"]
    if masculine is None or feminine is None:
        assert masculine is feminine
        return
    assert masculine.endswith("ي")
    assert feminine.endswith("ية")
    # "كوري جنوبي" makes "كورية جنوبية", but the first words of "جنوب سوداني" and "رأس أخضري" do not change.
    unchanging = {"جنوب", "رأس", "سان"}
    assert feminine == " ".join(word if word in unchanging else f"{word}ة" for word in masculine.split())


def test_a_country_without_one_undisputed_capital_has_none() -> None:
    assert {country["code"] for country in COUNTRIES if country["capital"] is None} == set(NO_CAPITAL)


def test_the_capital_is_not_the_name_of_the_country() -> None:
    names = {country["name"] for country in COUNTRIES}
    assert {country["capital"] for country in COUNTRIES} & names == set()


@every_country
def test_the_currency_is_the_current_tender(country: Country) -> None:
    code, current = country["code"], tenders(country["code"])
    if code in CURRENCY_EXCEPTIONS:
        assert country["currency_code"] == CURRENCY_EXCEPTIONS[code][0]
        assert current != [country["currency_code"]], "the exception is no longer needed"
    elif len(current) > 1:
        assert country["currency_code"] == OWN_TENDER[code]
        assert country["currency_code"] in current
    else:
        assert [country["currency_code"]] == current


def test_one_currency_code_of_one_issuer_has_one_name() -> None:
    names: dict[str | None, set[str | None]] = {}
    for country in COUNTRIES:
        names.setdefault(country["currency_code"], set()).add(country["currency"])
    assert {code: found for code, found in names.items() if len(found) > 1} == {}
    assert names[None] == {None}


@every_country
def test_the_language_is_official_and_definite(country: Country) -> None:
    code, language = country["code"], country["language"]
    if language is None:
        assert code not in LANGUAGE_EXCEPTIONS
        return
    assert language.startswith("ال")
    if code in LANGUAGE_EXCEPTIONS:
        cldr_code, name, _ = LANGUAGE_EXCEPTIONS[code]
        assert language == name
        assert cldr_code is None or cldr_code in get_official_languages(code)
        assert language not in official_languages(code), "the exception is no longer needed"
    else:
        assert language in official_languages(code)


def test_the_language_of_an_arab_country_is_arabic_or_left_open() -> None:
    left_open = {code for code in ARAB_LEAGUE if BY_CODE[code]["language"] is None}
    assert left_open == {"DJ", "KM", "SO"}
    assert {BY_CODE[code]["language"] for code in ARAB_LEAGUE - left_open} == {"العربية"}


@every_country
def test_the_source_names_exactly_what_the_cldr_says(country: Country) -> None:
    match = SOURCE.fullmatch(country["source"])
    assert match, country["source"]
    claimed = match[1].split(", ") if match[1] else []
    code, currency_code, found = country["code"], country["currency_code"], []
    if currency_code in tenders(code):
        if without_articles(CLDR.currencies[currency_code]) == without_articles(country["currency"] or ""):
            found.append("currency")
        found.append("currency_code")
    if country["language"] in official_languages(code):
        found.append("language")
    if country["name"] == CLDR.territories[code]:
        found.append("name")
    assert claimed == found


@pytest.mark.parametrize(
    ("code", "name", "capital", "currency"),
    [
        ("SA", "السعودية", "الرياض", "الريال السعودي"),
        ("EG", "مصر", "القاهرة", "الجنيه المصري"),
        ("PS", "فلسطين", None, None),
        ("SY", "سوريا", "دمشق", "الليرة السورية"),
        ("KR", "كوريا الجنوبية", "سول", "الوون الكوري الجنوبي"),
        ("HR", "كرواتيا", "زغرب", "اليورو"),
        ("SN", "السنغال", "داكار", "الفرنك الأفريقي"),
        ("US", "الولايات المتحدة", "واشنطن", "الدولار الأمريكي"),
    ],
)
def test_well_known_facts(code: str, name: str, capital: str | None, currency: str | None) -> None:
    country = BY_CODE[code]
    assert (country["name"], country["capital"], country["currency"]) == (name, capital, currency)
