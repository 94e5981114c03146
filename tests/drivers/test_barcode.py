"""Scanners on both kinds of wire: keys and lines become scans, damage becomes refusals."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import registry
from drivers.barcode import LINE_S, Barcode, KeyboardLines, Options, SerialLines, open_scanner
from drivers.buses import evdev, open_bus
from drivers.decoding.gs1 import FNC1
from drivers.decoding.us_keyboard import LONGEST, Line, Typist
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from fake_hw.parts.barcode import LABELS, PART, keys_of
from gateway.core.driver import Bus, BusKind
from gateway.core.errors import DeviceTimeout, NotConnected
from gateway.core.reading import Occurrence, Sample

NODES: dict[BusKind, str] = {
    "serial": "/dev/serial/by-id/usb-SCANNER-if00",
    "evdev": "/dev/input/by-id/usb-SCANNER-event-kbd",
}
MILK = "04012345678901"


def typed(text: str) -> list[tuple[int, bool]]:
    return [(code, value == 1) for code, value in keys_of(text)]


def lines_of(typist: Typist, events: list[tuple[int, bool]]) -> list[Line]:
    return [line for event in events if (line := typist.key(*event)) is not None]


PRINTABLE = "".join(map(chr, range(33, 127))) + " " + FNC1


@given(st.text(st.sampled_from(PRINTABLE), min_size=1, max_size=50))
def test_what_is_typed_is_read(text: str) -> None:
    """Every character of a US keyboard, and GS as Ctrl and ]."""
    assert lines_of(Typist(), typed(text)) == [Line(text)]


def test_keys_that_are_no_characters_spoil_their_line_only() -> None:
    """Caps lock would turn a lot's case round; the next scan is sound. F8 is FNC1 on some scanners."""
    typist = Typist()
    assert typist.key(28, True) is None  # Enter alone
    typist.key(58, True)
    (spoilt,) = lines_of(typist, typed("4006381333931"))
    assert "caps lock" in spoilt.fault
    assert lines_of(typist, [(66, True), (66, False), *typed("1")]) == [Line(FNC1 + "1")]
    for _ in range(LONGEST + 1):
        typist.key(2, True)
    assert "Enter" in typist.end().fault


