"""A barcode scanner that is shown labels: as a USB keyboard with US layout, or on a serial line."""

import random
from collections.abc import Callable, Iterator

from fake_hw.buses.evdev import Keyboard
from fake_hw.buses.pty_port import PtyPort
from fake_hw.faults import Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

GS = "\x1d"
_ENTER, _SHIFT, _CONTROL, _RIGHT_BRACE = 28, 42, 29, 27
# the main block of a US keyboard, row by row from its first key code; each key as plain and shifted character
_ROWS = {
    2: "1! 2@ 3# 4$ 5% 6^ 7& 8* 9( 0) -_ =+",
    16: "qQ wW eE rR tT yY uU iI oO pP [{ ]}",
    30: "aA sS dD fF gG hH jJ kK lL ;: '\" `~",
    43: "\\| zZ xX cC vV bB nN mM ,< .> /?",
}
_KEYS = {
    character: (first + place, character == pair[1])
    for first, row in _ROWS.items()
    for place, pair in enumerate(row.split())
    for character in pair
} | {" ": (57, False)}


def element(ai: str, value: str) -> str:
    """An element string; "#" in a value stands for its check digit."""
    return ai + (value[:-1] + check_digit(value[:-1]) if value.endswith("#") else value)


def check_digit(digits: str) -> str:
    """What is missing to the next ten, the last digit and every second before it counted three times."""
    threefold, once = digits[::-1][0::2], digits[::-1][1::2]
    return str((10 - (3 * sum(map(int, threefold)) + sum(map(int, once))) % 10) % 10)


LABELS = (
    "]C1" + element("01", "0880100700110#") + element("17", "271231") + element("10", "K7-0419"),
    "]d2" + element("01", "0401234567890#") + element("10", "B12") + GS + element("15", "280600"),
    "]e0" + element("01", "9062134000005#") + element("3103", "002480") + element("17", "270215"),
    "]E0" + element("", "880100730987#"),
)
"""What it is shown when nobody says what: meat with a lot, a case with best-before, weighed goods, a bottle."""


def keys_of(text: str) -> Iterator[tuple[int, int]]:
    """(key code, 1 down or 0 up) of typing a text and Enter; GS is Ctrl and ]."""
    for character in text:
        code, shifted = (_RIGHT_BRACE, False) if character == GS else _KEYS[character]
        modifier = _CONTROL if character == GS else _SHIFT if shifted else 0
        if modifier:
            yield modifier, 1
        yield from ((code, 1), (code, 0))
        if modifier:
            yield modifier, 0
    yield from ((_ENTER, 1), (_ENTER, 0))


class Scanner:
    """Sends each label with CR or Enter behind it."""

    def __init__(self, send: Callable[[bytes], None], condition: Condition, chance: random.Random) -> None:
        self._send = send
        self._condition = condition
        self._chance = chance

    def scan(self, label: str) -> None:
        """Read a label. Nothing is sent while unplugged or hanging."""
        fault = self._condition.fault
        if not self._condition.plugged or fault == "hang":
            return
        data = label.encode("ascii")
        if fault == "garbage":
            data = self._chance.randbytes(len(data)).replace(b"\r", b"\x00")
        elif fault == "flip":
            bit = self._chance.randrange(8 * len(data))
            data = (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")
        if fault == "cut":
            self._send(data[: len(data) // 2])
        else:
            self._send(data + b"\r")


def typing(keyboard: Keyboard) -> Callable[[bytes], None]:
    """A scanner's bytes as keys; what is on no key is not typed, and CR is Enter."""

    def send(data: bytes) -> None:
        text = data.decode("latin-1")
        keys = list(keys_of("".join(each for each in text if each in _KEYS or each == GS)))
        keyboard.type(keys if text.endswith("\r") else keys[:-2])

    return send


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    bus: Keyboard | PtyPort = machine.bus(wiring.kind, wiring.device)
    bus.attach(condition)
    scanner = Scanner(typing(bus) if isinstance(bus, Keyboard) else bus.send, condition, machine.chance)
    shown = 0
    machine.truths.setdefault(f"{name}.scans", 0.0)

    def step() -> None:
        nonlocal shown
        while shown < machine.truths[f"{name}.scans"]:
            scanner.scan(LABELS[shown % len(LABELS)])
            shown += 1

    machine.steps.append(step)


PART = FakePart(
    name="barcode",
    quantities=lambda _wiring: {"scans": Quantity(0.0)},
    faults=frozenset({"garbage", "flip", "cut", "hang"}),
    place=_place,
)
