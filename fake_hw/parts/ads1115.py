"""Texas Instruments ADS1115 (SBAS444): four registers, a multiplexer, single shots and continuous conversion."""

from collections.abc import Callable, Sequence

_CONVERSION, _CONFIG = 0, 1
_FULL_SCALE_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
_RATE_HZ = (8, 16, 32, 64, 128, 250, 475, 860)
_PAIRS = ((0, 1), (0, 3), (1, 3), (2, 3))
_OS, _SINGLE = 0x8000, 0x0100


class Ads1115:
    """Converts the voltage at the selected input. `inputs`: four callables, volts against ground."""

    def __init__(self, clock: Callable[[], float], inputs: Sequence[Callable[[], float]]) -> None:
        self._clock = clock
        self._inputs = inputs
        self._registers = [0x0000, 0x8583, 0x8000, 0x7FFF]
        self._pointer = 0
        self._done_s = 0.0
        self._coming: int | None = None

    def write(self, data: bytes) -> None:
        """Set the pointer, and the register behind it when two bytes follow."""
        if not data:
            return
        self._pointer = data[0] & 3
        if len(data) < 3 or self._pointer == _CONVERSION:
            return
        value = int.from_bytes(data[1:3], "big")
        self._registers[self._pointer] = value
        if self._pointer == _CONFIG and (value & _OS or not value & _SINGLE):
            self._coming = self._convert(value)
            self._done_s = self._clock() + 1.0 / _RATE_HZ[value >> 5 & 7]

    def read(self, length: int) -> bytes:
        """The register under the pointer; a master that reads on sees ones."""
        self._settle()
        value = self._registers[self._pointer]
        if self._pointer == _CONFIG:
            value = value & ~_OS | (_OS if self._coming is None else 0)
        return value.to_bytes(2, "big")[:length]

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def _settle(self) -> None:
        """Finish the conversion whose time has come; in continuous mode the last one has only just ended."""
        if self._coming is None or self._clock() < self._done_s:
            return
        config = self._registers[_CONFIG]
        if config & _SINGLE:
            self._registers[_CONVERSION], self._coming = self._coming, None
        else:
            self._registers[_CONVERSION] = self._convert(config)

    def _convert(self, config: int) -> int:
        """Two's complement of the selected voltage at the selected gain, clipped at full scale."""
        mux = config >> 12 & 7
        if mux >= 4:
            volts = self._inputs[mux - 4]()
        else:
            plus, minus = _PAIRS[mux]
            volts = self._inputs[plus]() - self._inputs[minus]()
        counts = round(volts * 32768.0 / _FULL_SCALE_V[config >> 9 & 7])
        return min(32767, max(-32768, counts)) & 0xFFFF