def test_the_layout_is_the_kernels(tmp_path: Path) -> None:
    """struct input_event, EVIOCGRAB and key codes as linux/input.h has them here."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "the tests need a C compiler (apt install gcc libc6-dev)"
    (tmp_path / "layout.c").write_text(
        "#include <linux/input.h>\n#include <stddef.h>\n#include <stdio.h>\n"
        'int main(void) { struct input_event e; printf("%zu %zu %zu %zu %zu %lu %d %d %d %d %d %d %d", sizeof e,'
        "sizeof e.time.tv_sec, offsetof(struct input_event, type), offsetof(struct input_event, code),"
        "offsetof(struct input_event, value), (unsigned long)EVIOCGRAB, KEY_ENTER, KEY_KPENTER, KEY_LEFTSHIFT,"
        "KEY_RIGHTCTRL, KEY_F8, KEY_SLASH, SYN_DROPPED); return 0; }\n"
    )
    subprocess.run([compiler, str(tmp_path / "layout.c"), "-o", str(tmp_path / "layout")], check=True)
    told = subprocess.run([str(tmp_path / "layout")], capture_output=True, text=True, check=True).stdout
    size, second, kind, code, value, grab, *codes = map(int, told.split())
    assert (size, second, kind, code, value) == (evdev.INPUT_EVENT.size, 8, 16, 18, 20)
    assert grab == evdev.EVIOCGRAB
    assert codes == [28, 96, 42, 97, 66, 53, evdev.SYN_DROPPED]


class Rig:
    """A scanner on a simulated wire and its driver."""

    def __init__(self, root: str, kind: BusKind) -> None:
        self.machine = Machine(root)
        self.machine.place("barcode", "scanner", Wiring(kind, NODES[kind]))
        self.undo = install(root)
        self.machine.start()
        self.kind = kind
        self.bus: Any = open_bus(Bus("b", kind, NODES[kind]), root)
        self.driver: Barcode = registry.load("barcode").open(self.bus, Options())

    def send(self, data: bytes) -> None:
        """Raw bytes, or the keys that type them."""
        wire = self.machine.bus(self.kind, NODES[self.kind])
        self.machine.do(
            lambda: wire.send(data) if self.kind == "serial" else wire.type(list(keys_of(data[:-1].decode())))
        )

    def happened(self) -> list[Occurrence]:
        return [each for each in self.driver.read() if isinstance(each, Occurrence)]

    def close(self) -> None:
        self.bus.close()
        self.undo()
        self.machine.stop()


@pytest.fixture(params=["serial", "evdev"])
def rig(root: str, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(root, request.param)
    assert rig.happened() == []
    yield rig
    rig.close()


def test_labels_before_the_scanner_become_occurrences(rig: Rig) -> None:
    """From the wire, whichever it is, to what the label says; each scan once, also two at once."""
    rig.machine.set(scanner__scans=2)
    seen = rig.happened() + rig.happened()
    assert [each.what for each in seen] == ["scanned", "scanned"]
    assert seen[0].data == {
        "gtin": "08801007001104",
        "expiry": "2027-12-31",
        "lot": "K7-0419",
        "symbology": "]C1",
        "raw": LABELS[0],
    }
    assert seen[1].data["best_before"] == "2028-06-30"
    scans, refused = rig.driver.read()[:2]
    assert (scans, refused) == (Sample("scans", 2.0), Sample("refused", 0.0))


def test_a_refused_scan_is_told_with_its_reason(rig: Rig) -> None:
    """Staff hears at once that a label did not count, and why."""
    rig.send(b"01" + MILK.encode() + b"17260331\r")
    (refused,) = rig.happened()
    assert refused.what == "refused"
    assert "AIM" in str(refused.data["reason"])
    assert refused.data["raw"] == "01" + MILK + "17260331"
    rig.send(b"123\r")
    assert len(rig.happened()) == 1
    assert rig.driver.read()[1] == Sample("refused", 2.0)


def test_unplugged_and_plugged_in_again(rig: Rig) -> None:
    """The node goes and comes; nothing has to be restarted."""
    rig.machine.plug("scanner", False)
    with pytest.raises(NotConnected, match="plug"):
        rig.driver.read()
    with pytest.raises(NotConnected, match=r"plug|by-id"):
        rig.driver.read()
    rig.machine.plug("scanner", True)
    assert rig.happened() == []
    rig.send(b"]E04006381333931\r")
    assert [each.data["gtin"] for each in rig.happened()] == ["04006381333931"]


@pytest.mark.parametrize("fault", sorted(PART.faults - {"flip"}))
def test_a_damaged_scan_is_no_goods(rig: Rig, fault: str) -> None:
    """Garbage, half a scan and silence: nothing is `scanned`."""
    rig.machine.fault("scanner", fault)
    rig.machine.set(scanner__scans=4)
    seen = [each for _ in range(7 if fault == "cut" else 3) for each in rig.happened()]
    assert all(each.what == "refused" for each in seen)
    assert bool(seen) == (fault != "hang")


def test_the_scanner_is_ours_alone(root: str) -> None:
    """What is scanned must not be typed into a console: the device is grabbed, and a second grab says so."""
    rig = Rig(root, "evdev")
    assert rig.happened() == []
    other: Any = open_bus(Bus("c", "evdev", NODES["evdev"]), root)
    with pytest.raises(NotConnected, match="another program has grabbed it"):
        other.keys(0.0)
    rig.bus.close()
    assert other.keys(0.0) == []
    other.close()
    rig.close()


def test_events_the_kernel_dropped_spoil_the_scan(root: str) -> None:
    """SYN_DROPPED in the middle of a lot: refused."""
    rig = Rig(root, "evdev")
    rig.driver.read()
    keyboard = rig.machine.bus("evdev", NODES["evdev"])
    rig.machine.do(lambda: keyboard.type(list(keys_of("]E0400638"))[:-2]))
    rig.machine.do(keyboard.drop)
    rig.send(b"1333931\r")
    assert [each.what for each in rig.happened() + rig.happened()] == ["refused"]
    rig.close()


class Script:
    """A port or keyboard whose input is scripted; `clock` moves when it is waited for."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.now_s = 0.0

    def keys(self, timeout_s: float) -> list[tuple[int, bool]]:
        self.now_s += timeout_s
        return self.steps.pop(0) if self.steps else []

    def read(self, length: int, timeout_s: float) -> bytes:
        return self._next(1)

    def read_until(self, terminator: bytes, limit: int, timeout_s: float) -> bytes:
        end = self.steps[0].find(terminator) + 1 if self.steps and isinstance(self.steps[0], bytes) else 0
        if not end:
            self.steps = self.steps[1:]
            raise DeviceTimeout("cut")
        return self._next(end)

    def _next(self, length: int) -> bytes:
        if not self.steps:
            raise DeviceTimeout("silence")
        if isinstance(self.steps[0], Exception):
            raise self.steps.pop(0)
        taken, self.steps[0] = self.steps[0][:length], self.steps[0][length:]
        if not self.steps[0]:
            self.steps.pop(0)
        return bytes(taken)


CUT = "the scan broke off before its end: let the scanner send CR (Enter) behind each scan, then scan again"


def test_what_is_wrong_with_a_line_is_told() -> None:
    """Cut, behind a cut, and not of ASCII: with as much of it as is known."""
    source = SerialLines(Keyless(b"\xffbcd", b"12\r", b"4\xe9\r", b"7\r"))  # type: ignore[arg-type]  # what lines calls
    seen = [line for _ in range(3) for line in source.lines()]
    assert seen == [
        Line("\ufffd", CUT),
        Line("12", "the scan before this one broke off, so this may be its rest: scan again"),
        Line("4\\xe9", "bytes that are no text: check baud rate and parity"),
        Line("7"),
    ]


