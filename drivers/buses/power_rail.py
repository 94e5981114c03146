"""The GPIO line that feeds a bus's parts (high: on): cut for a moment when one of them holds the bus down."""

import contextlib
import logging
import os
import time
from collections.abc import Callable

from drivers.buses import gpio_lines

CHIP = "/dev/gpiochip0"
CONSUMER = "kitchen-gateway power"
OFF_S = 0.3
"""Long enough for the parts' capacitors."""
WAKE_S = 0.1
"""Until the parts answer again."""
CYCLE_EVERY_S = 10.0

_log = logging.getLogger(__name__)


class PowerRail:
    """The supply of one bus's parts, on from the first use. Its bus's turn guards it."""

    def __init__(
        self,
        line: int,
        root: str = "/",
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._line = line
        self._chip = os.path.join(root, CHIP.lstrip("/"))
        self._monotonic = monotonic
        self._sleep = sleep
        self._claimed: int | None = None
        self._told = False
        self._cycled_s = float("-inf")

    def switch_on(self) -> None:
        """Claim the line at the level on; blocks 0.1 s when it was off before.

        A line that is not to be had is told once in the log: the parts may have power all the same.
        """
        if self._claimed is not None:
            return
        try:
            chip = os.open(self._chip, os.O_RDWR)
            try:
                self._claimed = gpio_lines.claim_output(chip, self._line, True, CONSUMER)
            finally:
                os.close(chip)
        except OSError as error:
            if not self._told:
                _log.warning("can't switch the supply on GPIO%d (%s): is the line in use?", self._line, error.strerror)
            self._told = True
            return
        self._told = False
        self._sleep(WAKE_S)

    def cycle(self) -> bool:
        """Cut the supply for OFF_S; blocks 0.4 s. False when that was done just now, or can't be."""
        now_s = self._monotonic()
        if self._claimed is None or now_s - self._cycled_s < CYCLE_EVERY_S:
            return False
        self._cycled_s = now_s
        try:
            gpio_lines.set_level(self._claimed, False)
            try:
                self._sleep(OFF_S)
            finally:
                gpio_lines.set_level(self._claimed, True)
        except OSError:
            self.release()  # the chip went away; the next use claims the line afresh
            return False
        _log.warning("the parts fed by GPIO%d were powered off and on: one held their bus down", self._line)
        self._sleep(WAKE_S)
        return True

    def release(self) -> None:
        """Give the line back; the kernel or an external resistor then decides about the supply."""
        claimed, self._claimed = self._claimed, None
        if claimed is not None:
            with contextlib.suppress(OSError):
                os.close(claimed)
