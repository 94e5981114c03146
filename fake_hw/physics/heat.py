"""Fryer and oven: one lump of heat each, an element, losses, and the food that cools them."""

from dataclasses import dataclass


@dataclass(slots=True)
class Fryer:
    """14 kW under 22.7 kg of oil: 55.4 kJ/K, 6.58 W/K (ENERGY STAR idle 1 kW); its own limiter cuts at 230 °C."""

    oil_c: float = 165.0
    oil_j_k: float = 55_400.0
    loss_w_k: float = 6.58
    element_w: float = 14_000.0
    limit_c: float = 230.0
    limit_reset_c: float = 200.0
    basket_w: float = 0.0
    limited: bool = False

    def step(self, seconds: float, energised: bool, ambient_c: float) -> None:
        """Let heat flow; basket_w is what the food in the oil takes."""
        if self.oil_c >= self.limit_c:
            self.limited = True
        elif self.oil_c <= self.limit_reset_c:
            self.limited = False
        heat_w = self.element_w if energised and not self.limited else 0.0
        loss_w = (self.oil_c - ambient_c) * self.loss_w_k
        self.oil_c += (heat_w - loss_w - self.basket_w) * seconds / self.oil_j_k


@dataclass(slots=True)
class Oven:
    """A 6 kW electric convection oven; an open door loses heat ten times as fast."""

    chamber_c: float = 150.0
    chamber_j_k: float = 22_000.0
    loss_w_k: float = 9.0
    door_w_k: float = 80.0
    element_w: float = 6_000.0
    door_open: bool = False

    def step(self, seconds: float, energised: bool, ambient_c: float) -> None:
        """Let heat flow."""
        loss_w_k = self.loss_w_k + (self.door_w_k if self.door_open else 0.0)
        heat_w = self.element_w if energised else 0.0
        self.chamber_c += (heat_w - (self.chamber_c - ambient_c) * loss_w_k) * seconds / self.chamber_j_k
