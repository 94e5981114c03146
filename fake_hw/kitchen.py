"""The wiring of the simulated kitchen, written by hand from the other end of the wire than config/kitchen.yaml."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fake_hw.physics.kitchen import Kitchen

GROUND = 0


@dataclass(frozen=True, slots=True)
class Contact:
    """A dry contact between a GPIO line and ground. closed: whether it is made; an open one leaves the line alone."""

    name: str
    line: int
    closed: Callable[[Kitchen], bool]


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay's driver input on a GPIO line, with the resistor that decides when nobody drives it."""

    name: str
    line: int
    external_pull: int
    energised_by: int  # the level that closes the relay


@dataclass(frozen=True, slots=True)
class Climate:
    """An SHT4x. temperature, humidity: truths in °C and %RH."""

    name: str
    address: int
    temperature: Callable[[Kitchen], float]
    humidity: Callable[[Kitchen], float]
    serial: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A part that is placed by its driver's name. senses: channel → the truth in the channel's unit."""

    name: str
    driver: str
    kind: str
    device: str
    senses: Mapping[str, Callable[[Kitchen], float]]


@dataclass(frozen=True, slots=True)
class Transmitter:
    """0.5 V to 4.5 V on one input of the ADC. at_low, at_high: what these voltages stand for."""

    name: str
    input: int
    truth: Callable[[Kitchen], float]
    at_low: float
    at_high: float
    noise: float
    drift_per_s: float


@dataclass(frozen=True, slots=True)
class Probe1Wire:
    """A DS18B20 by its ROM."""

    name: str
    rom: str
    truth: Callable[[Kitchen], float]


# A door switch is closed while the door is; stop button and suppression switch are closed while all is well.
CONTACTS = (
    Contact("fan_proving", 5, lambda k: k.hood.proved),
    Contact("walkin_door", 6, lambda k: not k.walkin.door_open),
    Contact("freezer_door", 12, lambda k: not k.freezer.room.door_open),
    Contact("estop", 13, lambda k: not k.estop_pressed),
    Contact("gas_valve_limit", 16, lambda k: k.gas.is_open),
    Contact("suppression", 19, lambda k: not k.suppression_discharged),
    Contact("compressor_aux", 20, lambda k: k.compressor_running),
    Contact("oven_door", 21, lambda k: not k.oven.door_open),
    Contact("back_door", 26, lambda k: not k.room.back_door_open),
)

RELAYS = (
    Relay("walkin_light", 10, external_pull=1, energised_by=0),
    Relay("gas_valve", 17, external_pull=0, energised_by=1),
    Relay("siren", 18, external_pull=0, energised_by=1),
    Relay("fryer_contactor", 22, external_pull=0, energised_by=1),
    Relay("oven_contactor", 23, external_pull=0, energised_by=1),
    Relay("hood_fan", 24, external_pull=0, energised_by=1),
    Relay("freezer_compressor", 25, external_pull=0, energised_by=1),
    Relay("walkin_compressor", 27, external_pull=0, energised_by=1),
)

CLIMATES = (
    Climate("walkin_air", 0x44, lambda k: k.walkin.air_c, lambda k: 78.0 if k.walkin.door_open else 70.0, 0x0F4E2A11),
    Climate("freezer_air", 0x45, lambda k: k.freezer.room.air_c, lambda _: 62.0, 0x0F4E2A12),
)

PLACED = (
    Placed(
        "kitchen_air",
        "scd41",
        "i2c",
        "/dev/i2c-1",
        {
            "co2": lambda k: k.room.co2_ppm,
            "temperature": lambda k: k.room.ambient_c,
            "humidity": lambda k: k.room.humidity_pct,
        },
    ),
)

ADC = "adc"
ADC_ADDRESS = 0x48
TRANSMITTERS = (
    Transmitter("gas", 0, lambda k: k.gas.concentration_lel, 0.0, 100.0, noise=0.05, drift_per_s=0.2),
    Transmitter("fryer_oil", 1, lambda k: k.fryer.oil_c, 0.0, 300.0, noise=0.1, drift_per_s=0.5),
    Transmitter("oven_chamber", 2, lambda k: k.oven.chamber_c, 0.0, 400.0, noise=0.2, drift_per_s=0.5),
    Transmitter("gas_line", 3, lambda k: k.gas.pressure_hpa, 0.0, 50.0, noise=0.02, drift_per_s=0.1),
)

PROBES = (
    Probe1Wire("walkin_core", "28-00000a1b2c3d", lambda k: k.walkin.product_c + 0.2),  # reads 0.2 K high: see `offset`
    Probe1Wire("freezer_core", "28-00000a1b2c3e", lambda k: k.freezer.room.product_c),
    Probe1Wire("freezer_coil", "28-00000a1b2c3f", lambda k: k.freezer.coil_c),
)

DHT, DHT_LINE = "dry_store_air", 4
METER, METER_UNIT, METERS = "mains", 1, "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_METERS-if00-port0"
MAINS: dict[str, Callable[[Kitchen], float]] = {
    "voltage": lambda k: k.mains.volts,
    "current": lambda k: k.mains.amperes,
    "power": lambda k: k.mains.watts,
    "energy": lambda k: k.mains.energy_wh,
    "frequency": lambda k: k.mains.hertz,
    "power_factor": lambda k: k.mains.power_factor,
}
SCALE, SCALE_PORT = "stock_scale", "usb-Prolific_USB-Serial_SCALE-if00-port0"
BUSES = {"/dev/i2c-1": "sensors", "onewire": "probes", "/dev/gpiochip0": "header", METERS: "meters"}
