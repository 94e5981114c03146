"""Labels: what is believed and what is refused, beside biip's own reading and what stands in the standard."""

import contextlib
from datetime import date
from typing import Any

import biip
import pytest
from biip.gs1_messages import GS1Message
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.decoding.gs1 import FNC1, Unusable, gs1_date, gtin_14, read_scan
from fake_hw.parts.barcode import check_digit

MILK = "04012345678901"


def read(text: str, sends_separators: bool = True, year: int = 2026) -> dict[str, Any]:
    """What a scan says, without what is always there."""
    facts = read_scan(text, sends_separators=sends_separators, year=year)
    assert facts.pop("raw") == text
    facts.pop("symbology")
    return facts


# written by hand from the General Specifications, not by any code
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("]E04006381333931", {"gtin": "04006381333931"}),
        ("]E496385074", {"gtin": "00000096385074"}),
        ("4006381333931", {"gtin": "04006381333931"}),
        ("036000291452", {"gtin": "00036000291452"}),
        ("]I118901234567897", {"gtin": "18901234567897"}),
        ("]C101" + MILK, {"gtin": MILK}),
        (
            "]C10104012345678901" + "17260331" + "10AB-123",
            {"gtin": MILK, "expiry": "2026-03-31", "lot": "AB-123"},
        ),
        (
            "]d2010401234567890110L1\x1d15260200" + "37144",
            {"gtin": MILK, "lot": "L1", "best_before": "2026-02-28", "count": 144.0},
        ),
        ("]e00194012345678904" + "3103001750", {"gtin": "94012345678904", "net_weight_kg": 1.75}),
        ("]e0" + "3100000012", {"net_weight_kg": 12.0}),
        ("]Q301" + MILK + "11260101" + "13260102" + "16260103", None),
        ("]C100" + "340123450000000017", {"sscc": "340123450000000017"}),
        ("]C102" + MILK + "3712", {"content_gtin": MILK, "count": 12.0}),
        ("\x1d]", Unusable),
        ("]C1\x1d01" + MILK, {"gtin": MILK}),
        ("]C101" + MILK + "91KITCHEN", {"gtin": MILK}),
        ("]C110A!", {"lot": "A!"}),
    ],
)
def test_hand_made_labels(text: str, expected: Any) -> None:
    """Each application identifier a kitchen needs, in each symbology that may carry it."""
    if expected is Unusable:
        with pytest.raises(Unusable):
            read(text)
    elif expected is None:
        facts = read(text)
        assert (facts["produced"], facts["packed"], facts["sell_by"]) == ("2026-01-01", "2026-01-02", "2026-01-03")
    else:
        assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01" + MILK + "17260331", "AIM symbology identifier"),
        ("17260331", "check digit|AIM"),
        ("10LOT1", "AIM"),
        ("]C010LOT1", "no GTIN"),
        ("]E04006381333932", "check digit"),
        ("]C10104012345678902", "check digit"),
        ("]C100340123450000000018", "check digit"),
        ("]C117261331", "no date|no GS1"),
        ("]C117260230", "no date"),
        ("]C1", "nothing behind"),
        ("]C1 10A", "no GS1 element"),
        ("]C110A\x1d 21B", "no GS1 element"),
        ("]C110A B", "separator is lost"),
        ("]C137٤", "a character that GS1 does not allow"),
        ("]C191KITCHEN", "no element that is known here"),
        ("]E0123", "^no GTIN of 8, 12, 13 or 14 digits$"),
        ("123", "^no GTIN of .* digits; lots and dates need the AIM symbology identifier: let the scanner send it$"),
        ("]C19X1", "no GS1 element"),
        ("]C110" + "A" * 21, "separator is lost"),
        ("]C1371234567890", "separator is lost"),
        ("]C137", "empty|no GS1"),
        ("]C110", "no GS1 element|empty"),
        ("]C110A\x1d10B", "two different"),
        ("]C130\x1d10A", "empty|no GS1"),
        ("]C17003261231", "no GS1 element"),
        ("]E3400638133393112345", "no GTIN"),
        ("", "no GTIN"),
        ("٤٠٠٦٣٨١٣٣٣٩٣١", "no GTIN"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    """Nothing is half believed: one element that does not fit refuses the whole label."""
    with pytest.raises(Unusable, match=reason):
        read(text)


@pytest.mark.parametrize(
    ("digits", "year", "expected"),
    [
        ("260331", 2026, "2026-03-31"),
        ("760101", 2026, "2076-01-01"),
        ("770101", 2026, "1977-01-01"),
        ("990101", 2026, "1999-01-01"),
        ("240200", 2026, "2024-02-29"),
        ("250200", 2026, "2025-02-28"),
        ("051200", 2060, "2105-12-31"),
        ("111231", 2060, "2011-12-31"),
        ("101231", 2060, "2110-12-31"),
        ("260331", 1970, "2026-03-31"),
        ("751231", 1970, "2075-12-31"),
        ("760101", 1970, "1976-01-01"),
    ],
)
def test_two_digit_years(digits: str, year: int, expected: str) -> None:
    """49 years back, 50 ahead; day 00 is the last of its month; a clock that was never set counts as 2025."""
    assert gs1_date(digits, year) == expected


def test_a_number_by_itself_says_what_it_lacks() -> None:
    """Without a symbology it might have been an element string."""
    with pytest.raises(Unusable, match="let the scanner send it"):
        gtin_14("123")


def test_a_label_that_can_be_one_thing_only_needs_no_separators() -> None:
    """A last element of fixed length, or one too short to be two, is no doubt."""
    assert read("]C101" + MILK + "17260331", sends_separators=False) == {"gtin": MILK, "expiry": "2026-03-31"}
    assert read("]C110A", sends_separators=False) == {"lot": "A"}


def test_a_lost_separator_never_makes_a_lot() -> None:
    """Without GS between them a lot and what follows look like one lot: refused, unless the scanner was proven."""
    lost = "]C101" + MILK + "10ABC" + "17260331"
    with pytest.raises(Unusable, match=r"\(10\) is ABC17260331, or ABC followed by \(17\).*sends_separators"):
        read(lost, sends_separators=False)
    whole = "]C101" + MILK + "10ABC" + FNC1 + "17260331"
    for proven in (True, False):
        assert read(whole, proven) == {"gtin": MILK, "lot": "ABC", "expiry": "2026-03-31"}
    assert read("]C101" + MILK + "10ABC-X", sends_separators=False)["lot"] == "ABC-X"


LOT = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./", min_size=1, max_size=12)
DAY = st.dates(date(1990, 1, 1), date(2060, 12, 28)).map(lambda day: day.strftime("%y%m%d"))
GTIN = st.integers(0, 10**13 - 1).map(lambda n: f"{n:013}").map(lambda digits: digits + check_digit(digits))
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "01": GTIN,
        "17": DAY,
        "15": DAY,
        "11": DAY,
        "3103": st.integers(0, 999_999).map(lambda n: f"{n:06}"),
        "37": st.integers(1, 99_999_999).map(str),
        "10": LOT,
        "21": LOT,
    },
)
VARIABLE = {"10", "21", "37"}


