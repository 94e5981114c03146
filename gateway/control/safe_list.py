"""The list that the safe-state program drives when everything else is broken (libexec/safe-state)."""

import logging
import zlib
from collections.abc import Iterator
from pathlib import Path

from drivers import registry
from gateway.control.durable import write_atomically
from gateway.settings.model import Bus, Configuration, Output

_log = logging.getLogger(__name__)


def safe_list(configuration: Configuration) -> bytes:
    """What each output's driver says of its safe state, GPIO lines first, sealed with a CRC-32.

    A driver that can't say costs its own output only.
    """
    buses = {bus.name: bus for bus in configuration.buses}
    entries = [entry for output in configuration.outputs for entry in _entries(output, buses[output.bus])]
    lines = "".join(f"{entry}\n" for entry in sorted(entries, key=lambda entry: not entry.startswith("gpio "))).encode()
    return lines + b"crc32 %08x\n" % zlib.crc32(lines)


def write_safe_list(path: Path, configuration: Configuration) -> None:
    """Have the list on disk; blocks for the disk. Raises OSError. Call before an output is claimed.

    One that is there already is not written again: on a full disk control must be able to start.
    """
    data = safe_list(configuration)
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)


def _entries(output: Output, bus: Bus) -> Iterator[str]:
    try:
        spec = registry.load(output.driver)
        entries = spec.safe_state(bus, spec.options_of(output.options), output.policy.safe)
    except Exception:  # a driver of others may raise anything
        _log.exception("nothing but %s itself will drive it safe: its driver can't say how", output.name)
        return
    mux = output.mux
    for entry in entries:
        behind = mux is not None and entry.startswith("i2c ")
        yield f"{entry} mux 0x{mux.address:02x} {mux.channel}" if mux is not None and behind else entry
