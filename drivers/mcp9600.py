"""MCP9600 and MCP9601: a thermocouple of any usual type on I2C, linearised and compensated by the part.

Datasheet: Microchip DS20005426 "MCP960X/L0X/RL0X", revision F, register map. verified: fake.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import DeviceTimeout, InvalidData, SensorFailure
from gateway.core.reading import Sample

Kind = Literal["B", "E", "J", "K", "N", "R", "S", "T"]

HOT_JUNCTION, COLD_JUNCTION, STATUS, SENSOR_CONFIGURATION, DEVICE_CONFIGURATION = 0x00, 0x02, 0x04, 0x05, 0x06
DEVICE_ID = 0x20
MCP9600, MCP9601 = 0x40, 0x41
TH_UPDATE, SHORT_CIRCUIT, OPEN_OR_RANGE = 1 << 6, 1 << 5, 1 << 4
NORMAL_18_BIT = 0x00
TYPES: Mapping[Kind, int] = {"K": 0, "J": 1, "T": 2, "N": 3, "S": 4, "E": 5, "B": 6, "R": 7}  # bits 6..4
LSB_C = 0.0625
POLL_S, POLLS = 0.05, 16  # 0.32 s (18 bits), if they come one after the other 0.25 s more for the cold junction
RANGES_C: Mapping[Kind, tuple[float, float]] = {
    "B": (1000, 1800),
    "E": (-200, 1000),
    "J": (-150, 1200),
    "K": (-200, 1372),
    "N": (-150, 1300),
    "R": (250, 1664),
    "S": (250, 1664),
    "T": (-200, 400),
}
COLD_LOW_C, COLD_HIGH_C = -40.0, 125.0


@dataclass(frozen=True, slots=True)
class Options:
    """Where the part is, and which thermocouple."""

    address: int = option("I2C address, chosen by the ADDR pin's resistors", low=0x60, high=0x67, default=0x67)
    thermocouple: Kind = option("its type", default="K")


class Mcp9600:
    """One part. It converts all the time and says when a new value is there; each read waits for one."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._address = options.address
        self._wanted = bytes([TYPES[options.thermocouple] << 4, NORMAL_18_BIT])
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """Hot and cold junction of a conversion that ended in the call. Blocks up to 0.8 s, twice that at first.

        Raises DeviceError.
        """
        if self._configuration() != self._wanted:
            self._write(SENSOR_CONFIGURATION, self._wanted[0])
            self._write(DEVICE_CONFIGURATION, self._wanted[1])
            self._await_update()  # of a conversion that may have begun as another type's
        status = self._await_update()
        data = self._read(HOT_JUNCTION, 2) + self._read(COLD_JUNCTION, 2)
        check(self._read(DEVICE_ID, 2)[0], self._configuration(), self._wanted, status)
        hot_c, cold_c = decode(data)
        return (Sample("temperature", hot_c), Sample("cold_junction", cold_c))

    def _await_update(self) -> int:
        self._write(STATUS, 0)
        for _ in range(POLLS):
            self._sleep(POLL_S)
            status = self._read(STATUS, 1)[0]
            if status & TH_UPDATE:
                return status
        raise DeviceTimeout(f"no new value within {POLLS * POLL_S:.2f} s: power the part off and on; replace it")

    def _configuration(self) -> bytes:
        return self._read(SENSOR_CONFIGURATION, 1) + self._read(DEVICE_CONFIGURATION, 1)

    def _write(self, register: int, value: int) -> None:
        self._bus.transfer(self._address, bytes([register, value]))

    def _read(self, register: int, length: int) -> bytes:
        return self._bus.transfer(self._address, bytes([register]), length)


def check(identity: int, configuration: bytes, wanted: bytes, status: int) -> None:
    """The part has no checksum: its identity and settings must read right. Raises InvalidData or SensorFailure."""
    if identity not in {MCP9600, MCP9601}:
        raise InvalidData(f"the identity reads 0x{identity:02x}, not 0x40 or 0x41: another part, or a disturbed bus")
    if configuration != wanted:
        raise InvalidData(
            f"the settings read {configuration.hex(' ')} instead of {wanted.hex(' ')}: "
            "the part lost power or the bus is disturbed; check supply and SDA/SCL"
        )
    if status & SHORT_CIRCUIT:
        raise SensorFailure("the thermocouple touches ground or the supply: check its insulation")
    if status & OPEN_OR_RANGE:
        raise SensorFailure("the thermocouple is open, or hotter or colder than its type bears: check wires and type")


def decode(data: bytes) -> tuple[float, float]:
    """(°C of the hot junction, °C of the cold one) of their two registers. Raises InvalidData."""
    hot, cold = (int.from_bytes(data[at : at + 2], "big", signed=True) * LSB_C for at in (0, 2))
    if not COLD_LOW_C <= cold <= COLD_HIGH_C:
        raise InvalidData(f"a cold junction of {cold} °C is outside what the part bears: check SDA/SCL")
    return hot, cold


def _channels(options: Options) -> tuple[Channel, ...]:
    low_c, high_c = RANGES_C[options.thermocouple]
    return (
        Channel("temperature", "Cel", low_c, high_c, digits=2, max_per_s=100.0),
        Channel("cold_junction", "Cel", COLD_LOW_C, COLD_HIGH_C, digits=2, max_per_s=2.0),
    )


SPEC = Spec(
    name="mcp9600",
    title="Microchip MCP9600 and MCP9601 thermocouple converters",
    bus="i2c",
    options=Options,
    open=Mcp9600,
    channels=_channels,
    claims=lambda options: (f"address 0x{options.address:02x}",),
    sample="grill_plate: {driver: mcp9600, bus: sensors, address: 0x67, thermocouple: K, every: 2 s}",
    datasheet="Microchip, MCP960X, DS20005426F",
    deadline_s=2.5,
    min_every_s=0.5,
    wiring="3.3 V; SDA and SCL with 2.2 to 10 kohm pull-ups, at most 100 kHz: the part stretches the clock. "
    "Extension wire of the thermocouple's own type.",
    overlay="dtparam=i2c_arm=on,i2c_arm_baudrate=50000",
    accuracy="1.5 °C (the L and RL parts: 4 °C and worse), and the thermocouple's own tolerance.",
    conversion="0.32 s for the thermocouple and 0.25 s for the cold junction, all by itself; each read waits for the "
    "next one.",
    faults="Open or shorted thermocouple (MCP9601 with VSENSE wired), or one beyond its type's range: "
    "BadSensorFailure. Unplugged: BadNotConnected. Identity or settings that do not read back: "
    "BadDataEncodingInvalid. No new value: BadTimeout. An MCP9600 can't tell an open thermocouple by itself.",
    undetected=("flip",),
)
