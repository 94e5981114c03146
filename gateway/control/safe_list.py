"""The list that the safe-state program drives when everything else is broken (libexec/safe-state)."""

import zlib
from collections.abc import Iterable
from pathlib import Path

from gateway.control.durable import write_atomically
from gateway.settings.model import Bus, Configuration, Output


def safe_list(configuration: Configuration) -> bytes:
    """`gpio <chip> <offset> <physical level>` for every output on a GPIO chip, sealed with a CRC-32."""
    buses = {bus.name: bus for bus in configuration.buses}
    lines = "".join(_lines(configuration.outputs, buses)).encode()
    return lines + b"crc32 %08x\n" % zlib.crc32(lines)


def write_safe_list(path: Path, configuration: Configuration) -> None:
    """Have the list on disk; blocks for the disk. Raises OSError. Call before an output is claimed.

    One that is there already is not written again: on a full disk control must be able to start.
    """
    data = safe_list(configuration)
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)


def _lines(outputs: Iterable[Output], buses: dict[str, Bus]) -> Iterable[str]:
    for output in outputs:
        bus = buses[output.bus]
        if bus.type == "gpio":
            active_low = output.options.get("active") == "low"
            yield f"gpio {bus.device} {output.options['line']} {int(output.policy.safe is not active_low)}\n"
