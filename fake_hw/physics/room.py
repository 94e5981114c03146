"""The kitchen's air: heat, moisture, CO2, fumes, and the dry store beside it."""

import math
from dataclasses import dataclass

# One zone of 150 m³ with one air change an hour through doors and cracks, and a hood of 1.2 m³/s.
_VOLUME_M3, _LEAKAGE_M3_S, _HOOD_M3_S = 150.0, 150.0 / 3600.0, 1.2
_HOOD_CAPTURES = 0.85  # of what rises from the appliances under it, at full airflow
_OUTDOOR_CO2_PPM = 420.0
# Persily and de Jonge, Indoor Air 27 (2017) 868: 0.0078 l/s per adult at 2 met, which is light standing work.
_PERSON_CO2_M3_S = 0.0078e-3
# Propane burns to 3.0 kg CO2 per 46.4 MJ (1.84 kg/m³ at 20 °C): 35e-9 m³ per joule.
_FLAME_CO2_M3_J = 35e-9
# He et al., Atmospheric Environment 38 (2004) 3405: frying gives off 2.7 mg PM2.5 a minute.
_FRYING_UG_S = 2_700.0 / 60.0
_OUTDOOR_UG_M3 = 12.0


@dataclass(slots=True)
class Room:
    """The kitchen's air and the dry store beside it. °C, %RH, ppm, µg/m³."""

    ambient_c: float = 26.0
    humidity_pct: float = 48.0
    co2_ppm: float = 520.0
    pm25_ug_m3: float = 14.0
    dry_c: float = 21.5
    dry_pct: float = 52.0
    back_door_open: bool = False
    people: int = 1
    _phase_s: float = 0.0

    def step(self, seconds: float, heat_w: float, airflow: float, flame_w: float = 0.0, frying: bool = False) -> None:
        """Equipment warms the room, the hood takes most of it away; the dry store follows the day.

        heat_w: all of it, the burners' flame_w included. airflow: 0 still, 1 the hood at full speed.
        """
        self._phase_s += seconds
        hood = min(1.0, airflow)
        final_c = 25.0 + heat_w * (0.0007 - 0.0004 * hood) - (2.0 if self.back_door_open else 0.0)
        self.ambient_c += (min(38.0, final_c) - self.ambient_c) * min(1.0, seconds / 900.0)
        moist_pct = 46.0 + flame_w * (0.0015 - 0.0011 * hood) + 0.5 * self.people
        self.humidity_pct += (min(85.0, moist_pct) - self.humidity_pct) * min(1.0, seconds / 900.0)
        self._air(seconds, hood, flame_w, frying)
        day = math.sin(2 * math.pi * self._phase_s / 86_400.0)
        self.dry_c += (21.5 + 1.5 * day - self.dry_c) * min(1.0, seconds / 600.0)
        self.dry_pct += (52.0 - 6.0 * day - self.dry_pct) * min(1.0, seconds / 600.0)

    def _air(self, seconds: float, hood: float, flame_w: float, frying: bool) -> None:
        """One mixed zone: what is given off, less what the hood catches, thinned by all the air that leaves."""
        leaving_m3_s = _LEAKAGE_M3_S * (4.0 if self.back_door_open else 1.0) + _HOOD_M3_S * hood
        escapes = 1.0 - _HOOD_CAPTURES * hood
        co2_m3_s = self.people * _PERSON_CO2_M3_S + flame_w * _FLAME_CO2_M3_J * escapes
        fumes_ug_s = _FRYING_UG_S * escapes if frying else 0.0
        stays = math.exp(-seconds * leaving_m3_s / _VOLUME_M3)
        self.co2_ppm = _mixed(self.co2_ppm, _OUTDOOR_CO2_PPM + 1e6 * co2_m3_s / leaving_m3_s, stays)
        self.pm25_ug_m3 = _mixed(self.pm25_ug_m3, _OUTDOOR_UG_M3 + fumes_ug_s / leaving_m3_s, stays)


def _mixed(now: float, final: float, stays: float) -> float:
    """First-order mixing, exact for any step."""
    return final + (now - final) * stays
