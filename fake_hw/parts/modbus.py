"""Any part with Modbus registers: its controller's tables, laid out as the site file's register map says."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from fake_hw.buses.modbus import MODBUS_FAULTS
from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.modbus_slave import RegisterSlave, put, words

_WRITTEN: dict[str, Any] = {
    "kind": "holding",
    "type": "u16",
    "order": "ABCD",
    "bit": 0,
    "scale": 1.0,
    "offset": 0.0,
    "low": None,
    "high": None,
    "values": {},
    "invalid": (),
}
_NO_VALUE = "no_value"  # the fault: a broken probe, which the part shows by its mark
_NAN = {"f32": 0x7FC00000, "f64": 0x7FF8000000000000}
_FLOAT_ERROR = 1e-6
_START = 20.0


def _registers(wiring: Wiring) -> dict[str, dict[str, Any]]:
    """The map with every key there is, from the driver's options or a snapshot's plain data."""
    return {
        name: _WRITTEN | (asdict(each) if is_dataclass(each) and not isinstance(each, type) else dict(each))
        for name, each in wiring.options["registers"].items()
    }


def _is_bit(register: Mapping[str, Any]) -> bool:
    return register["kind"] in {"coil", "discrete"} or register["type"] == "bit"


def _quantity(register: Mapping[str, Any]) -> Quantity:
    if _is_bit(register):
        return Quantity(1.0)
    if register["values"]:
        return Quantity(float(next(iter(register["values"].values()))))
    low, high = register["low"], register["high"]
    start = _START if low is None or high is None else (low + high) / 2
    is_float = register["type"].startswith("f")
    error = abs(start) * _FLOAT_ERROR if is_float else 0.5 * abs(register["scale"])
    return Quantity(start, drift_per_s=max(0.1, abs(start) / 20), tolerance=error + 0.001)


class _Controller:
    """Writes what the probes sense into the slave's tables."""

    def __init__(
        self, registers: Mapping[str, Mapping[str, Any]], probes: Mapping[str, Probe], condition: Condition
    ) -> None:
        self._registers = registers
        self._probes = probes
        self._condition = condition
        self._tables: dict[str, dict[int, int]] = {"coil": {}, "discrete": {}, "holding": {}, "input": {}}
        self.slave = RegisterSlave(
            coils=self._tables["coil"],
            discretes=self._tables["discrete"],
            holdings=self._tables["holding"],
            inputs=self._tables["input"],
            before=self.measure,
        )

    def measure(self) -> None:
        for name, register in self._registers.items():
            self._show(register, self._probes[name].value())

    def _show(self, register: Mapping[str, Any], value: float) -> None:
        table, at = self._tables[register["kind"]], int(register["at"])
        if register["type"] == "bit":
            mask = 1 << register["bit"]
            table[at] = table.get(at, 0) & ~mask | (mask if value >= 0.5 else 0)
        elif _is_bit(register):
            table[at] = int(value >= 0.5)
        else:
            put(table, at, self._words(register, value))

    def _words(self, register: Mapping[str, Any], value: float) -> tuple[int, ...]:
        kind, order = register["type"], register["order"]
        if self._condition.fault == _NO_VALUE and (register["invalid"] or kind in _NAN):
            mark = int(register["invalid"][0]) if register["invalid"] else _NAN[kind]
            width = 64 if kind.endswith("64") else 32 if kind.endswith("32") else 16
            return words(f"u{width}", order, mark % (1 << width))
        if register["values"]:
            return words(kind, order, _count_of(register["values"], value))
        return words(kind, order, (value - register["offset"]) / register["scale"])


def _count_of(values: Mapping[Any, Any], value: float) -> int:
    """The count that stands for this meaning."""
    return min((int(count) for count in values), key=lambda count: abs(float(_meaning(values, count)) - value))


def _meaning(values: Mapping[Any, Any], count: int) -> Any:
    """A snapshot has numbers as text where they are keys."""
    return values[count] if count in values else values[str(count)]


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    controller = _Controller(_registers(wiring), machine.probes(name, PART, wiring, condition), condition)
    bus = machine.bus(wiring.kind, wiring.device or wiring.url)
    bus.attach(wiring.options["unit"], controller.slave, condition, wiring.baud)


PART = FakePart(
    name="modbus",
    quantities=lambda wiring: {name: _quantity(register) for name, register in _registers(wiring).items()},
    faults=MODBUS_FAULTS | VALUE_FAULTS | {_NO_VALUE},
    place=_place,
)
