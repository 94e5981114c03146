"""Thermocouples by ITS-90: millivolts to degrees with NIST's inverse polynomials, and back by solving them.

NIST Monograph 175, tables A3.1, A4.1, A5.1, A9.1: the inverse functions are within 0.06 °C of the reference functions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from gateway.core.errors import InvalidData

Kind = Literal["K", "J", "N", "T"]
# Where the inverse functions hold, and what a wire of this kind bears, °C.
RANGES_C: Mapping[Kind, tuple[float, float]] = {
    "K": (-200, 1372),
    "J": (-210, 1200),
    "N": (-200, 1300),
    "T": (-200, 400),
}
# kind → (up to this many millivolts, coefficients from the constant up)
_INVERSE: Mapping[Kind, Sequence[tuple[float, tuple[float, ...]]]] = {
    "K": (
        (0.0, (0.0, 2.5173462e1, -1.1662878, -1.0833638, -8.977354e-1, -3.7342377e-1, -8.6632643e-2,
                -1.0450598e-2, -5.1920577e-4)),
        (20.644, (0.0, 2.508355e1, 7.860106e-2, -2.503131e-1, 8.31527e-2, -1.228034e-2, 9.804036e-4,
                -4.41303e-5, 1.057734e-6, -1.052755e-8)),
        (54.886, (-1.318058e2, 4.830222e1, -1.646031, 5.464731e-2, -9.650715e-4, 8.802193e-6, -3.11081e-8)),
    ),
    "J": (
        (0.0, (0.0, 1.9528268e1, -1.2286185, -1.0752178, -5.9086933e-1, -1.7256713e-1, -2.8131513e-2,
                -2.396337e-3, -8.3823321e-5)),
        (42.919, (0.0, 1.978425e1, -2.001204e-1, 1.036969e-2, -2.549687e-4, 3.585153e-6, -5.344285e-8, 5.09989e-10)),
        (69.553, (-3.11358187e3, 3.00543684e2, -9.9477323, 1.7027663e-1, -1.43033468e-3, 4.73886084e-6)),
    ),
    "N": (
        (0.0, (0.0, 3.8436847e1, 1.1010485, 5.2229312, 7.2060525, 5.8488586, 2.7754916, 7.7075166e-1,
                1.1582665e-1, 7.3138868e-3)),
        (20.613, (0.0, 3.86896e1, -1.08267, 4.70205e-2, -2.12169e-6, -1.17272e-4, 5.3928e-6, -7.98156e-8)),
        (47.513, (1.972485e1, 3.300943e1, -3.915159e-1, 9.855391e-3, -1.274371e-4, 7.767022e-7)),
    ),
    "T": (
        (0.0, (0.0, 2.5949192e1, -2.1316967e-1, 7.9018692e-1, 4.2527777e-1, 1.3304473e-1, 2.0241446e-2, 1.2668171e-3)),
        (20.872, (0.0, 2.5928e1, -7.602961e-1, 4.637791e-2, -2.165394e-3, 6.048144e-5, -7.293422e-7)),
    ),
}  # fmt: skip
_LOWEST_MV: Mapping[Kind, float] = {"K": -5.891, "J": -8.095, "N": -3.990, "T": -5.603}


def temperature_c(kind: Kind, voltage_mv: float) -> float:
    """°C of a junction's voltage against a reference junction at 0 °C. Raises InvalidData beyond the polynomials."""
    if voltage_mv >= _LOWEST_MV[kind]:
        for highest_mv, coefficients in _INVERSE[kind]:
            if voltage_mv <= highest_mv:
                return _polynomial(coefficients, voltage_mv)
    raise InvalidData(
        f"{voltage_mv:.3f} mV is more than a type {kind} thermocouple can give: "
        "is another type connected, or are its wires swapped?"
    )


def voltage_mv(kind: Kind, temperature: float) -> float:
    """Millivolts of a junction at this many °C, by halving: the inverse of `temperature_c`."""
    low_mv, high_mv = _LOWEST_MV[kind], _INVERSE[kind][-1][0]
    return _solve(lambda middle: temperature_c(kind, middle), temperature, low_mv, high_mv)


def _solve(rising: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
