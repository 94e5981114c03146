"""MQ gas sensor: its curve, and that nothing of it is ever Good but the heater's state."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mq_gas import MqGas, Options, decode
from gateway.core.errors import SensorFailure
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Sample
from tests.drivers.wire import Wire, values

MQ2 = Options(0x49, 0, 9800.0, divider=2.0)


def test_the_curves_reference_point() -> None:
    """Rs = R0 is `scale` ppm; a lower resistance is more gas."""
    at_r0 = 5000 / (5000 + 9800) * 2.5
    assert decode(at_r0, MQ2) == pytest.approx(574.25, rel=1e-3)
    assert decode(at_r0 * 1.1, MQ2) > 650


@given(st.floats(-0.3, 6.1))
def test_any_voltage_is_a_concentration_or_a_failure(volts: float) -> None:
    """No voltage gives nonsense: a finite number above 0, or SensorFailure at both ends."""
    try:
        assert 0 < decode(volts, MQ2) < 1e9
    except SensorFailure:
        assert not 0.02 < volts < 2.4


def test_the_ends_of_what_a_sensor_can_be() -> None:
    """0.4 % and 98 % of the supply are still a sensor; beyond them its wire is cut or it is shorted."""
    plain = Options(0x49, 0, 9800.0, supply_v=1.0)
    assert decode(0.004, plain) == pytest.approx(574.25 * (5000 * (1 / 0.004 - 1) / 9800) ** -2.222)
    assert decode(0.98, plain) == pytest.approx(574.25 * (5000 * (1 / 0.98 - 1) / 9800) ** -2.222)
    for volts, words in ((0.00399, "wire is cut"), (0.981, "short-circuited")):
        with pytest.raises(SensorFailure, match=words):
            decode(volts, plain)


def test_options_that_can_not_be() -> None:
    """A curve without length, and a signal the converter can't see."""
    with pytest.raises(ValueError, match="must be above lowest"):
        Options(0x49, 0, 9800.0, lowest=500.0, highest=500.0)
    with pytest.raises(ValueError, match="sees at most"):
        Options(0x49, 0, 9800.0, supply_v=12.0)


@pytest.mark.parametrize("ppm", [200.0, 1000.0, 10000.0])
def test_reads_the_simulated_gas_and_never_calls_it_good(wire: Wire, ppm: float) -> None:
    """Within the curve the value is right, and its quality says that it is an indication."""
    wire.place("mq_gas")
    wire.set(concentration=ppm)
    concentration, warm = wire.open().read()
    assert concentration.value == pytest.approx(ppm, rel=0.03)
    doubt = Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
    assert concentration == Sample("concentration", concentration.value, doubt, "an indication, no measurement")
    assert warm == Sample("warm", False)


def test_the_heater_has_its_time(wire: Wire) -> None:
    """`warm` becomes true after the warm-up; a driver opened anew begins again."""
    wire.place("mq_gas")
    now = [0.0]
    made: dict[str, Any] = {"sleep": wire.timer.sleep, "monotonic": lambda: now[0]}
    sensor: MqGas = wire.open(**made)
    for now[0], warm in ((179.9, False), (180.0, True), (9999.0, True)):
        assert values(sensor.read())["warm"] is warm
    assert values(wire.open(**made).read())["warm"] is False


@pytest.mark.parametrize("fault", ["cut", "short"])
def test_a_broken_sensor_is_not_clean_air(wire: Wire, fault: str) -> None:
    """No current, or the whole supply, is no concentration."""
    wire.place("mq_gas")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(SensorFailure) as failed:
        sensor.read()
    assert failed.value.reason.quality is Quality.BAD
