"""Last values for dashboards."""

import json

import pytest

from gateway.uplink.last_values import LastValues
from tests.recorder.fakes import telemetry


def test_news_of_known_devices_once_a_second() -> None:
    """A device without news or unknown to the configuration is not shown; nothing comes twice within a second."""
    values = LastValues(["fridge"])
    assert values.due(0.0) == []
    values.see(telemetry(1, 3))
    ((device, body),) = values.due(10.0)
    assert device == "fridge"
    assert json.loads(body)["r"] == [{"m": "temperature", "ts": telemetry(1).ts + 20, "v": 3}]
    values.see(telemetry(4, 3))
    assert values.due(10.5) == []
    assert len(values.due(11.0)) == 1
    assert values.due(13.0) == []
    values.watch(["oven"])
    values.see(telemetry(7, 3))
    assert values.due(20.0) == []


def test_a_bad_value_says_why() -> None:
    """Null and the reason go along."""
    values = LastValues(["fridge"])
    values.see(telemetry(1, 1, body=b'[{"d":"fridge","m":"temperature","t":0,"v":null,"q":"BadTimeout"}]'))
    ((_, body),) = values.due(0.0)
    assert json.loads(body)["r"][0] == {"m": "temperature", "ts": telemetry(1).ts, "v": None, "q": "BadTimeout"}


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"{}", b"[1]", b'[{"d":"fridge","m":"x"}]', b'[{"d":"fridge","t":"x"}]']
)
def test_a_body_that_is_no_telemetry_is_passed_over(body: bytes) -> None:
    """Last values are a convenience: what they can't read they leave out."""
    values = LastValues(["fridge"])
    values.see(telemetry(1, 1, body=body))
    assert values.due(0.0) == []


def test_parsing_is_bounded() -> None:
    """At full speed only the first part of each second is parsed."""
    values = LastValues(["fridge"])
    for number in range(1, 100_000, 200):
        values.see(telemetry(number, 200))
    ((_, body),) = values.due(0.0)
    assert json.loads(body)["r"][0]["v"] < 10_000


def test_a_flood_stops_nothing_for_good() -> None:
    """After a second that brought too much and showed nothing, the next one is shown again."""
    values = LastValues(["fridge"])
    flood = telemetry(1, 20_000)
    values.see(flood)
    assert values.due(0.0) == []
    values.see(telemetry(20_001, 3))
    assert len(values.due(1.0)) == 1
