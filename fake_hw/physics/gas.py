"""The gas line behind its valve, a leak, the sensor beside it, and the hood that clears the air."""

from dataclasses import dataclass
from math import exp


@dataclass(slots=True)
class GasLine:
    """LPG at 28 hPa. position: 0 the valve is shut, 1 open. concentration: % of the LEL at the sensor.

    leak: "" none; "line" behind the valve: closing the valve ends it; "upstream" before it: it does not.
    """

    position: float = 0.0
    pressure_hpa: float = 0.0
    supply_hpa: float = 28.0
    concentration_lel: float = 0.3
    leak: str = ""
    burning: bool = False
    travel_s: float = 0.5
    inflow_lel_s: float = 15.0  # at supply pressure, beside the leak
    background_lel: float = 0.3

    @property
    def is_open(self) -> bool:
        """What the valve's limit switch shows."""
        return self.position >= 0.95

    def step(self, seconds: float, energised: bool, airflow: float) -> None:
        """Move the valve, the pressure and the cloud. airflow: 0 still air, 1 the hood at full speed."""
        way = seconds / self.travel_s
        self.position = min(1.0, self.position + way) if energised else max(0.0, self.position - way)
        self._pressure(seconds)
        leaking_hpa = {"": 0.0, "line": self.pressure_hpa, "upstream": self.supply_hpa}[self.leak]
        clearing_s = 6.0 - 2.0 * min(1.0, airflow)
        final = self.background_lel + self.inflow_lel_s * clearing_s * leaking_hpa / 28.0
        self.concentration_lel = min(100.0, _towards(self.concentration_lel, final, seconds, clearing_s))

    def _pressure(self, seconds: float) -> None:
        if self.position > 0.05:
            self.pressure_hpa = _towards(self.pressure_hpa, self.supply_hpa, seconds, 0.3)
            return
        emptying_s = 3.0 if self.leak == "line" else 5.0 if self.burning else 1800.0
        self.pressure_hpa = _towards(self.pressure_hpa, 0.0, seconds, emptying_s)


@dataclass(slots=True)
class Hood:
    """The extract fan: airflow follows its motor; the proving switch closes at 60 % of full flow, opens at 50 %."""

    airflow: float = 0.0
    proved: bool = False
    broken: bool = False  # the motor turns, the belt does not
    motor_w: float = 550.0

    def step(self, seconds: float, energised: bool) -> None:
        """Spin up in about 1.5 s to the proving switch, run down faster."""
        turning = energised and not self.broken
        self.airflow = _towards(self.airflow, 1.0 if turning else 0.0, seconds, 1.6 if turning else 1.0)
        self.proved = self.airflow >= (0.5 if self.proved else 0.6)


def _towards(value: float, final: float, seconds: float, constant_s: float) -> float:
    """First-order lag, exact for any step."""
    return final + (value - final) * exp(-seconds / constant_s)