def test_a_flood_of_lines_is_read_in_portions() -> None:
    """Twenty of a read; the first byte is awaited for 0.2 s, the rest of a line for 1 s, the next line not at all."""
    waited: list[tuple[int, float]] = []

    class Port(Script):
        def read(self, length: int, timeout_s: float) -> bytes:
            waited.append((length, timeout_s))
            return super().read(length, timeout_s)

        def read_until(self, terminator: bytes, limit: int, timeout_s: float) -> bytes:
            waited.append((limit, timeout_s))
            return super().read_until(terminator, limit, timeout_s)

    source = SerialLines(Port(b"1\r" * 30))  # type: ignore[arg-type]  # as above
    assert [len(source.lines()) for _ in range(2)] == [20, 10]
    assert waited[:4] == [(1, 0.2), (500, 1.0), (1, 0.0), (500, 1.0)]
    assert waited[40:42] == [(1, 0.2), (500, 1.0)]


def test_a_refused_scan_is_shown_up_to_200_characters() -> None:
    """An event stays small."""
    scanner = open_scanner(Keyless(b"x" * 300 + b"\r"), Options())  # type: ignore[arg-type]  # the calls a scanner makes
    (refused,) = [each for each in scanner.read() if isinstance(each, Occurrence)]
    assert refused.data["raw"] == "x" * 200


def test_a_scan_without_enter_is_cut_after_a_second() -> None:
    """A second after its last key, and not before; what is typed while it is awaited counts."""
    now_s, waited = [100.0], list[float]()

    class Keys:
        def keys(self, timeout_s: float) -> list[tuple[int, bool]]:
            waited.append(timeout_s)
            return [(2, True), (2, False)] if len(waited) == 1 else []

    source = KeyboardLines(Keys(), lambda: now_s[0])
    told = []
    for now_s[0] in (100.0, 101.0, 101.001):
        told.append(source.lines())
    assert told == [[], [], [Line("1", CUT)]]
    assert waited == pytest.approx([0.2] * 4)


class Keyless:
    """A script without `keys`: a serial port."""

    def __init__(self, *steps: Any) -> None:
        script = Script(*steps)
        self.read, self.read_until = script.read, script.read_until


def outcomes(*steps: Any) -> list[tuple[str, object]]:
    scanner = open_scanner(Keyless(*steps), Options())  # type: ignore[arg-type]  # the calls a scanner makes
    seen = [each for _ in range(3) for each in scanner.read()]
    return [(each.what, each.data.get("gtin")) for each in seen if isinstance(each, Occurrence)]


def test_the_rest_of_a_cut_scan_is_no_scan() -> None:
    """The tail of a broken scan could be a number by itself: it is refused, the one after it counts."""
    good = ("scanned", "04006381333931")
    assert outcomes(b"]C10104", b"4006381333931\r4006381333931\r") == [("refused", None), ("refused", None), good]


def test_lines_end_as_scanners_end_them() -> None:
    """CR, CR LF, and empty lines; bytes that are no text are refused."""
    twice = [("scanned", "04006381333931")] * 2
    assert outcomes(b"\r\n4006381333931\r\n4006381333931\r") == twice
    assert outcomes(b"\xff006381333931\r") == [("refused", None)]


def test_an_adapter_that_goes_away_takes_no_scan_with_it() -> None:
    """What had been received is told; the loss is told by the next read."""
    scanner = open_scanner(Keyless(b"4006381333931\r", NotConnected("gone"), NotConnected("gone")), Options())  # type: ignore[arg-type]  # as above
    assert isinstance(scanner.read()[-1], Occurrence)
    with pytest.raises(NotConnected):
        scanner.read()


def test_a_line_that_is_never_ended_is_refused() -> None:
    """Keys without Enter for a second: cut, and told what to set."""
    script = Script(typed("400638")[:-2])
    lines = KeyboardLines(script, lambda: script.now_s)
    scanner = Barcode(lines, Options())
    seen = [each for _ in range(2 + round(LINE_S / 0.2)) for each in scanner.read() if isinstance(each, Occurrence)]
    assert [each.what for each in seen] == ["refused"]
    assert "Enter" in str(seen[0].data["reason"])


def test_a_babble_does_not_hold_a_read() -> None:
    """A port that never ends a line costs one line's patience for each read, a keyboard that never rests its wait."""
    babble = Keyless(*[b"AAAA"] * 40)
    scanner = open_scanner(babble, Options())  # type: ignore[arg-type]  # the calls a scanner makes
    assert [sum(isinstance(each, Occurrence) for each in scanner.read()) for _ in range(3)] == [1, 1, 1]
    ticks = iter(range(10_000))
    keys = Script(*[typed("4")[:-2]] * 10_000)
    KeyboardLines(keys, lambda: next(ticks) / 1000).lines()
    assert len(keys.steps) > 9_000


def test_nobody_may_read_it_without_the_group(root: str) -> None:
    """A node that is not ours to open names the group."""
    rig = Rig(root, "evdev")
    node = Path(rig.machine.path("/dev/input/by-id/usb-SECRET-event-kbd"))
    node.symlink_to("errno:13")
    other: Any = open_bus(Bus("c", "evdev", "/dev/input/by-id/usb-SECRET-event-kbd"), root)
    with pytest.raises(NotConnected, match="group input"):
        other.keys(0.0)
    rig.close()
