"""LD2410: the protocol's frame, damaged ones, and the part on a real pseudo-terminal at 256000 baud."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.ld2410 import HIGHEST_CM, Ld2410, Options, decode
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from fake_hw.parts import ld2410 as part
from gateway.core.driver import Bus
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from gateway.settings.keys import keys_of
from gateway.settings.words import BusEntry
from tests.drivers.wire import values

PORT = "/dev/serial/by-id/usb-RADAR"
EXAMPLE = bytes.fromhex("f4f3f2f1 0d00 02aa 02 5100 00 0000 3b 0000 5500 f8f7f6f5")


def test_the_protocols_example() -> None:
    """Section 2.3.2: somebody stands still; 81 cm, energy 59."""
    assert values(decode(EXAMPLE)) == {
        "presence": True,
        "moving_distance": 81,
        "moving_energy": 0,
        "still_distance": 0,
        "still_energy": 59,
    }


def test_a_report_in_engineering_mode_is_read_too() -> None:
    """It begins as the basic one and goes on with the energies of each gate."""
    body = bytes.fromhex("01aa 03 1e00 3c 0000 39 0000 08 08 3c22050302000000 5500")
    frame = EXAMPLE[:4] + len(body).to_bytes(2, "little") + body + EXAMPLE[-4:]
    assert values(decode(frame))["moving_distance"] == 30


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        EXAMPLE[:-1],
        EXAMPLE[1:],
        EXAMPLE[:4] + b"\x0e" + EXAMPLE[5:],
        EXAMPLE.replace(b"\x02\xaa", b"\x03\xaa"),
        EXAMPLE.replace(b"\xaa", b"\xab"),
        EXAMPLE.replace(b"\x55", b"\x54"),
        EXAMPLE.replace(b"\xaa\x02", b"\xaa\x04"),
        EXAMPLE.replace(b"\x3b", b"\x65"),
        EXAMPLE.replace(b"\x51\x00", b"\x51\x04"),
        EXAMPLE.replace(b"\x51\x00", b"\x85\x03"),  # 901 cm
        EXAMPLE[:4] + bytes.fromhex("0c00 02aa 02 5100 00 0000 3b 00 5500") + EXAMPLE[-4:],
    ],
)
def test_what_is_no_report_is_refused(frame: bytes) -> None:
    """The form must fit wholly, and the values must be such as the part can see."""
    with pytest.raises(InvalidData):
        decode(frame)


@given(st.binary(max_size=40), st.integers(0, 8 * len(EXAMPLE) - 1))
def test_any_bytes_are_a_possible_report_or_refused(data: bytes, bit: int) -> None:
    """Damage gives values within the channels' limits, or an error."""
    flipped = (int.from_bytes(EXAMPLE, "big") ^ 1 << bit).to_bytes(len(EXAMPLE), "big")
    for frame in (data, EXAMPLE[:4] + data + EXAMPLE[-4:], flipped):
        try:
            seen = values(decode(frame))
        except InvalidData:
            continue
        assert min(seen.values()) >= 0
        assert max(seen["moving_energy"], seen["still_energy"]) <= 100
        assert max(seen["moving_distance"], seen["still_distance"]) <= HIGHEST_CM


def test_the_most_that_it_can_see() -> None:
    """100 % and 900 cm, of both targets."""
    most = bytes.fromhex("f4f3f2f1 0d00 02aa 03 8403 64 8403 64 0000 5500 f8f7f6f5")
    assert values(decode(most)) == {
        "presence": True,
        "moving_distance": 900,
        "moving_energy": 100,
        "still_distance": 900,
        "still_energy": 100,
    }


class Frames:
    """A port on which these come after the discarding."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = list(frames)

    def discard_input(self) -> None:
        """What was there is no more."""

    def read_until(self, *_: object) -> bytes:
        return self.frames.pop(0)


def test_only_a_frame_that_was_cut_is_passed_over() -> None:
    """A whole one is taken at once."""
    for port in (Frames(EXAMPLE), Frames(EXAMPLE[3:], EXAMPLE)):
        assert values(Ld2410(port, Options()).read())["still_energy"] == 59  # type: ignore[arg-type]  # what a read calls
        assert port.frames == []


def test_a_site_may_say_256000_baud() -> None:
    """The radar's rate is one of those a bus may have."""
    (baud,) = [key for key in keys_of(BusEntry) if key.name == "baud"]
    assert 256000 in baud.hint.__args__


@pytest.fixture
def machine(root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A radar that reports every 20 ms, so that tests are short."""
    monkeypatch.setattr(part, "PERIOD_S", 0.02)
    made = Machine(root)
    undo = install(root)
    made.place("ld2410", "radar", Wiring("serial", PORT))
    made.start()
    yield made
    undo()
    made.stop()


@pytest.fixture
def radar(machine: Machine) -> Iterator[Ld2410]:
    """The driver on its production port."""
    from drivers.buses.serial_port import open_bus

    port = open_bus(Bus("radar", "serial", PORT, baud=256000), machine.root)
    yield Ld2410(port, Options())
    port.close()


def test_reads_the_simulated_room(machine: Machine, radar: Ld2410) -> None:
    """What is true is what it reports from the next read on, old frames never."""
    assert values(radar.read())["moving_distance"] == 180
    machine.set(radar__presence=0.0, radar__moving_energy=0.0, radar__still_energy=0.0, radar__still_distance=899.0)
    machine.do()
    seen = [values(radar.read()) for _ in range(2)][-1]
    assert (seen["presence"], seen["moving_energy"], seen["still_distance"]) == (False, 0, 899)


@pytest.mark.parametrize("fault", ["ones", "garbage", "half", "nack"])
def test_a_radar_that_does_not_make_sense_is_no_empty_room(machine: Machine, radar: Ld2410, fault: str) -> None:
    """Noise, halves and silence are errors."""
    machine.fault("radar", fault)
    with pytest.raises((InvalidData, DeviceTimeout)):
        radar.read()


def test_unplugged_and_back(machine: Machine, radar: Ld2410) -> None:
    """The adapter may go and come."""
    machine.plug("radar", False)
    with pytest.raises(NotConnected):
        radar.read()
    machine.plug("radar", True)
    assert values(radar.read())["presence"] is True
