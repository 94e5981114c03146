"""What Sensirion's command-driven parts have in common: 16-bit commands, words with CRC, and no answer while busy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fake_hw.buses.i2c import Nack
from fake_hw.parts.crc import sensirion_words, spoiled_words

Words = Sequence[int]


@dataclass(frozen=True, slots=True)
class Command:
    """One row of a datasheet's command table.

    execution_s: how long the part acknowledges nothing. run: arguments → the words to be read then; may raise Nack.
    """

    execution_s: float
    run: Callable[[Words], Words]


class CommandPart:
    """The I2C side of such a part: takes a command, is busy, shows the answer once."""

    def __init__(self, clock: Callable[[], float], commands: Mapping[int, Command]) -> None:
        self._clock = clock
        self._commands = commands
        self._answer = b""
        self._ready_s = 0.0

    def write(self, data: bytes) -> None:
        """Take a command. Raises Nack while busy, for an unknown command and for an argument with a wrong CRC."""
        if not data:
            return
        command = self._commands.get(int.from_bytes(data[:2], "big"))
        if self._clock() < self._ready_s or command is None:
            raise Nack
        arguments = [int.from_bytes(data[place : place + 2], "big") for place in range(2, len(data), 3)]
        if data[2:] != sensirion_words(*arguments):
            raise Nack
        self._answer = sensirion_words(*command.run(arguments))
        self._ready_s = self._clock() + command.execution_s

    def read(self, length: int) -> bytes:
        """The answer, once. Raises Nack when there is none (yet)."""
        if not self._answer or self._clock() < self._ready_s:
            raise Nack
        answer, self._answer = self._answer, b""
        return answer[:length]

    def spoil(self, data: bytes) -> bytes:
        """Every third byte is a CRC: make it wrong."""
        return spoiled_words(data)


def ticks(share: float) -> int:
    """A share of full scale as 16 bits, cropped."""
    return min(0xFFFF, max(0, round(share * 0xFFFF)))
