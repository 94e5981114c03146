"""Aosong DHT22 / AM2302: forty bits as pulse lengths on one wire."""

import random

from fake_hw.faults import Condition, Probe

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
        bits = self._bits(fault)
        pulses = [_WAIT_US, _RESPONSE_US, _RESPONSE_US]
        for bit in bits:
            pulses += [_GAP_US, _ONE_US if bit else _ZERO_US]
        pulses.append(_TAIL_US)
        if fault == "garbage":
            pulses = pulses[: self._chance.randrange(12, 60)]
        return [max(1, pulse + self._chance.randint(-4, 4)) for pulse in pulses]

    def _bits(self, fault: str) -> list[int]:
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
        return [number >> place & 1 for place in reversed(range(40))]


def _sum(frame: bytes) -> int:
    """The checksum, carried through base 256 in columns rather than masked at the end."""
    total = 0
    for byte in frame:
        total = (total + byte) % 256
    return total
