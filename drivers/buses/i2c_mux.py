"""Channels of TCA9548A multiplexers on one I2C adapter, so that parts with one address can be told apart.

Datasheet: Texas Instruments SCPS207 "TCA9548A", revision H (2024), section 8.6: one control register, one bit per
channel. Whoever calls holds the adapter's turn.
"""

from collections.abc import Callable

from drivers.buses.turns import Turns
from gateway.core.errors import DeviceError, InvalidData, NotConnected

CHANNELS = 8
NONE = 0  # the control register with every channel off

Exchange = Callable[[int, bytes, int], bytes]
"""(address, bytes to write, bytes to read) → the bytes read; one transaction. Raises DeviceError."""


class Muxes:
    """What the muxes of one adapter have selected; at most one channel of all of them is on."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._selected: dict[int, int | None] = {}  # mux → its control register, None when we can't know

    def know(self, mux: int) -> None:
        """There is such a mux; what it has selected is not known yet."""
        self._selected.setdefault(mux, None)

    def transfer(self, mux: int, channel: int, address: int, write: bytes, read: int) -> bytes:
        """One transaction with a part behind a channel. After any error the channel is selected afresh next time."""
        try:
            self._select(mux, channel)
            return self._exchange(address, write, read)
        except DeviceError:
            self.forget()
            raise

    def forget(self) -> None:
        """Nobody knows what is selected: a mux may have lost power."""
        self._selected = dict.fromkeys(self._selected)

    def _select(self, mux: int, channel: int) -> None:
        for other, selected in self._selected.items():
            if other != mux and selected != NONE:
                self._deselect(other)
        wanted = 1 << channel
        if self._selected.get(mux) == wanted:
            return
        self._selected[mux] = None
        self._exchange(mux, bytes([wanted]), 0)
        # A disturbed write would open another part's channel, whose answer is as good as any: look.
        (found,) = self._exchange(mux, b"", 1)
        if found != wanted:
            raise InvalidData(
                f"the mux at 0x{mux:02x} has selected 0x{found:02x} instead of 0x{wanted:02x}: "
                "check SDA/SCL and its supply"
            )
        self._selected[mux] = wanted

    def _deselect(self, mux: int) -> None:
        try:
            self._exchange(mux, bytes([NONE]), 0)
        except NotConnected:
            return  # what is not there lets nothing through; it is asked again next time
        self._selected[mux] = NONE


class MuxChannel:
    """The bus behind one channel (`I2CBus`)."""

    def __init__(self, muxes: Muxes, turns: Turns, mux: int, channel: int) -> None:
        self._muxes = muxes
        self._turns = turns
        self._mux = mux
        self._channel = channel

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        """One transaction, after the channel was selected. Blocks and raises as the adapter's own."""
        with self._turns:
            return self._muxes.transfer(self._mux, self._channel, address, write, read)
