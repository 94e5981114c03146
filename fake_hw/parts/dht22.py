"""Aosong DHT22 / AM2302: forty bits as pulse lengths on one wire, and what the kernel's `dht11` makes of them."""

import errno
import random
from collections.abc import Mapping

from fake_hw.buses.iio import Device
from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_WAIT_US, _RESPONSE_US = 30, 80
_GAP_US, _ZERO_US, _ONE_US, _TAIL_US = 50, 26, 70, 50


class Dht22:
    """Makes the train of pulses that follows a start signal: high, low, high … in microseconds."""

    def __init__(self, condition: Condition, temperature_c: Probe, humidity_pct: Probe, chance: random.Random) -> None:
        self._condition = condition
        self._temperature_c = temperature_c
        self._humidity_pct = humidity_pct
        self._chance = chance

    def train(self) -> list[int]:
        """One measurement, as it arrives; empty when nothing answers."""
        fault = self._condition.fault
        if not self._condition.plugged or fault in {"nack", "stuck"}:
            return []
        number = self._number(fault)
        bits = [number >> place & 1 for place in reversed(range(40))]
        pulses = [_WAIT_US, _RESPONSE_US, _RESPONSE_US]
        for bit in bits:
            pulses += [_GAP_US, _ONE_US if bit else _ZERO_US]
        pulses.append(_TAIL_US)
        if fault == "garbage":
            pulses = pulses[: self._chance.randrange(12, 60)]
        return [max(1, pulse + self._chance.randint(-4, 4)) for pulse in pulses]

    def attributes(self) -> Mapping[str, str | int]:
        """The kernel's two files after one measurement, or the errno they fail with."""
        fault = self._condition.fault
        if not self._condition.plugged or fault in {"nack", "stuck", "garbage"}:
            return dict.fromkeys(("in_temp_input", "in_humidityrelative_input"), errno.ETIMEDOUT)  # too few edges
        frame = self._number(fault).to_bytes(5, "big")
        if _sum(frame[:4]) != frame[4]:
            return dict.fromkeys(("in_temp_input", "in_humidityrelative_input"), errno.EIO)
        magnitude = int.from_bytes(frame[2:4], "big") & 0x7FFF
        milli = -100 * magnitude if frame[2] & 0x80 else 100 * magnitude
        humidity = int.from_bytes(frame[:2], "big") * 100
        return {"in_temp_input": f"{milli}\n", "in_humidityrelative_input": f"{humidity}\n"}

    def _number(self, fault: str) -> int:
        """The forty bits, first bit on top."""
        humidity = min(1000, max(0, round(self._humidity_pct.value() * 10)))
        temperature = min(1250, max(-400, round(self._temperature_c.value() * 10)))
        sign_and_magnitude = abs(temperature) | (0x8000 if temperature < 0 else 0)
        frame = humidity.to_bytes(2, "big") + sign_and_magnitude.to_bytes(2, "big")
        number = int.from_bytes(frame + bytes([_sum(frame)]), "big")
        if fault == "ones":
            number = (1 << 40) - 1
        elif fault == "crc":
            number ^= 0x01
        elif fault == "flip":
            number ^= 1 << self._chance.randrange(40)
        return number


def _sum(frame: bytes) -> int:
    """The checksum, carried through base 256 in columns rather than masked at the end."""
    total = 0
    for byte in frame:
        total = (total + byte) % 256
    return total


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    part = Dht22(condition, probes["temperature"], probes["humidity"], machine.chance)
    if wiring.kind == "iio":
        label = str(wiring.options.get("iio", "dht11"))
        machine.bus("iio").attach(Device("dht11@0", part.attributes, "" if label == "dht11" else label))
    else:
        condition.kinds |= {"hang", "slow"}  # the kernel's driver gives up by itself
        machine.bus("dht").attach(wiring.options["line"], part, condition)


PART = FakePart(
    name="dht22",
    quantities=lambda _wiring: {
        "temperature": Quantity(22.0, noise=0.03, drift_per_s=0.1, tolerance=0.2),
        "humidity": Quantity(48.0, noise=0.1, drift_per_s=0.2, tolerance=0.6),
    },
    faults=VALUE_FAULTS | {"nack", "stuck", "crc", "flip", "ones", "garbage"},
    place=_place,
)
