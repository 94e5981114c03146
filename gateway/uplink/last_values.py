"""The last values of each device, for dashboards: at most one message per device and second, none that must arrive."""

import json
from collections.abc import Collection
from typing import Any

from gateway.core.record import Batch
from gateway.uplink import payload

EVERY_S = 1.0
_BYTES_PER_TURN = 128 * 1024
"""What is parsed for this in one second: telemetry itself is never parsed, and this must not cost what that saves."""


class LastValues:
    """Fed with telemetry batches, gives messages. One thread."""

    def __init__(self, devices: Collection[str]) -> None:
        self._devices = frozenset(devices)
        self._values: dict[str, dict[str, dict[str, Any]]] = {}
        self._fresh: dict[str, Batch] = {}
        self._parsed = 0
        self._due_s = 0.0

    def watch(self, devices: Collection[str]) -> None:
        """From now on these are the devices that are shown."""
        self._devices = frozenset(devices)
        self._fresh.clear()

    def see(self, batch: Batch) -> None:
        """Take the rows of a batch that was just committed."""
        self._parsed += len(batch.body)
        if self._parsed > _BYTES_PER_TURN:
            return
        try:
            rows = json.loads(batch.body)
        except ValueError:
            return
        for row in rows:
            if isinstance(row, dict) and row.get("d") in self._devices and isinstance(row.get("t"), int):
                self._take(batch, row, row["d"], str(row.get("m")))

    def due(self, now_s: float) -> list[tuple[str, bytes]]:
        """(device, message) of those with news, once a second."""
        if now_s < self._due_s:
            return []
        self._parsed = 0
        if not self._fresh:
            return []
        self._due_s = now_s + EVERY_S
        fresh, self._fresh = self._fresh, {}
        return [
            (device, payload.state(batch.ts, batch.trusted, batch.sim, self._values[device]))
            for device, batch in fresh.items()
        ]

    def _take(self, batch: Batch, row: dict[str, Any], device: str, channel: str) -> None:
        value = {"m": channel, "ts": batch.ts + row["t"], "v": row.get("v")}
        if "q" in row:
            value["q"] = row["q"]
        self._values.setdefault(device, {})[channel] = value
        self._fresh[device] = batch
