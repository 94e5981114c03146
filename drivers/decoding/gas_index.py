"""The VOC and NOx index of Sensirion's SGP4x ticks: how far the air is from what the room has learnt to be normal.

After Sensirion's "Gas Index Algorithm" (application note "SGP41 VOC and NOx Index", version 3.2 of the published
software), with its default tuning and a sampling interval of 1 s. 100 (VOC) and 1 (NOx) are the room's average, 500 is
the end of the scale.
"""

import math
from dataclasses import dataclass, field

BLACKOUT_S = 45
HOURS_12 = 12 * 3600.0
INITIAL_VARIANCE_TAU_S = 2500.0
INITIAL_DEVIATION = 50.0  # ticks
DEVIATION_BONUS = 220.0  # ticks
GAIN = 230.0
TOP = 500.0
FORGETTING = 0.01  # per second: how sharply learning turns from fast to slow
GATE_INITIAL, GATE_SLOPE = 510.0, 0.09
GATE_RATIO = 0.3
FILTER_FAST_S, FILTER_SLOW_S, FILTER_SLOPE = 20.0, 500.0, -0.2
LONGEST_UPTIME_S = 32766.0  # the published algorithm's clocks stop here
SATURATED_TICKS = 65000
SPAN_TICKS = 32767
LOWEST_INDEX = 0.5
STEEPEST = 500.0  # beyond it the step is 0 to a float; exp has no such end


@dataclass(frozen=True, slots=True)
class Gas:
    """What differs between the two signals. Times in seconds, ticks as the part sends them.

    deviation: ticks that one standard deviation is taken to be; 0: it is learnt. specified_s: when the datasheet's
    accuracy holds.
    """

    base_ticks: int
    normal: float
    deviation: float
    initial_mean_tau_s: float
    learn_mean_s: float
    learn_variance_s: float
    gate: float
    longest_gating_min: float
    slope: float
    centre: float
    specified_s: int


VOC = Gas(20000, 100.0, 0.0, 20.0, 2700.0, 5220.0, 340.0, 180.0, -0.0065, 213.0, 3600)
NOX = Gas(10000, 1.0, 2000.0, 1200.0, 17100.0, 20520.0, 30.0, 720.0, -0.0101, 614.0, 21600)


@dataclass(slots=True)
class GasIndex:
    """One signal's memory; `feed` it once a second."""

    gas: Gas
    fed: int = 0
    _ticks: float = 0.0
    _index: float = 0.0
    _normal: "_Normal" = field(init=False)
    _filter: "_Filter | None" = None

    def __post_init__(self) -> None:
        self._normal = _Normal(self.gas)

    def feed(self, ticks: int) -> int:
        """The index, 1 to 500, after one more second at these ticks; 0 in the first 45 seconds."""
        self.fed += 1
        if self.fed <= BLACKOUT_S + 1:
            return 0
        if 0 < ticks < SATURATED_TICKS:
            self._ticks = min(max(ticks - self.gas.base_ticks, 1), SPAN_TICKS)
        raw = self._raw_index()
        if self._filter is None:
            self._filter = _Filter(raw, raw, raw)
        self._index = max(self._filter.feed(raw), LOWEST_INDEX)
        if self._ticks > 0:
            self._normal.learn(self._ticks, self._index)
        return math.floor(self._index + 0.5)

    @property
    def learning(self) -> bool:
        """Whether the datasheet's accuracy does not hold yet."""
        return self.fed < self.gas.specified_s

    def _raw_index(self) -> float:
        gas, normal = self.gas, self._normal
        if gas.deviation:
            if not normal.begun:
                return gas.normal
            deviations = (self._ticks - normal.mean) / gas.deviation
        else:  # more VOC is fewer ticks
            deviations = (normal.mean - self._ticks) / (normal.deviation + DEVIATION_BONUS)
        return TOP * _falling(gas.slope * (GAIN * deviations - gas.centre))


@dataclass(slots=True)
class _Normal:
    """The learnt mean and standard deviation of the ticks: fast at first, then over 12 h, and not during events."""

    gas: Gas
    mean: float = 0.0
    deviation: float = INITIAL_DEVIATION
    begun: bool = False
    _age_s: float = 0.0
    _gating_age_s: float = 0.0
    _gated_min: float = 0.0

    def learn(self, ticks: float, index: float) -> None:
        """Take one second's ticks in, as much as the index lets it."""
        if not self.begun:
            self.begun, self.mean = True, ticks
            return
        mean_rate, variance_rate = self._rates(index)
        distance = ticks - self.mean
        self.deviation = math.sqrt((1 - variance_rate) * (self.deviation**2 + variance_rate * distance**2))
        self.mean += mean_rate * distance

    def _rates(self, index: float) -> tuple[float, float]:
        """Shares of the new value in mean and variance."""
        gas = self.gas
        self._age_s = min(self._age_s + 1.0, LONGEST_UPTIME_S)
        self._gating_age_s = min(self._gating_age_s + 1.0, LONGEST_UPTIME_S)
        young_mean = _falling(FORGETTING * (self._age_s - gas.learn_mean_s))
        young_variance = _falling(FORGETTING * (self._age_s - gas.learn_variance_s))
        mean_gate, variance_gate = self._gate(index, gas.learn_mean_s), self._gate(index, gas.learn_variance_s)
        self._count_gating(mean_gate)
        return (
            mean_gate * _blend(_rate(HOURS_12), _rate(gas.initial_mean_tau_s), young_mean),
            variance_gate * _blend(_rate(HOURS_12), _rate(INITIAL_VARIANCE_TAU_S), young_variance - young_mean),
        )

    def _gate(self, index: float, learn_s: float) -> float:
        """1 in ordinary air, 0 in an event that must not become the normal."""
        young = _falling(FORGETTING * (self._gating_age_s - learn_s))
        return _falling(GATE_SLOPE * (index - _blend(self.gas.gate, GATE_INITIAL, young)))

    def _count_gating(self, gate: float) -> None:
        """An event that lasts too long becomes the normal after all."""
        self._gated_min = max(0.0, self._gated_min + ((1 - gate) * (1 + GATE_RATIO) - GATE_RATIO) / 60)
        if self._gated_min > self.gas.longest_gating_min:
            self._gating_age_s = 0.0


@dataclass(slots=True)
class _Filter:
    """A low pass that is slow in calm air and fast when fast and slow averages differ."""

    fast: float
    slow: float
    out: float

    def feed(self, value: float) -> float:
        self.fast += _rate(FILTER_FAST_S) * (value - self.fast)
        self.slow += _rate(FILTER_SLOW_S) * (value - self.slow)
        calm = math.exp(FILTER_SLOPE * abs(self.fast - self.slow))
        self.out += _rate(_blend(FILTER_FAST_S, FILTER_SLOW_S, calm)) * (value - self.out)
        return self.out


def _rate(tau_s: float) -> float:
    """The share of a new value each second, for this time constant."""
    return 1 / (tau_s + 1)


def _blend(far: float, near: float, share: float) -> float:
    return far + (near - far) * share


def _falling(x: float) -> float:
    """The logistic step from 1 (x far below 0) to 0."""
    return 1 / (1 + math.exp(min(x, STEEPEST)))
