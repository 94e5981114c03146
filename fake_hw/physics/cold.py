"""Walk-in cooler and freezer: air, wall and product exchange heat; doors let the kitchen in; a coil is defrosted."""

from dataclasses import dataclass


@dataclass(slots=True)
class ColdRoom:
    """Three lumps of heat. Temperatures in °C, capacities in J/K, conductances in W/K, powers in W.

    Values: the fridge model of the project's domain notes (8 starts an hour, door stuck open 45 min: air 17 °C).
    """

    air_c: float = 3.5
    wall_c: float = 3.5
    product_c: float = 3.0
    air_j_k: float = 8_000.0
    wall_j_k: float = 40_000.0
    product_j_k: float = 140_000.0
    air_wall_w_k: float = 25.0
    air_product_w_k: float = 12.0
    ambient_w_k: float = 2.5
    door_w_k: float = 63.0
    cooling_w: float = 450.0
    motor_w: float = 250.0
    door_open: bool = False

    def step(self, seconds: float, cooling_w: float, ambient_c: float) -> None:
        """Let heat flow for at most a few seconds."""
        to_wall = (self.air_c - self.wall_c) * self.air_wall_w_k
        to_product = (self.air_c - self.product_c) * self.air_product_w_k
        door_w = (ambient_c - self.air_c) * self.door_w_k if self.door_open else 0.0
        self.air_c += (door_w - cooling_w - to_wall - to_product) * seconds / self.air_j_k
        self.wall_c += (to_wall + (ambient_c - self.wall_c) * self.ambient_w_k) * seconds / self.wall_j_k
        self.product_c += to_product * seconds / self.product_j_k

    def cool(self, seconds: float, running: bool, ambient_c: float) -> None:
        """A cooler whose evaporator is its air: capacity falls by 2 % per kelvin below 4 °C."""
        capacity_w = self.cooling_w * max(0.2, 1.0 + 0.02 * (self.air_c - 4.0))
        self.step(seconds, capacity_w if running else 0.0, ambient_c)


@dataclass(slots=True)
class Freezer:
    """A cold room with a coil of its own that is defrosted every few hours and whenever asked."""

    room: ColdRoom
    coil_c: float = -22.0
    coil_j_k: float = 9_000.0
    coil_air_w_k: float = 55.0
    cooling_w: float = 620.0
    heater_w: float = 900.0
    motor_w: float = 350.0
    every_s: float = 8 * 3600.0
    longest_s: float = 30 * 60.0
    drip_s: float = 120.0
    until_defrost_s: float = 8 * 3600.0
    defrosting_s: float = 0.0  # time left; 0: not defrosting
    dripping_s: float = 0.0

    @property
    def heater_on(self) -> bool:
        """The defrost heater burns."""
        return self.defrosting_s > 0.0

    def defrost(self) -> None:
        """Begin a defrost now."""
        self.defrosting_s = self.longest_s
        self.until_defrost_s = self.every_s

    def step(self, seconds: float, running: bool, ambient_c: float) -> None:
        """Let heat flow; while defrosting or dripping the compressor cools nothing."""
        self._schedule(seconds)
        idle = self.heater_on or self.dripping_s > 0.0
        capacity_w = self.cooling_w * max(0.0, 1.0 + 0.02 * (self.coil_c + 28.0))
        fan_w = 0.0 if idle else (self.room.air_c - self.coil_c) * self.coil_air_w_k
        leak_w = (self.room.air_c - self.coil_c) * 2.0 if idle else 0.0
        heat_w = fan_w + leak_w + (self.heater_w if self.heater_on else 0.0)
        self.coil_c += (heat_w - (capacity_w if running and not idle else 0.0)) * seconds / self.coil_j_k
        self.room.step(seconds, fan_w + leak_w, ambient_c)

    def _schedule(self, seconds: float) -> None:
        self.until_defrost_s -= seconds
        if self.until_defrost_s <= 0.0:
            self.defrost()
        if self.heater_on:
            self.defrosting_s = max(0.0, self.defrosting_s - seconds)
            if self.coil_c >= 10.0 or not self.heater_on:
                self.defrosting_s, self.dripping_s = 0.0, self.drip_s
        else:
            self.dripping_s = max(0.0, self.dripping_s - seconds)
