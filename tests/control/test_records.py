"""Rows are the bytes of docs/local-protocol.md."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.records import RowWriter, event_rows
from gateway.core.event import Event, EventClass
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Reading

MS = 1_000_000


def test_rows_are_the_documented_bytes() -> None:
    """Good values carry no quality, others do, a Bad one has null; switches are true and false."""
    readings = [
        Reading("walkin_air.temperature", 3.72, Reason.GOOD, 5 * MS),
        Reading("walkin_door.open", True, Reason.GOOD, 6 * MS),
        Reading("gas.concentration", None, Reason.BAD_SENSOR_FAILURE, 7 * MS, "wire"),
        Reading("gateway/recorder.backlog", 0, Reason.GOOD, 7 * MS),
        Reading("oven.temperature", 401.0, Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, 8 * MS),
    ]
    assert RowWriter().telemetry(readings, 5).decode() == (
        '[{"d":"walkin_air","m":"temperature","t":0,"v":3.72},'
        '{"d":"walkin_door","m":"open","t":1,"v":true},'
        '{"d":"gas","m":"concentration","t":2,"v":null,"q":"BadSensorFailure"},'
        '{"d":"gateway/recorder","m":"backlog","t":2,"v":0},'
        '{"d":"oven","m":"temperature","t":3,"v":401.0,"q":"UncertainEngineeringUnitsExceeded"}]'
    )


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1).filter(lambda name: not any("\ud800" <= c <= "\udfff" for c in name)),
            st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
            st.sampled_from(list(Reason)),
        ),
        max_size=20,
    )
)
def test_any_reading_is_valid_json_and_survives(rows: list[tuple[str, float | bool, Reason]]) -> None:
    """Whatever names and values: a standard parser reads back exactly what was written."""
    readings = [
        Reading(f"{name}.x", None if reason.quality is Quality.BAD else value, reason, 9 * MS)
        for name, value, reason in rows
    ]
    parsed = json.loads(RowWriter().telemetry(readings, 9))
    assert [(row["d"], row["v"], row.get("q", "Good")) for row in parsed] == [
        (reading.point.rpartition(".")[0], reading.value, reading.reason.value) for reading in readings
    ]


def test_events_keep_their_data_and_their_language() -> None:
    """Subject, what, time and data, in UTF-8 as written."""
    event = Event(EventClass.ALARM, "gas_warning", "UNACK", 12 * MS, {"text": "가스", "inputs": {"gas.x": None}})
    body = event_rows([event], 10)
    assert "가스".encode() in body
    assert json.loads(body) == [
        {"s": "gas_warning", "w": "UNACK", "t": 2, "x": {"text": "가스", "inputs": {"gas.x": None}}}
    ]
