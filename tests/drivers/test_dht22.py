"""DHT22: plausibility, and the sensor behind adafruit_dht."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.dht22 import Dht22, check
from gateway.core.errors import InvalidData, NotConnected

Tell = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("values", [(-40.1, 50.0), (80.1, 50.0), (20.0, 100.1), (20.0, -0.1), (0.0, 0.0)])
def test_what_it_can_not_measure_is_refused(values: tuple[float, float]) -> None:
    """The additive checksum is weak: values beyond the part's range, and the empty frame, are damage."""
    with pytest.raises(InvalidData):
        check(*values)


def test_the_limits_are_values() -> None:
    """The ends of the range are allowed."""
    assert check(-40.0, 100.0) == (-40.0, 100.0)
    assert check(80.0, 0.0) == (80.0, 0.0)


def test_a_failed_measurement_is_an_error_and_not_the_last_value() -> None:
    """Nothing is remembered between two reads."""
    answers: list[Any] = [(21.0, 50.0), NotConnected("gone"), (22.0, 51.0)]

    class Wire:
        def measure(self) -> tuple[float, float]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]  # a scripted pair

    sensor = Dht22(Wire())
    assert [sample.value for sample in sensor.read()] == [21.0, 50.0]
    with pytest.raises(NotConnected):
        sensor.read()
    assert [sample.value for sample in sensor.read()] == [22.0, 51.0]


def outcome(sensor: Any) -> Any:
    """What a read gives or raises. A starved machine misses the library's window of 0.25 s: then again."""
    for _ in range(5):
        try:
            return sensor.read()
        except NotConnected:
            continue
        except InvalidData as error:
            return error
    raise AssertionError("nothing was heard from a sensor that is plugged in, five times")


def test_through_the_real_library(device: Callable[..., Any], tell: Tell) -> None:
    """adafruit_dht decodes the simulated pulses; unplugged at once after a good value it does not repeat that value."""
    sensor = device("dht22")
    temperature, humidity = outcome(sensor)
    assert 10 < temperature.value < 35
    assert 20 < humidity.value < 90
    tell("unplug dry_store_air")
    with pytest.raises(NotConnected, match="GPIO4"):
        sensor.read()


@pytest.mark.parametrize("fault", ["crc", "garbage"])
def test_a_disturbed_frame_is_refused(device: Callable[..., Any], tell: Tell, fault: str) -> None:
    """A wrong checksum or lost pulses give InvalidData."""
    sensor = device("dht22")
    tell(f"fault dry_store_air {fault}")
    refused = outcome(sensor)
    assert isinstance(refused, InvalidData)
    assert "GPIO4" in str(refused)
