"""Units by UCUM code (unitsofmeasure.org) and the exact linear conversions between those of one kind."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: `kind` groups what may be compared; value_in_base = value * scale + offset."""

    code: str
    kind: str
    scale: float = 1.0
    offset: float = 0.0


_UNITS = (
    Unit("1", "number"),
    Unit("Cel", "temperature"),
    Unit("[degF]", "temperature", 5 / 9, -160 / 9),
    Unit("K", "temperature", 1.0, -273.15),
    Unit("%", "percent"),
    Unit("%{RH}", "relative humidity"),
    Unit("%{LEL}", "lower explosive limit"),
    Unit("[ppm]", "concentration"),
    Unit("ug/m3", "mass concentration"),
    Unit("mg/m3", "mass concentration", 1000.0),
    Unit("{index}", "index"),
    Unit("V", "voltage"),
    Unit("mV", "voltage", 0.001),
    Unit("A", "current"),
    Unit("mA", "current", 0.001),
    Unit("Ohm", "resistance"),
    Unit("kOhm", "resistance", 1000.0),
    Unit("W", "power"),
    Unit("kW", "power", 1000.0),
    Unit("W.h", "energy"),
    Unit("kW.h", "energy", 1000.0),
    Unit("Hz", "frequency"),
    Unit("g", "mass", 0.001),
    Unit("kg", "mass"),
    Unit("[lb_av]", "mass", 0.45359237),
    Unit("Pa", "pressure"),
    Unit("hPa", "pressure", 100.0),
    Unit("lx", "illuminance"),
    Unit("dB[SPL]", "sound pressure level"),
    Unit("cm", "length", 0.01),
    Unit("m", "length"),
    Unit("L", "volume", 0.001),
    Unit("m3", "volume"),
    Unit("L/min", "flow", 0.06),
    Unit("L/h", "flow", 0.001),
    Unit("m3/h", "flow"),
    Unit("/min", "rate", 60.0),
    Unit("/h", "rate"),
    Unit("ms", "time", 0.001),
    Unit("s", "time"),
    Unit("min", "time", 60.0),
    Unit("h", "time", 3600.0),
    Unit("d", "time", 86400.0),
)
UNITS: dict[str, Unit] = {unit.code: unit for unit in _UNITS}

_QUANTITY = re.compile(r"\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(\S+)?\s*")


def convert(value: float, source: str, target: str) -> float:
    """`value` in unit `target`. Raises ValueError for an unknown code or units of different kinds."""
    if source == target:
        return value
    from_unit, to_unit = _known(source), _known(target)
    if from_unit.kind != to_unit.kind:
        raise ValueError(f"{source} is {from_unit.kind}, {target} is {to_unit.kind}: they can't be compared")
    return (value * from_unit.scale + from_unit.offset - to_unit.offset) / to_unit.scale


def convert_difference(value: float, source: str, target: str) -> float:
    """A difference (an offset, a hysteresis) of `value` in unit `target`: the zero point does not count."""
    convert(0.0, source, target)
    return value * UNITS[source].scale / UNITS[target].scale


def parse_quantity(text: str) -> tuple[float, str]:
    """`"5 min"` → (5.0, "min"); a bare number has unit "1". Raises ValueError saying what is wrong."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number with a unit (write it as '5 min' or '-0.2 Cel')")
    return float(match[1]), _known(match[2] or "1").code


def _known(code: str) -> Unit:
    try:
        return UNITS[code]
    except KeyError:
        raise ValueError(f"unknown unit {code!r}; known: {', '.join(UNITS)}") from None
