"""Keys of a device that say something about its channels: `offset: {temperature: -0.2 Cel}`, `max_per_s: 2 Cel`."""

from collections.abc import Sequence

from gateway.core.driver import Channel
from gateway.core.units import UNITS, convert_difference, parse_quantity
from gateway.settings.problems import Problems, shown
from gateway.settings.structure import Entry
from gateway.settings.words import DeviceEntry


def differences(
    entry: Entry[DeviceEntry], channels: Sequence[Channel], key: str, example: str, problems: Problems
) -> dict[str, float]:
    """Channel → the difference written for it, in its unit. With one measured channel its name may be left out."""
    written: str | dict[str, str] = getattr(entry.data, key)
    measured = {channel.name: channel.unit for channel in channels if not channel.is_binary}
    if isinstance(written, str):
        if not written or not channels:
            return {}
        if len(measured) != 1:
            cure = f"write it as {{channel: value}} with a channel of: {', '.join(measured)}"
            problems.add(entry.at(key), f"{entry.name!r} measures {len(measured)} quantities", cure)
            return {}
        written = dict.fromkeys(measured, written)
    found: dict[str, float] = {}
    for channel, text in written.items():
        if channel not in measured:
            problems.unknown(entry.at(key), f"channel of {entry.name!r}:", channel, measured)
        elif (unit := measured[channel]) in UNITS:  # otherwise its own fault is reported
            try:
                found[channel] = convert_difference(*parse_quantity(text), unit)
            except ValueError:
                what = f"{key} {shown(text)} does not fit a {UNITS[unit].kind}"
                problems.add(entry.at(key), what, f"write it as '{example} {unit}'")
    return found
