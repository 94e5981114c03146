"""What a barcode says about goods: GTINs, and GS1 element strings split by biip.

Rules: GS1 General Specifications, release 24, sections 3 (application identifiers), 5.1.3 (AIM symbology identifiers),
7.8 (element strings and FNC1), 7.9 (check digits) and 7.12 (two-digit years). Pure but for biip, which is imported
when the first element string comes.
"""

import calendar
import datetime
from collections.abc import Iterator

FNC1 = "\x1d"  # ASCII GS stands for the symbol between two elements
GS1_SYMBOLOGIES = frozenset({"]C1", "]e0", "]e1", "]e2", "]d2", "]Q3", "]J1"})
GTIN_LENGTHS = frozenset({8, 12, 13, 14})
EARLIEST_YEAR = 2025  # no clock is right that says less: a Pi without network begins in the past
Facts = dict[str, str | float]

# application identifier → what we call it; those with three digits and a fourth for the decimals end in "n"
_TEXTS = {"00": "sscc", "10": "lot", "21": "serial"}
_GTINS = {"01": "gtin", "02": "content_gtin"}
_DATES = {"11": "produced", "13": "packed", "15": "best_before", "16": "sell_by", "17": "expiry"}
_COUNTS = {"30": "count", "37": "count"}
_NET_WEIGHT_KG = "310"


class Unusable(ValueError):
    """A scan of which nothing may be believed; the message says why and what to do."""


def read_scan(text: str, *, sends_separators: bool, year: int) -> Facts:
    """What a scan says: gtin, lot, best_before, expiry … (dates ISO), always with symbology and raw.

    text: as the scanner sent it, an AIM symbology identifier in front or not. year: now, by the clock there is.
    Raises Unusable.
    """
    symbology, message = (text[:3], text[3:]) if text.startswith("]") else ("", text)
    if symbology in GS1_SYMBOLOGIES:
        facts = _read_elements(message.lstrip(FNC1), sends_separators, year)
    else:
        facts = {"gtin": gtin_14(message, symbology)}
    return {**facts, "symbology": symbology, "raw": text}


def gtin_14(digits: str, symbology: str = "") -> str:
    """A GTIN-8, -12, -13 or -14 as 14 digits. Raises Unusable for anything else, also for a wrong check digit."""
    if not (digits.isascii() and digits.isdigit() and len(digits) in GTIN_LENGTHS):
        cure = "" if symbology else "; lots and dates need the AIM symbology identifier: let the scanner send it"
        raise Unusable(f"no GTIN of 8, 12, 13 or 14 digits{cure}")
    if not _check_digit_fits(digits):
        raise Unusable("the check digit is wrong: scan again")
    return digits.zfill(14)


def gs1_date(digits: str, year: int) -> str:
    """YYMMDD as an ISO date: within 49 years before and 50 after `year`; day 00 is the month's last. Raises Unusable.

    A `year` before 2025 comes from a clock that has not been set, and counts as 2025.
    """
    now = max(year, EARLIEST_YEAR)
    full = now - now % 100 + int(digits[:2])
    if full - now >= 51:
        full -= 100
    elif full - now <= -50:
        full += 100
    month, day = int(digits[2:4]), int(digits[4:6])
    try:
        return datetime.date(full, month, day or calendar.monthrange(full, month)[1]).isoformat()
    except ValueError:
        raise Unusable(f"{digits} is no date (YYMMDD)") from None


def _read_elements(message: str, sends_separators: bool, year: int) -> Facts:
    facts: Facts = {}
    for ai, value in _elements(message, year):
        name = _name(ai)
        fact = _fact(ai, value, year)
        if name and facts.setdefault(name, fact) != fact:
            raise Unusable(f"two different values for {name}")
    if not sends_separators and FNC1 not in message and (doubt := _doubt(message, year)):
        raise Unusable(
            f"a separator may be lost: {doubt}. Let the scanner send FNC1 as ASCII 29 (GS), "
            "see that it does, and set sends_separators"
        )
    if not facts:
        raise Unusable("no element that is known here")
    return facts


def _elements(message: str, year: int) -> Iterator[tuple[str, str]]:
    """(application identifier, value) one by one. Raises Unusable where a separator is missing or nothing fits."""
    from biip import ParseConfig, ParseError
    from biip.gs1_element_strings import GS1ElementString

    config = ParseConfig(gs1_element_strings_verify_date=False)  # by the clock's century; ours are checked by gs1_date
    rest = message
    if not rest:
        raise Unusable("nothing behind the symbology identifier")
    while rest:
        try:
            element = GS1ElementString.extract(rest, config=config)
        except ParseError:
            raise Unusable(f"no GS1 element begins with {rest[:8]!r}: scan again") from None
        ai, value, rest = element.ai.ai, element.value, rest[len(element) :]
        if rest and element.ai.separator_required and not rest.startswith(FNC1):
            raise Unusable(f"({ai}) runs on past its longest value: a separator is lost")
        if any(not 32 < ord(character) < 127 for character in value):
            raise Unusable(f"({ai}) has a character that GS1 does not allow")
        _fact(ai, value, year)  # a value that is none tells that the message is not what it seems
        yield ai, value
        rest = rest.lstrip(FNC1)


def _doubt(message: str, year: int) -> str:
    """How the last element may be two that ran together, "" when it can't: the scanner is not known to send GS."""
    elements = list(_elements(message, year))
    ai, value = elements[-1]
    if not _is_variable(ai):
        return ""
    for split in range(1, len(value)):
        head, tail = value[:split], value[split:]
        try:
            first = list(_elements(ai + head, year))
            ais = [other for other, _ in _elements(tail, year)]
        except Unusable:
            continue
        if len(first) == 1:
            return f"({ai}) is {value}, or {head} followed by ({ais[0]})"
    return ""


def _is_variable(ai: str) -> bool:
    from biip.gs1_application_identifiers import GS1ApplicationIdentifier

    return GS1ApplicationIdentifier.extract(ai).separator_required


def _name(ai: str) -> str:
    if ai[:3] == _NET_WEIGHT_KG:
        return "net_weight_kg"
    return {**_TEXTS, **_GTINS, **_DATES, **_COUNTS}.get(ai, "")


def _fact(ai: str, value: str, year: int) -> str | float:
    """The value as we tell it. Raises Unusable when it is none."""
    if not value:
        raise Unusable(f"({ai}) is empty")
    if ai in _GTINS:
        return gtin_14(value)
    if ai == "00" and not _check_digit_fits(value):
        raise Unusable("the SSCC's check digit is wrong: scan again")
    if ai in _DATES:
        return gs1_date(value, year)
    if ai in _COUNTS:
        return float(value)
    if ai[:3] == _NET_WEIGHT_KG:
        return float(int(value)) / 10.0 ** int(ai[3])
    return value


def _check_digit_fits(digits: str) -> bool:
    """Weights 3 and 1 from the right, the check digit itself with 1: the sum is a multiple of ten."""
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10 == 0
