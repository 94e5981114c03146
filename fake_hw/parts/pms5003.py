"""Plantower PMS5003 (manual of 2016, version 2.3) in active mode: frames of 32 bytes with a sum."""

import struct
from collections.abc import Mapping

from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

PERIOD_S = 0.25  # fast mode, while the concentration changes, has 0.2 to 0.8 s; stable mode 2.3 s
_LATE_S = 0.2
_SIZES = ("pm1", "pm2_5", "pm10")
_VERSION = 0x97


class Pms5003:
    """Values under the factory's calibration (CF = 1) and of the room's air differ above 30 µg/m³."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self.error_code = 0

    def frame(self, blind: bool = False) -> bytes:
        """The next frame of the stream; a blind part sees nothing at all."""
        room = [0 if blind else min(65535, max(0, round(self._probes[each].value()))) for each in _SIZES]
        factory = [value if value <= 30 else min(65535, value * 3 // 2) for value in room]
        counts = [0] * 6 if blind else [min(65535, room[2] * share + 60 // share) for share in (90, 30, 8, 3, 2, 1)]
        head = struct.pack(">2sH12H2B", b"BM", 28, *factory, *room, *counts, _VERSION, self.error_code)
        return head + struct.pack(">H", sum(head))


def damaged(frame: bytes, condition: Condition, machine: Machine) -> bytes:
    """The frame as the fault lets it through. `blind` (fan or laser stands still) is no matter of the line."""
    fault = condition.fault
    if fault in {"nack", "hang"}:
        return b""
    if fault == "ones":
        return b"\xff" * len(frame)
    if fault == "garbage":
        return machine.chance.randbytes(len(frame))
    if fault == "crc":
        return frame[:-1] + bytes((frame[-1] ^ 0x5A,))
    if fault == "flip":
        bit = machine.chance.randrange(8 * len(frame))
        return (int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(len(frame), "big")
    return frame


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Pms5003(machine.probes(name, PART, wiring, condition))
    port = machine.bus(wiring.kind, wiring.device)
    port.attach(condition)

    def stream() -> None:
        frame = damaged(part.frame(condition.fault == "blind"), condition, machine)
        machine.loop.after(_LATE_S if condition.fault == "slow" else 0.0, lambda: port.send(frame))

    machine.loop.every(PERIOD_S, stream)


PART = FakePart(
    name="pms5003",
    quantities=lambda _wiring: {
        "pm1": Quantity(5.0, noise=0.1, drift_per_s=20.0, tolerance=1.2),
        "pm2_5": Quantity(9.0, noise=0.1, drift_per_s=20.0, tolerance=1.2),
        "pm10": Quantity(12.0, noise=0.1, drift_per_s=20.0, tolerance=1.2),
    },
    faults=frozenset({"nack", "hang", "slow", "ones", "garbage", "crc", "flip", "blind"}) | VALUE_FAULTS,
    place=_place,
)
