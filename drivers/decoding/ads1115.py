"""ADS1115: one conversion of one input, for every driver whose sensor hangs on this converter.

Datasheet: Texas Instruments SBAS444 "ADS111x", revision E (December 2024), register map.
"""

import time
from collections.abc import Callable

from gateway.core.driver import I2CBus
from gateway.core.errors import DeviceTimeout, InvalidData

CONVERSION_REGISTER = 0x00
CONFIG_REGISTER = 0x01
OS_START = OS_IDLE = 1 << 15  # written: start a single conversion; read: none is under way
MUX_SINGLE_ENDED = 0b100  # plus the input's number: AINx against GND
MUX_PAIRS = {(0, 1): 0b000, (0, 3): 0b001, (1, 3): 0b010, (2, 3): 0b011}
PGA_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256)  # full scale of the gains 0b000 to 0b101
MODE_SINGLE_SHOT = 1 << 8
DR_128_SPS = 0b100 << 5
COMP_QUE_DISABLE = 0b11
CONVERSION_S = 0.009  # 1/128 s, and the oscillator may be 10 % slow
ATTEMPTS = 3
LOWEST_ADDRESS, HIGHEST_ADDRESS = 0x48, 0x4B
WIRING = (
    "VDD 3.3 V or 5 V (no input may exceed it by more than 0.3 V), SDA and SCL with pull-ups to 3.3 V, ADDR to GND for "
    "0x48, to VDD for 0x49, to SDA for 0x4a, to SCL for 0x4b. 100 nF across VDD and GND."
)
OVERLAY = "dtparam=i2c_arm=on"
CONVERSION = "9 ms at 128 samples per second; each read starts a conversion of its own, so devices may share the part."
UNPLUGGED = (
    "The converter has no checksum: its configuration is read back and the result is read twice, and a difference is "
    "BadDataEncodingInvalid, as is a reset. Converter unplugged: BadNotConnected."
)


class AnalogInput:
    """One input, or the difference of two. highest_v: what it must be able to see; it chooses the gain."""

    def __init__(
        self,
        bus: I2CBus,
        address: int,
        input: int,
        highest_v: float,
        *,
        against: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bus = bus
        self._address = address
        self._config = config_word(input, highest_v, against)
        self._sleep = sleep

    def volts(self) -> float:
        """A conversion started now. Blocks 10 to 30 ms. Raises DeviceError."""
        self._bus.transfer(self._address, bytes([CONFIG_REGISTER]) + (OS_START | self._config).to_bytes(2, "big"))
        self._await_conversion()
        data, again = self._register(CONVERSION_REGISTER), self._register(CONVERSION_REGISTER)
        if data != again:
            raise InvalidData(
                f"the ADC's result reads {data.hex()} and then {again.hex()}: check SDA/SCL, pull-ups and cable length"
            )
        return decode(data, self._config)

    def _await_conversion(self) -> None:
        for _ in range(ATTEMPTS):
            self._sleep(CONVERSION_S)
            config = int.from_bytes(self._register(CONFIG_REGISTER), "big")
            if config & ~OS_IDLE != self._config:
                raise InvalidData(
                    f"the ADC's configuration reads 0x{config:04x} instead of 0x{OS_IDLE | self._config:04x}: "
                    "it lost power or the bus is stuck; check the supply and SDA/SCL"
                )
            if config & OS_IDLE:
                return
        raise DeviceTimeout(f"the ADC is still converting after {ATTEMPTS * CONVERSION_S * 1000:.0f} ms: replace it")

    def _register(self, number: int) -> bytes:
        return self._bus.transfer(self._address, bytes([number]), 2)


def config_word(input: int, highest_v: float, against: int | None = None) -> int:
    """The config register without its OS bit, with the smallest range that shows `highest_v`.

    Raises ValueError for a pair that the part can't subtract, and for more than its widest range.
    """
    mux = MUX_SINGLE_ENDED | input if against is None else MUX_PAIRS.get((input, against))
    if mux is None:
        pairs = ", ".join(f"{plus} against {minus}" for plus, minus in MUX_PAIRS)
        raise ValueError(f"the ADS1115 can't measure input {input} against {against}; it can: {pairs}")
    gains = [gain for gain, full_scale_v in enumerate(PGA_V) if full_scale_v > highest_v]
    if not gains:
        raise ValueError(
            f"the ADS1115 sees at most {PGA_V[0]} V, and the signal reaches {highest_v:.3g} V: "
            "give the divider or the smaller shunt that is wired"
        )
    return mux << 12 | gains[-1] << 9 | MODE_SINGLE_SHOT | DR_128_SPS | COMP_QUE_DISABLE


def decode(data: bytes, config: int) -> float:
    """Volts of a conversion register (two's complement: 0x7FFF is one LSB below full scale)."""
    return int.from_bytes(data, "big", signed=True) * PGA_V[config >> 9 & 7] / 32768


def claim(address: int, input: int) -> tuple[str]:
    """What no second device may use: the input, not the part."""
    return (f"address 0x{address:02x} input {input}",)
