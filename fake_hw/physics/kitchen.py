"""The whole kitchen as one model: what the relays energise goes in, what instruments could measure comes out."""

import math
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from fake_hw.physics.cold import ColdRoom, Freezer
from fake_hw.physics.gas import GasLine, Hood
from fake_hw.physics.heat import Fryer, Oven
from fake_hw.physics.people import Cooks
from fake_hw.physics.room import Room

_LONGEST_STEP_S = 1.0
DOORS = ("walkin", "freezer", "oven", "back")


@dataclass(slots=True)
class Mains:
    """What the meter at the board sees: 220 V, 60 Hz, the sum of all loads; energy in Wh."""

    volts: float = 220.0
    hertz: float = 60.0
    watts: float = 300.0
    reactive_w: float = 0.0
    energy_wh: float = 1234.0

    def step(self, seconds: float, resistive_w: float, motors_w: float) -> None:
        """Sum the loads; motors have a power factor of 0.8."""
        self.watts = resistive_w + motors_w
        self.reactive_w = motors_w * 0.75
        self.energy_wh += self.watts * seconds / 3600.0

    @property
    def amperes(self) -> float:
        """Apparent current."""
        return math.hypot(self.watts, self.reactive_w) / self.volts if self.volts > 0 else 0.0

    @property
    def power_factor(self) -> float:
        """Real over apparent power."""
        apparent = math.hypot(self.watts, self.reactive_w)
        return self.watts / apparent if apparent else 1.0


@dataclass(slots=True)
class Stock:
    """The sack on the scale; it swings for a moment after each change."""

    weight_kg: float = 24.0
    swinging_s: float = 0.0

    def take(self, kilograms: float) -> None:
        """Remove some; an empty sack is replaced by a full one."""
        self.weight_kg = 24.0 if self.weight_kg - kilograms < 1.0 else self.weight_kg - kilograms
        self.swinging_s = 1.2


@dataclass(slots=True)
class Kitchen:
    """Everything physical. `step` is exact enough for steps up to a second and splits longer ones."""

    chance: random.Random
    walkin: ColdRoom = field(default_factory=ColdRoom)
    freezer: Freezer = field(
        default_factory=lambda: Freezer(
            ColdRoom(air_c=-19.0, wall_c=-19.0, product_c=-20.0, product_j_k=200_000.0, ambient_w_k=1.8, door_w_k=45.0)
        )
    )
    fryer: Fryer = field(default_factory=Fryer)
    oven: Oven = field(default_factory=Oven)
    gas: GasLine = field(default_factory=GasLine)
    hood: Hood = field(default_factory=Hood)
    room: Room = field(default_factory=Room)
    mains: Mains = field(default_factory=Mains)
    stock: Stock = field(default_factory=Stock)
    cooks: Cooks = field(init=False)
    estop_pressed: bool = False
    suppression_discharged: bool = False
    held: dict[str, float] = field(default_factory=dict)
    compressor_running: bool = False
    time_s: float = 0.0
    _closing: dict[str, float] = field(default_factory=dict)
    _compressor_s: float = 0.0

    def __post_init__(self) -> None:
        self.cooks = Cooks(self.chance)

    def step(self, seconds: float, energised: Collection[str]) -> None:
        """Let time pass. energised: the outputs (names of config/kitchen.yaml) whose load has power."""
        while seconds > 0.0:
            part = min(seconds, _LONGEST_STEP_S)
            seconds -= part
            self._step(part, energised)

    def set_door(self, door: str, is_open: bool) -> None:
        """Open or close a door. Raises KeyError for none of DOORS."""
        owner, attribute = {
            "walkin": (self.walkin, "door_open"),
            "freezer": (self.freezer.room, "door_open"),
            "oven": (self.oven, "door_open"),
            "back": (self.room, "back_door_open"),
        }[door]
        setattr(owner, attribute, is_open)
        self._closing.pop(door, None)

    def _step(self, seconds: float, energised: Collection[str]) -> None:
        self.time_s += seconds
        self._people(seconds)
        ambient_c = self.room.ambient_c
        self.walkin.cool(seconds, "walkin_compressor" in energised, ambient_c)
        self.freezer.step(seconds, "freezer_compressor" in energised, ambient_c)
        self._compressor_contact(seconds, "walkin_compressor" in energised)
        self.fryer.step(seconds, "fryer_contactor" in energised, ambient_c)
        self.oven.step(seconds, "oven_contactor" in energised, ambient_c)
        self.hood.step(seconds, "hood_fan" in energised)
        self.gas.burning = self.cooks.cooking
        self.gas.step(seconds, "gas_valve" in energised, self.hood.airflow)
        self._electricity(seconds, energised)
        self.stock.swinging_s = max(0.0, self.stock.swinging_s - seconds)
        for name, value in self.held.items():
            write(self, name, value)

    def _compressor_contact(self, seconds: float, energised: bool) -> None:
        """The auxiliary contact follows its contactor after 0.5 s."""
        self._compressor_s = self._compressor_s + seconds if energised != self.compressor_running else 0.0
        if self._compressor_s >= 0.5:
            self.compressor_running, self._compressor_s = energised, 0.0

    def _people(self, seconds: float) -> None:
        self.fryer.basket_w, taken_kg = self.cooks.basket_w(seconds)
        if taken_kg:
            self.stock.take(taken_kg)
        for door, left_s in tuple(self._closing.items()):
            self._closing[door] = left_s - seconds
            if left_s <= seconds:
                self.set_door(door, False)
        for door, open_s in self.cooks.doors(seconds).items():
            self.set_door(door, True)
            self._closing[door] = open_s

    def _electricity(self, seconds: float, energised: Collection[str]) -> None:
        fryer_w = self.fryer.element_w if "fryer_contactor" in energised and not self.fryer.limited else 0.0
        resistive = {"oven_contactor": self.oven.element_w, "siren": 15.0, "walkin_light": 40.0}
        motors = {
            "walkin_compressor": self.walkin.motor_w,
            "freezer_compressor": self.freezer.motor_w,
            "hood_fan": self.hood.motor_w,
        }
        heater_w = self.freezer.heater_w if self.freezer.heater_on else 0.0
        resistive_w = 300.0 + fryer_w + heater_w + sum(watts for name, watts in resistive.items() if name in energised)
        motors_w = sum(watts for name, watts in motors.items() if name in energised)
        self.mains.step(seconds, resistive_w, motors_w)
        burners_w = 12_000.0 if self.gas.burning and self.gas.pressure_hpa > 15.0 else 0.0
        self.room.people = self.cooks.number
        frying = self.fryer.basket_w > 0.0
        self.room.step(seconds, self.mains.watts + burners_w, self.hood.airflow, burners_w, frying)


