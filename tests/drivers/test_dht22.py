"""DHT22: plausibility, and the sensor behind adafruit_dht."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dht22 import SPEC, Dht22, check, decode
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected
from tests.drivers.wire import Wire, values

Tell = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("values", [(-40.1, 50.0), (80.1, 50.0), (20.0, 100.1), (20.0, -0.1), (0.0, 0.0)])
def test_what_it_can_not_measure_is_refused(values: tuple[float, float]) -> None:
    """The additive checksum is weak: values beyond the part's range, and the empty frame, are damage."""
    with pytest.raises(InvalidData):
        check(*values)


@given(st.integers(-32768, 32767), st.integers(0, 65535))
def test_any_frame_is_a_possible_value_or_refused(temperature: int, humidity: int) -> None:
    """Whatever tenths a frame holds, through the kernel's text: the part's range, or InvalidData."""
    texts = (f"{temperature * 100}\n", f"{humidity * 100}\n")
    try:
        temperature_c, humidity_pct = check(*(decode(text) for text in texts))
    except InvalidData:
        return
    assert -40 <= temperature_c <= 80
    assert 0 <= humidity_pct <= 100
    assert (temperature_c, humidity_pct) == (temperature / 10, humidity / 10)


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    """What the kernel might write: a number, or InvalidData and no other error."""
    try:
        number = int(text)
    except ValueError:
        with pytest.raises(InvalidData, match="instead of thousandths"):
            decode(text)
        return
    assert decode(text) == number / 1000


def test_the_limits_are_values() -> None:
    """The ends of the range are allowed; the data sheet wants two seconds between two measurements."""
    assert SPEC.min_every_s == 2.0
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


@pytest.mark.parametrize(("text", "value"), [("24300\n", 24.3), ("-18400\n", -18.4), ("0", 0.0)])
def test_the_kernels_text(text: str, value: float) -> None:
    """Thousandths, as IIO writes them."""
    assert decode(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "\n", "24.3", "nan"])
def test_another_text_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidData, match="thousandths"):
        decode(text)


@pytest.mark.parametrize(("temperature", "humidity"), [(-39.9, 99.9), (-0.1, 50.0), (24.3, 61.7), (79.9, 0.1)])
def test_through_the_kernel(wire: Wire, temperature: float, humidity: float) -> None:
    """The IIO driver's values are the part's, below zero too."""
    wire.place("dht22", "iio", "")
    wire.set(temperature=temperature, humidity=humidity)
    seen = values(wire.open().read())
    assert (seen["temperature"], seen["humidity"]) == pytest.approx((temperature, humidity), abs=0.6)


def test_two_behind_the_kernel_are_told_apart(wire: Wire) -> None:
    """By the label in the device tree."""
    wire.place("dht22", "iio", "", iio="cellar")
    assert len(wire.open().read()) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("nack", DeviceTimeout),
        ("stuck", DeviceTimeout),
        ("garbage", DeviceTimeout),
        ("crc", DeviceError),
        ("flip", DeviceError),
        ("ones", DeviceError),
    ],
)
def test_the_kernels_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """A silent part and a disturbed frame end in the kernel's errno, and in values again when it is over."""
    wire.place("dht22", "iio", "")
    sensor = wire.open()
    assert len(sensor.read()) == 2
    wire.fault(fault)
    with pytest.raises(error) as caught:
        sensor.read()
    assert type(caught.value) is error
    wire.fault("none")
    assert len(sensor.read()) == 2


def test_unplugged_and_the_driver_gone(wire: Wire) -> None:
    """A wire that is off is silence; without the overlay there is no device."""
    wire.place("dht22", "iio", "")
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(DeviceTimeout):
        sensor.read()
    wire.plug(True)
    wire.machine.plug("iio", False)
    with pytest.raises(NotConnected, match="no kernel device is called dht11"):
        sensor.read()
    wire.machine.plug("iio", True)
    assert len(sensor.read()) == 2


def test_the_kernel_comes_first() -> None:
    """The kernel's driver runs in control, the Python library in a process that may hang."""
    assert SPEC.buses == ("iio", "dht")
    assert (SPEC.process_on("iio"), SPEC.process_on("dht")) == ("control", "field")
