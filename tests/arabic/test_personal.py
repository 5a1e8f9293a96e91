"""Personal data is found by its check digits, in any digits, and nothing else that merely looks like a number."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.arabic.numbers import to_arabic_digits
from stages.arabic.personal import MASKS, find, mask

PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # what doubling and adding the digits makes of 0 to 9


def luhn_digit(body: str) -> str:
    """The last digit that makes the number pass, by a table of doubled digits."""
    total = sum(DOUBLED[int(digit)] if i % 2 == 0 else int(digit) for i, digit in enumerate(reversed(body)))
    return str((10 - total) % 10)


def iban(country: str, account: str) -> str:
    """ISO 13616: the two digits that leave 1 modulo 97, by long division digit by digit."""
    rest = 0
    for character in account + country + "00":
        for digit in str(ord(character) - 55) if character.isalpha() else character:
            rest = (10 * rest + int(digit)) % 97
    return f"{country}{98 - rest:02d}{account}"


def kinds(text: str) -> list[str]:
    return [found.kind for found in find(text)]


digits = st.text("0123456789", min_size=8, max_size=8)
styles = st.sampled_from([str, to_arabic_digits, lambda text: text.translate(PERSIAN)])


@given(st.sampled_from("12"), digits, styles)
def test_a_saudi_identity_number_is_found_by_its_check_digit(first: str, rest: str, style) -> None:
    number = first + rest + luhn_digit(first + rest)
    assert kinds(f"رقم هويتي {style(number)}، فاحفظه.") == ["saudi_id"]


@given(st.sampled_from("12"), digits, st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_breaks_an_identity_number(first: str, rest: str, place: int, change: int) -> None:
    number = first + rest + luhn_digit(first + rest)
    wrong = number[:place] + str((int(number[place]) + change) % 10) + number[place + 1 :]
    assert "saudi_id" not in kinds(wrong)


@given(st.text("0123456789", min_size=20, max_size=20), styles, st.booleans())
def test_a_saudi_iban_is_found_by_modulo_97(account: str, style, grouped: bool) -> None:
    number = iban("SA", account)
    if grouped:
        number = " ".join(number[i : i + 4] for i in range(0, 24, 4))
    assert kinds(f"حولها إلى {style(number)} BANK") == ["iban"]
    assert "iban" not in kinds(number[:-1] + str((int(number[-1]) + 1) % 10))


def test_known_ibans_of_other_countries_are_found() -> None:
    for account in ("GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "AE070331234567890123456"):
        assert mask(account) == MASKS["iban"]


@given(st.text("0123456789", min_size=14, max_size=14), styles, st.sampled_from(["", " ", "-"]))
def test_a_card_is_found_by_its_network_and_check_digit(body: str, style, gap: str) -> None:
    body = "4" + body
    number = body + luhn_digit(body)
    written = gap.join(number[i : i + 4] for i in range(0, 16, 4))
    assert kinds(f"بطاقتي {style(written)} سارية") == ["card"]
    wrong = body + str((int(number[-1]) + 1) % 10)
    assert "card" not in kinds(wrong)


@pytest.mark.parametrize(
    "number",
    [
        "0551234567",
        "055 123 4567",
        "+966551234567",
        "00966 55 123 4567",
        "966-55-123-4567",
        "٠٥٥١٢٣٤٥٦٧",
        "+٩٦٦٥٥١٢٣٤٥٦٧",
        "+20 10 1234 5678",
        "00971501234567",
        "+212612345678",
    ],
)
def test_mobiles_are_found_as_people_write_them(number: str) -> None:
    assert mask(f"اتصل بي على {number} مساءً.") == f"اتصل بي على {MASKS['mobile']} مساءً."


@pytest.mark.parametrize("address", ["ali@mail.com", "a.b+c@sub.example.org.sa", "USER_9@X-Y.NET", "٧٧@m.com"])
def test_mail_addresses_are_found(address: str) -> None:
    assert mask(f"راسلني:{address}، شكراً") == f"راسلني:{MASKS['email']}، شكراً"


@pytest.mark.parametrize(
    "text",
    [
        "بلغ عدد السكان ٣٥٬٣٠٠٬٠٠٠ نسمة في عام ٢٠٢٤.",
        "امتدت الحرب من 1914 إلى 1918.",
        "قيمة π هي 3.1415926535 تقريباً.",
        "الرقم الدولي للكتاب 978-603-00-1234-5",
        "باركود المنتج 6281007012345",
        "العدد 123456789 من تسع خانات.",
        "رقم الطلب 0512345",
        "الطابع الزمني 1700000000",
        "١ ٢ ٣ ٤ ٥ ٦ ٧ ٨ ٩ ١٠ ١١ ١٢",
        "تابعنا على @arabic وأرسل رأيك",
        "المسافة 0.0551234567 متر",
        "العدد ١٠٠٠٠٠٠٠٠٠ مليار",
        "1111 2222 3333 4444",
        "SA0000000000000000000000",
    ],
)
def test_ordinary_numbers_and_signs_are_left_alone(text: str) -> None:
    assert mask(text) == text


def test_a_card_behind_a_year_is_still_found() -> None:
    assert mask("في 2024 4111 1111 1111 1111 انتهى") == "في 2024 [بطاقة] انتهى"


def test_all_kinds_are_masked_in_one_text() -> None:
    text = "هويتي 1000000008 وجوالي ٠٥٥١٢٣٤٥٦٧ وبريدي a@b.sa وبطاقتي 4111111111111111 وحسابي SA0380000000608010167519."
    expected = "هويتي [هوية] وجوالي [جوال] وبريدي [بريد] وبطاقتي [بطاقة] وحسابي [آيبان]."
    assert mask(text) == expected
    assert {found.kind for found in find(text)} == set(MASKS)


@given(st.text(st.sampled_from("0123456789٠٥ +-@.aSA\nم"), max_size=80))
def test_masking_leaves_nothing_to_mask_and_the_rest_as_it_was(text: str) -> None:
    found = find(text)
    assert all(one.end <= two.start for one, two in pairwise(found))
    masked = mask(text)
    assert [kind for kind in kinds(masked) if kind not in {one.kind for one in found}] == []
    kept = "".join(text[a:b] for a, b in gaps(found, len(text)))
    for sign in MASKS.values():
        masked = masked.replace(sign, "")
    assert masked == kept


def gaps(found: list, length: int) -> list[tuple[int, int]]:
    edges = [0, *(edge for one in found for edge in (one.start, one.end)), length]
    return list(zip(edges[::2], edges[1::2], strict=True))


def test_a_giant_line_costs_linear_time() -> None:
    for text in ("a" * 500_000 + "@", "1 " * 250_000, "a@" + "b." * 250_000, "SA" * 250_000 + "@"):
        assert find(text) == []
