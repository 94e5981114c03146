"""What Eastron's SDM meters share: floats in input registers, an even address each, zeros in between."""

from collections.abc import Callable, Mapping

from fake_hw.faults import Probe
from fake_hw.machine import FakePart, Machine, Wiring
from fake_hw.parts.modbus_slave import RegisterSlave, put, words

_LAST = 0x0159
_DELIVERED = 1  # the unit number it has when new


def sdm(addresses: Mapping[str, int], measured: Callable[[str], float]) -> RegisterSlave:
    """A meter's controller. addresses: channel → its input register; measured: channel → what flows now."""
    inputs = dict.fromkeys(range(_LAST + 1), 0)

    def measure() -> None:
        for channel, at in addresses.items():
            put(inputs, at, words("f32", "ABCD", measured(channel)))

    return RegisterSlave(inputs=inputs, before=measure)


def place(machine: Machine, name: str, wiring: Wiring, part: FakePart, addresses: Mapping[str, int]) -> None:
    """Put a meter on its line."""
    condition = machine.condition(name, part.faults)
    probes: dict[str, Probe] = machine.probes(name, part, wiring, condition)
    unit = wiring.options.get("unit", _DELIVERED)
    slave = sdm(addresses, lambda channel: probes[channel].value())
    machine.bus(wiring.kind, wiring.device or wiring.url).attach(unit, slave, condition, wiring.baud)
