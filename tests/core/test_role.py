"""Who may do what: the table of docs/local-protocol.md, row by row."""

import csv
from pathlib import Path

import pytest

from gateway.core.role import ALLOWED, WRITE_SLOT, Role, Verb

PAGE = Path(__file__).parents[2] / "docs" / "local-protocol.md"
ORACLE = Path(__file__).parents[1] / "oracles" / "bacnet_priority.csv"
MATRIX = {
    Verb.SET: {Role.OPERATOR, Role.INSTALLER, Role.RECORDER},
    Verb.RELEASE: {Role.OPERATOR, Role.INSTALLER, Role.RECORDER},
    Verb.ACK: {Role.OPERATOR, Role.INSTALLER},
    Verb.SHELVE: {Role.OPERATOR, Role.INSTALLER},
    Verb.UNSHELVE: {Role.OPERATOR, Role.INSTALLER},
    Verb.RESET: {Role.INSTALLER},
    Verb.BYPASS: {Role.INSTALLER},
    Verb.SIM: {Role.INSTALLER},
    Verb.RELOAD: {Role.INSTALLER},
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("verb", Verb)
def test_matrix(role: Role, verb: Verb) -> None:
    """Each role may do exactly what the matrix says."""
    assert (verb in ALLOWED[role]) is (role in MATRIX[verb])


def test_the_page_says_the_same() -> None:
    """The table of verbs in the protocol's page names the same roles."""
    told: dict[str, set[str]] = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].startswith("`"):
            verbs = [verb.strip(" `") for verb in cells[0].split(",")]
            known = [verb for verb in verbs if verb in set(Verb)]
            who = set(cells[3].replace(" simulated runs only", "").replace(",", " ").split())
            told.update(dict.fromkeys(known, told["set"] if who == {"same"} else who))
    assert told == {verb.value: {role.value for role in roles} for verb, roles in MATRIX.items()}


def test_people_write_no_safety_slot() -> None:
    """The slots that peers write are those the oracle gives to people and the cloud, never 1 to 7."""
    rows = {int(row["level"]): row["who_may_write"] for row in csv.DictReader(ORACLE.open())}
    assert set(WRITE_SLOT) == MATRIX[Verb.SET]
    for role, slot in WRITE_SLOT.items():
        assert slot > 7
        assert ("cloud" in rows[slot]) is (role is Role.RECORDER)
        assert "with expiry" in rows[slot]
