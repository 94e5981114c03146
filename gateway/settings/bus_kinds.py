"""Which keys each kind of bus needs, which others mean something on it, and what its url looks like."""

from gateway.settings.problems import Place, Problems, shown
from gateway.settings.tree import Mapping
from gateway.settings.words import BusEntry

_BY_ID = "/dev/serial/by-id/…"
# kind → (the key it can't do without, an example), and the other keys that mean something
_MANDATORY = {
    "i2c": ("device", "/dev/i2c-1"),
    "spi": ("device", "/dev/spidev0.0"),
    "serial": ("device", _BY_ID),
    "modbus_rtu": ("device", _BY_ID),
    "evdev": ("device", "/dev/input/by-id/…-event-kbd"),
    "modbus_tcp": ("url", "tcp://192.168.1.50:502"),
    "mqtt": ("url", "mqtt://127.0.0.1:1883"),
}
_MEANINGFUL = {
    "i2c": ("power",),
    "serial": ("baud", "parity", "stop_bits"),
    "modbus_rtu": ("baud", "parity", "stop_bits"),
    "gpio": ("device",),
    "mqtt": ("username", "password_file", "ca"),
}
_SCHEMES = {"modbus_tcp": ("tcp",), "mqtt": ("mqtt", "mqtts")}
HIGHEST_PORT = 65_535


def fits_kind(entry: BusEntry, name: str, node: Mapping, place: Place, problems: Problems) -> bool:
    """Whether a bus has the keys that its kind needs and no others; what is wrong is in `problems`."""
    before = len(problems)
    mandatory, example = _MANDATORY.get(entry.type, ("type", ""))
    if mandatory not in node.items:
        what = f"bus {name!r} of type {entry.type} lacks the key {mandatory!r}"
        problems.add(place, what, f"add it, e.g. {example}")
    for key in node.items:
        if key not in ("type", mandatory, *_MEANINGFUL.get(entry.type, ())):
            problems.add(node.at(key), f"{key!r} means nothing on a bus of type {entry.type}", "remove it")
    if entry.url and not _leads_to(entry.type, entry.url):
        what = f"{shown(entry.url)} is no address for a bus of type {entry.type}"
        problems.add(node.at("url"), what, f"write it as {example}")
    return len(problems) == before


def _leads_to(kind: str, url: str) -> bool:
    """Whether a url of the right form has this kind's scheme and a port that exists."""
    scheme, _, rest = url.partition("://")
    port = int(rest.partition(":")[2] or "1")
    return scheme in _SCHEMES.get(kind, (scheme,)) and 1 <= port <= HIGHEST_PORT
