"""Texas Instruments TCA9548A (SCPS207): one control register, a bit per channel."""

from fake_hw.faults import BUS_FAULTS
from fake_hw.machine import FakePart, Machine, Wiring


class Tca9548a:
    """Connects the channels whose bits are set. `selected`: the control register."""

    def __init__(self) -> None:
        self.selected = 0

    def write(self, data: bytes) -> None:
        """Every byte goes to the control register; the last one stays."""
        if data:
            self.selected = data[-1]

    def read(self, length: int) -> bytes:
        """The control register, over and over."""
        return bytes([self.selected]) * length

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def power_off(self) -> None:
        """No channel is connected after a power-up."""
        self.selected = 0


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    machine.bus(wiring.kind, wiring.device).attach(wiring.options["address"], Tca9548a(), condition)


PART = FakePart(
    name="tca9548a",
    quantities=lambda _wiring: {},
    faults=BUS_FAULTS - {"crc"},
    place=_place,
)