# quantity → (its owner within the kitchen, attribute): what `set`, `hold` and `status` name
_PLACES: dict[str, tuple[Callable[[Kitchen], Any], str]] = {
    "walkin.air": (lambda k: k.walkin, "air_c"),
    "walkin.product": (lambda k: k.walkin, "product_c"),
    "walkin.wall": (lambda k: k.walkin, "wall_c"),
    "freezer.air": (lambda k: k.freezer.room, "air_c"),
    "freezer.product": (lambda k: k.freezer.room, "product_c"),
    "freezer.wall": (lambda k: k.freezer.room, "wall_c"),
    "freezer.coil": (lambda k: k.freezer, "coil_c"),
    "fryer.oil": (lambda k: k.fryer, "oil_c"),
    "oven.chamber": (lambda k: k.oven, "chamber_c"),
    "gas.concentration": (lambda k: k.gas, "concentration_lel"),
    "gas.pressure": (lambda k: k.gas, "pressure_hpa"),
    "gas.supply": (lambda k: k.gas, "supply_hpa"),
    "hood.airflow": (lambda k: k.hood, "airflow"),
    "room.ambient": (lambda k: k.room, "ambient_c"),
    "room.humidity": (lambda k: k.room, "humidity_pct"),
    "room.co2": (lambda k: k.room, "co2_ppm"),
    "room.pm25": (lambda k: k.room, "pm25_ug_m3"),
    "dry.temperature": (lambda k: k.room, "dry_c"),
    "dry.humidity": (lambda k: k.room, "dry_pct"),
    "mains.voltage": (lambda k: k.mains, "volts"),
    "mains.frequency": (lambda k: k.mains, "hertz"),
    "mains.power": (lambda k: k.mains, "watts"),
    "mains.energy": (lambda k: k.mains, "energy_wh"),
    "stock.weight": (lambda k: k.stock, "weight_kg"),
}
QUANTITIES = tuple(_PLACES)


def read(kitchen: Kitchen, name: str) -> float:
    """The true value of a quantity. Raises KeyError for none of QUANTITIES."""
    owner, attribute = _PLACES[name]
    return float(getattr(owner(kitchen), attribute))


def write(kitchen: Kitchen, name: str, value: float) -> None:
    """Move a quantity. Raises KeyError for none of QUANTITIES."""
    owner, attribute = _PLACES[name]
    setattr(owner(kitchen), attribute, value)
