"""Hi-Link LD2410 (protocol V1.02): a report every 100 ms, without being asked."""

from collections.abc import Mapping

from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

PERIOD_S = 0.1
_LATE_S = 0.2
_STILL = 2


class Ld2410:
    """Reports in basic mode: still target, moving target, both or none."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes

    def frame(self) -> bytes:
        """The next report."""
        body = [0x02, 0xAA, self._state()]
        for target in ("moving", "still"):
            distance_cm = self._whole(f"{target}_distance", 0xFFFF)
            body += [distance_cm % 256, distance_cm // 256, self._whole(f"{target}_energy", 100)]
        body += [0x00, 0x00, 0x55, 0x00]
        return bytes([0xF4, 0xF3, 0xF2, 0xF1, len(body), 0, *body, 0xF8, 0xF7, 0xF6, 0xF5])

    def _state(self) -> int:
        if self._probes["presence"].value() < 0.5:
            return 0
        moving = 1 if self._whole("moving_energy", 100) else 0
        return (_STILL if self._whole("still_energy", 100) or not moving else 0) + moving

    def _whole(self, name: str, highest: int) -> int:
        return min(highest, max(0, round(self._probes[name].value())))


def _damaged(frame: bytes, condition: Condition, machine: Machine) -> bytes:
    fault = condition.fault
    if fault in {"nack", "hang"}:
        return b""
    if fault == "ones":
        return b"\xff" * len(frame)
    if fault == "garbage":
        return machine.chance.randbytes(len(frame))
    if fault == "half":
        return frame[: len(frame) // 2]
    if fault == "flip":
        place, bit = divmod(machine.chance.randrange(8 * len(frame)), 8)
        return frame[:place] + bytes([frame[place] ^ 1 << bit]) + frame[place + 1 :]
    return frame


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Ld2410(machine.probes(name, PART, wiring, condition))
    port = machine.bus(wiring.kind, wiring.device)
    port.attach(condition)

    def stream() -> None:
        frame = _damaged(part.frame(), condition, machine)
        machine.loop.after(_LATE_S if condition.fault == "slow" else 0.0, lambda: port.send(frame))

    machine.loop.every(PERIOD_S, stream)


PART = FakePart(
    name="ld2410",
    quantities=lambda _wiring: {
        "presence": Quantity(1.0, drift_per_s=0.0),
        "moving_distance": Quantity(180.0, drift_per_s=5.0, tolerance=0.6),
        "moving_energy": Quantity(70.0, drift_per_s=1.0, tolerance=0.6),
        "still_distance": Quantity(210.0, drift_per_s=5.0, tolerance=0.6),
        "still_energy": Quantity(55.0, drift_per_s=1.0, tolerance=0.6),
    },
    faults=frozenset({"nack", "hang", "slow", "ones", "garbage", "half", "flip"}) | VALUE_FAULTS,
    place=_place,
)