@given(PARTS, st.permutations(["01", "17", "15", "11", "3103", "37", "10", "21"]))
def test_generated_labels_say_what_biip_says(parts: dict[str, str], order: list[str]) -> None:
    """Any mix of elements in any order: the same lots, dates, weights and counts as biip's own reading."""
    assume(parts)
    text = "".join(ai + parts[ai] + (FNC1 if ai in VARIABLE else "") for ai in order if ai in parts)
    facts = read("]C1" + text)
    oracle = {each.ai.ai: each for each in GS1Message.parse(text.rstrip(FNC1)).element_strings}
    assert set(oracle) == set(parts)
    expected: dict[str, Any] = {
        {"01": "gtin", "10": "lot", "21": "serial"}[ai]: oracle[ai].value for ai in ("01", "10", "21") if ai in oracle
    }
    for ai, name in (("17", "expiry"), ("15", "best_before"), ("11", "produced")):
        if ai in oracle:
            moment = oracle[ai].date
            assert moment is not None
            expected[name] = moment.isoformat()
    if "3103" in oracle:
        expected["net_weight_kg"] = pytest.approx(float(oracle["3103"].decimal or 0))
    if "37" in oracle:
        expected["count"] = float(oracle["37"].value)
    assert facts == expected


@given(PARTS, st.permutations(["01", "17", "15", "11", "3103", "37", "10", "21"]))
def test_a_scanner_that_loses_separators_gives_no_wrong_fact(parts: dict[str, str], order: list[str]) -> None:
    """The same labels with every separator lost: what is believed at all is what stands on the label."""
    assume(parts)
    chosen = [ai for ai in order if ai in parts]
    try:
        facts = read("]C1" + "".join(ai + parts[ai] for ai in chosen), sends_separators=False)
    except Unusable:
        return
    whole = read("]C1" + "".join(ai + parts[ai] + (FNC1 if ai in VARIABLE else "") for ai in chosen))
    assert facts == whole


@given(st.text(st.characters(max_codepoint=127), max_size=40))
def test_any_text_is_a_fact_or_a_refusal(text: str) -> None:
    """Whatever a scanner sends ends in one of two ways."""
    with contextlib.suppress(Unusable):
        assert read_scan(text, sends_separators=False, year=2026)["raw"] == text


@given(st.integers(0, 10**12 - 1).map(lambda n: f"{n:012}"), st.integers(0, 12), st.integers(1, 9))
def test_a_misread_digit_of_an_ean_is_refused(payload: str, place: int, shift: int) -> None:
    """One wrong digit never passes; a right number is biip's number too."""
    right = payload + check_digit(payload)
    assert gtin_14(right) == right.zfill(14)
    oracle = biip.parse("]E0" + right)
    assert oracle.gtin is None or oracle.gtin.as_gtin_14() == right.zfill(14)
    wrong = right[:place] + str((int(right[place]) + shift) % 10) + right[place + 1 :]
    with pytest.raises(Unusable):
        gtin_14(wrong)
