"""Card readers: frames, parity, one `presented` for a card that stays, and the readers on their wires."""

import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from adafruit_pn532.i2c import PN532_I2C
from hypothesis import given
from hypothesis import strategies as st

from drivers import pn532, rdm6300, wiegand
from drivers.decoding.cards import Card, CardWatch
from drivers.rdm6300 import Rdm6300
from fake_hw.parts import rdm6300 as fake_rdm6300
from fake_hw.parts import wiegand as fake_wiegand
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.reading import Occurrence, Sample
from tests.drivers.wire import Wire

READER = "/dev/serial/by-id/usb-READER-if00"
Until = Callable[..., None]


def samples(seen: Sequence[Sample | Occurrence]) -> dict[str, float | bool]:
    return {each.channel: each.value for each in seen if isinstance(each, Sample)}


def happened(seen: Sequence[Sample | Occurrence]) -> list[tuple[str, dict[str, Any]]]:
    return [(each.what, dict(each.data)) for each in seen if isinstance(each, Occurrence)]


# a card that stays


def test_a_card_that_stays_is_presented_once() -> None:
    """Seen again within the hold time: the same visit. Away for longer, or another card: another one."""
    now_s = [0.0]
    watch = CardWatch(0.5, lambda: now_s[0])
    card, other = Card("aa", {"number": "1"}), Card("bb", {})
    assert [each.data for each in watch.seen(card)] == [{"uid": "aa", "number": "1"}]
    for _ in range(5):
        now_s[0] += 0.4
        assert watch.seen(card) == []
    assert watch.samples() == [Sample("present", True), Sample("cards", 1.0)]
    assert len(watch.seen(other)) == 1
    now_s[0] += 0.5
    assert watch.samples() == [Sample("present", True), Sample("cards", 2.0)]
    now_s[0] += 0.1
    assert watch.samples() == [Sample("present", False), Sample("cards", 2.0)]
    assert len(watch.seen(other)) == 1


def test_no_card_is_there_before_one_came() -> None:
    """Whatever the clock says."""
    assert CardWatch(5.0, lambda: 0.0).samples() == [Sample("present", False), Sample("cards", 0.0)]


# RDM6300


def test_rdm6300_decodes_the_makers_example() -> None:
    """The specification's card 62E3086CED: checksum 08."""
    assert rdm6300.decode(b"\x0262E3086CED08\x03") == Card("62e3086ced", {"number": "3808980205"})


@given(st.binary(min_size=5, max_size=5), st.integers(0, 13), st.integers(0, 7))
def test_rdm6300_refuses_every_flipped_bit(card: bytes, place: int, bit: int) -> None:
    """A sound frame is its card; with any one bit changed it is none."""
    frame = fake_rdm6300.frame(card)
    assert rdm6300.decode(frame).uid == card.hex()
    damaged = frame[:place] + bytes([frame[place] ^ 1 << bit]) + frame[place + 1 :]
    with pytest.raises(InvalidData):
        rdm6300.decode(damaged)


@given(st.binary(max_size=20))
def test_rdm6300_gives_a_card_or_refuses(data: bytes) -> None:
    """Any bytes."""
    try:
        assert len(rdm6300.decode(data).uid) == 10
    except InvalidData:
        return


class Bytes:
    """A port that has received this much; then silence."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, length: int, _timeout_s: float) -> bytes:
        if len(self.data) < length:
            self.data = b""
            raise DeviceTimeout("silence")
        taken, self.data = self.data[:length], self.data[length:]
        return taken


def rdm_read(data: bytes) -> Sequence[Sample | Occurrence]:
    return Rdm6300(Bytes(data), rdm6300.Options()).read()  # type: ignore[arg-type]  # the call a reader makes


def test_rdm6300_finds_the_next_frame() -> None:
    """Noise in front, a frame cut by the next one, a frame repeated: one card, once."""
    frame = fake_rdm6300.frame(fake_rdm6300.CARD)
    for data in (
        frame * 3,
        b"\xff\x00" + frame,
        frame[:6] + frame,
        frame[:13] + frame + frame[:4],
        b"\x02" * 9 + frame,
    ):
        seen = rdm_read(data)
        assert happened(seen) == [("presented", {"uid": "0c00a1b2c3", "number": "0010597059"})]
        assert samples(seen) == {"present": True, "cards": 1.0}
    assert samples(rdm_read(b"")) == {"present": False, "cards": 0.0}


def test_rdm6300_takes_what_the_kernel_keeps_and_no_more() -> None:
    """A reader that floods the line holds a read no longer than 4096 bytes."""
    port = Bytes(fake_rdm6300.frame(fake_rdm6300.CARD) * 400)
    Rdm6300(port, rdm6300.Options()).read()  # type: ignore[arg-type]  # the call a reader makes
    assert len(port.data) == 14 * (400 - 293)


def test_rdm6300_holds_a_card_for_half_a_second() -> None:
    """By its own clock."""
    port, clock = Bytes(fake_rdm6300.frame(fake_rdm6300.CARD)), Ticking()
    reader = Rdm6300(port, rdm6300.Options(), clock)  # type: ignore[arg-type]  # as above
    present = []
    for clock.now_s in (7.0, 7.5, 7.6):
        present.append(samples(reader.read())["present"])
    assert present == [True, True, False]


@pytest.mark.parametrize("data", [b"\xff" * 2000, b"\x02" * 2000, b"\x0262E3086CED09\x03"])
def test_rdm6300_says_what_is_wrong(data: bytes) -> None:
    """Bytes without a sound frame among them are an error, not an empty reader."""
    with pytest.raises(DeviceError):
        rdm_read(data)


def test_rdm6300_on_its_wire(wire: Wire, until: Until) -> None:
    """A card comes, stays and goes; the adapter too."""
    wire.place("rdm6300", "serial", READER)
    reader = wire.open(now=(clock := Ticking()))
    wire.set(present=1.0)
    seen = [each for _ in range(3) for each in reader.read()]
    assert happened(seen) == [("presented", {"uid": "0c00a1b2c3", "number": "0010597059"})]
    wire.set(present=0.0)
    clock.now_s += 1.0
    until(lambda: samples(reader.read())["present"] is False)
    wire.plug(False)
    with pytest.raises(NotConnected):
        reader.read()
    wire.plug(True)
    wire.set(present=1.0)
    until(lambda: samples(reader.read())["present"] is True)


class Ticking:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


# Wiegand


def bits_of(text: str) -> list[int]:
    return [int(bit) for bit in text]


def test_wiegand_decodes_a_card_written_by_hand() -> None:
    """Facility 17 (00010001), number 4711 (0001001001100111): 3 ones in the first twelve, 6 in the last."""
    frame = bits_of("1" + "00010001" + "0001001001100111" + "1")
    assert wiegand.decode(frame) == {"uid": "111267", "facility": 17.0, "number": 4711.0, "bits": 26.0}


@given(st.integers(0, 255), st.integers(0, 65535), st.booleans(), st.data())
def test_wiegand_parity_finds_every_flipped_bit(facility: int, number: int, wide: bool, data: st.DataObject) -> None:
    """A sound frame of either length is its card; any one wrong, lost or doubled bit refuses it."""
    frame = bits_of(fake_wiegand.card(facility, number, wide=wide))
    decoded = wiegand.decode(frame)
    assert (decoded["facility"], decoded["number"], len(str(decoded["uid"]))) == (facility, number, 8 if wide else 6)
    place = data.draw(st.integers(0, len(frame) - 1))
    for damaged in (
        [*frame[:place], 1 - frame[place], *frame[place + 1 :]],
        frame[:place] + frame[place + 1 :],
        [*frame, frame[place]],
    ):
        with pytest.raises(InvalidData):
            wiegand.decode(damaged)


@given(st.lists(st.integers(0, 1), max_size=40))
def test_wiegand_gives_a_card_or_refuses(bits: list[int]) -> None:
    """Any pulses: what is a card has room for its number and nothing else."""
    try:
        card = wiegand.decode(bits)
    except InvalidData:
        return
    assert int(str(card["uid"]), 16) == float(card["facility"]) * 65536 + float(card["number"])
    assert 0 <= float(card["number"]) <= 65535
    assert card["bits"] == len(bits)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 1)), max_size=60))
def test_wiegand_loses_no_pulse_between_frames(pulses: list[wiegand.Pulse]) -> None:
    """Every pulse is in one frame, in order; frames lie further apart than pulses of one do."""
    frames = wiegand.split(pulses)
    assert [pulse for frame in frames for pulse in frame] == sorted(pulses)
    for frame in frames:
        assert all(later[0] - sooner[0] <= 25_000_000 for sooner, later in itertools.pairwise(frame))
    assert all(later[0][0] - sooner[-1][0] > 25_000_000 for sooner, later in itertools.pairwise(frames))


def test_wiegand_pulses_are_ordered_by_their_stamps() -> None:
    """The two wires are read one after the other; the kernel's stamps tell which pulse came first."""
    pulses = [(3_000_000, 0), (5_000_000, 0), (2_000_000, 1), (4_000_000, 1), (30_000_001, 1)]
    assert wiegand.split(pulses) == [[(2_000_000, 1), (3_000_000, 0), (4_000_000, 1), (5_000_000, 0)], [pulses[-1]]]
    assert wiegand.split([]) == []
    assert wiegand.split([(0, 1), (25_000_000, 1), (50_000_001, 1)]) == [[(0, 1), (25_000_000, 1)], [(50_000_001, 1)]]


class Lines:
    """Two lines whose edges and levels the test makes."""

    def __init__(self) -> None:
        self.notes: list[Callable[[bool, int], None]] = []
        self.levels: list[list[bool]] = [[], []]  # what DATA0 and DATA1 are found at, one look after the other

    def input(self, line: int, **_claim: object) -> "Line":
        return Line(self, self.levels[line - 23])


class Line:
    """One of them."""

    def __init__(self, lines: Lines, levels: list[bool]) -> None:
        self._notes, self._levels = lines.notes, levels

    def watch(self, note: Callable[[bool, int], None]) -> None:
        self._notes.append(note)

    def is_active(self) -> bool:
        return self._levels.pop(0) if self._levels else False


def send(lines: Lines, bits: str, begin_ns: int) -> None:
    """Pulses, a millisecond apart."""
    for place, bit in enumerate(bits):
        lines.notes[int(bit)](True, begin_ns + place * 1_000_000)
        lines.notes[int(bit)](False, begin_ns + place * 1_000_000 + 50_000)


def test_wiegand_waits_for_the_end_of_a_card() -> None:
    """A card that is being sent is read when it is complete, and the one behind it by itself."""
    lines, now_ns = Lines(), [0]
    reader = wiegand.Wiegand(lines, wiegand.Options(23, 24), lambda: now_ns[0])  # type: ignore[arg-type]  # two lines
    first, second = fake_wiegand.card(1, 2), fake_wiegand.card(3, 4)
    send(lines, first, 0)
    now_ns[0] = 30_000_000
    assert happened(reader.read()) == []
    now_ns[0] = 51_000_000
    assert [data["number"] for _, data in happened(reader.read())] == [2.0]
    send(lines, second[:9], 100_000_000)
    now_ns[0] = 109_000_000
    assert happened(reader.read()) == []
    send(lines, second[9:], 109_000_000)
    send(lines, first, 160_000_001)
    now_ns[0] = 300_000_000
    seen = reader.read()
    assert [data["number"] for _, data in happened(seen)] == [4.0, 2.0]
    assert samples(seen) == {"cards": 3.0, "refused": 0.0}
    send(lines, "10", 400_000_000)
    now_ns[0] = 426_000_000
    assert happened(reader.read()) == []
    now_ns[0] = 426_000_001
    assert [what for what, _ in happened(reader.read())] == ["refused"]
    send(lines, "0", 500_000_000)
    now_ns[0] = 600_000_000
    assert samples(reader.read()) == {"cards": 3.0, "refused": 2.0}


def test_wiegand_tells_a_held_wire_from_a_pulse() -> None:
    """Low at two looks with no pulse begun is held; what was presented just before still counts."""
    lines, now_ns = Lines(), [0]
    reader = wiegand.Wiegand(lines, wiegand.Options(23, 24), lambda: now_ns[0])  # type: ignore[arg-type]  # two lines
    lines.levels[0] += [True, False]
    assert happened(reader.read()) == []
    lines.levels[1] += [True, True]
    assert refusal(reader).startswith("DATA1 is held low: check")
    lines.levels[0] += [True, True]
    assert refusal(reader).startswith("DATA0 is held low: check")
    send(lines, fake_wiegand.card(1, 2), 0)
    lines.levels[0] += [True, True]
    assert happened(reader.read()) == []
    now_ns[0] = 10**9
    lines.levels[0][:] = [True, True]
    assert len(happened(reader.read())) == 1


def test_wiegand_on_its_wire(wire: Wire, until: Until) -> None:
    """Cards over the chip's edge events; damage is refused with a reason, a held wire is the reader's fault."""
    wire.place("wiegand", "gpio", "/dev/gpiochip0")
    reader = wire.open()

    def next_of(fault: str, cards: float) -> tuple[str, dict[str, Any]]:
        wire.fault(fault)
        wire.set(cards=cards)
        seen: list[tuple[str, dict[str, Any]]] = []

        def arrived() -> bool:
            seen.extend(happened(reader.read()))
            return bool(seen)

        until(arrived)
        return seen[0]

    card = {"uid": "111267", "facility": 17.0, "number": 4711.0, "bits": 26.0}
    assert next_of("none", 1.0) == ("presented", card)
    assert next_of("flip", 2.0) == ("refused", {"reason": "the parity is wrong: check both wires, and the ground"})
    what, data = next_of("cut", 3.0)
    assert (what, "pulses instead of 26 or 34" in data["reason"]) == ("refused", True)
    assert next_of("none", 4.0)[1] == card
    wire.fault("short")
    until(lambda: "DATA0 is held low" in refusal(reader))
    reader.close()


def refusal(reader: Any) -> str:
    """Why it can't be read; empty when it can."""
    try:
        reader.read()
    except SensorFailure as error:
        return str(error)
    return ""


# PN532


def test_pn532_frames_as_the_manual_writes_them() -> None:
    """SAMConfiguration, normal mode, of the manual; and an answer taken apart."""
    assert pn532.frame(bytes([0xD4, 0x14, 1, 0x14, 1])).hex(" ") == "00 00 ff 05 fb d4 14 01 14 01 02 00"
    assert pn532.unframe(bytes.fromhex("0000ff02fed515160000")) == b"\xd5\x15"
    assert pn532.unframe(bytes.fromhex("0000ff02fed5151677")) == b"\xd5\x15"
    with pytest.raises(DeviceError, match="refuses"):
        pn532.unframe(bytes.fromhex("0000ff01ff7f8100"))


@pytest.mark.parametrize("frame", ["", "0000ff", "0000ff02", "0000ff00000000", "0000ff02fed5", "0000ff02fed515"])
def test_pn532_refuses_what_is_no_frame(frame: str) -> None:
    """Cut short at every place, and without data."""
    with pytest.raises(InvalidData, match="is no frame"):
        pn532.unframe(bytes.fromhex(frame))


def test_pn532_answers_to_a_search() -> None:
    """A UID of each length, what a card says behind it, no card; and what describes none."""
    for uid in ("08112233", "04a3b2c1d05e80", "0102030405060708090a"):
        answer = bytes.fromhex(f"01 01 0044 00 {len(uid) // 2:02x} {uid}")
        for behind in (b"", b"\x05\x78\x80"):
            assert pn532.read_card(answer + behind) == Card(uid, {"random": uid == "08112233"})
    assert pn532.read_card(b"\x00") is None
    for wrong in (
        "",
        "01",
        "0101004400",
        "010100440004",
        "010100440004112233",
        "0101004400051122334455",
        "02010044000411223344",
    ):
        with pytest.raises(InvalidData):
            pn532.read_card(bytes.fromhex(wrong))


def test_pn532_is_asked_as_the_manual_says() -> None:
    """Byte for byte: set up once, then a search; each answer after an acknowledgement, both without a byte written."""
    acknowledge = bytes.fromhex("01 0000ff00ff00")
    chip = Chip(acknowledge, b"\x00", *(b"\x01" + pn532.frame(answer) for answer in [b"\xd5\x15"]))
    for answer in (b"\xd5\x13", b"\xd5\x33", b"\xd5\x4b\x00"):
        chip.ready += [acknowledge, b"\x01" + pn532.frame(answer)]
    naps: list[float] = []
    reader = pn532.Pn532(chip, pn532.Options(0x48), sleep=naps.append)
    assert samples(reader.read()) == {"present": False, "cards": 0.0}
    answers = [(0x48, "", 7), (0x48, "", 33)]
    assert chip.sent == [
        *[(0x48, "0000ff05fbd4140114010200", 0), *answers, answers[1]],
        *[(0x48, "0000ff03fdd412041600", 0), *answers],
        *[(0x48, "0000ff06fad43205ff0101f400", 0), *answers],
        *[(0x48, "0000ff04fcd44a0100e100", 0), *answers],
    ]
    assert naps == [0.005]


@pytest.mark.parametrize(("ready", "looks"), [([], 10), ([bytes.fromhex("01 0000ff00ff00")], 1 + 60)])
def test_pn532_that_stays_busy_is_late(ready: list[bytes], looks: int) -> None:
    """50 ms for the acknowledgement, 300 ms for the answer, a look every 5 ms."""
    chip = Chip(*ready)
    with pytest.raises(DeviceTimeout):
        pn532.Pn532(chip, pn532.Options(), sleep=lambda _s: None).read()
    assert len(chip.sent) == 1 + looks


class Chip:
    """Notes what is transferred; answers with what is ready, then it is busy."""

    def __init__(self, *ready: bytes) -> None:
        self.ready = list(ready)
        self.sent: list[tuple[int, str, int]] = []

    def transfer(self, address: int, data: bytes, length: int = 0) -> bytes:
        self.sent.append((address, data.hex(), length))
        if not length:
            return b""
        return self.ready.pop(0) if self.ready else b"\x00"


@given(st.binary(min_size=1, max_size=24), st.data())
def test_pn532_refuses_every_flipped_bit(content: bytes, data: st.DataObject) -> None:
    """Between start and checksum no one bit can change unnoticed; the postamble means nothing."""
    body = b"\xd5" + content
    framed = pn532.frame(body)
    assert pn532.unframe(framed + b"\x00\x00") == body
    bit = data.draw(st.integers(0, 8 * (len(framed) - 1) - 1))
    damaged = bytearray(framed)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidData):
        pn532.unframe(bytes(damaged))


@given(st.binary(max_size=40))
def test_pn532_gives_data_or_refuses(data: bytes) -> None:
    """Any bytes: what a frame holds stands in it."""
    with contextlib.suppress(DeviceError):
        assert pn532.unframe(data) in data


@given(st.binary(max_size=40))
def test_pn532_gives_a_card_or_refuses(data: bytes) -> None:
    """Any bytes: a card has a UID of 4, 7 or 10 of them."""
    try:
        card = pn532.read_card(data)
    except DeviceError:
        return
    assert card is None or (len(card.uid) in (8, 14, 20) and bytes.fromhex(card.uid) in data)


@pytest.fixture
def nfc(wire: Wire) -> Wire:
    """A PN532 on the adapter."""
    wire.place("pn532")
    return wire


def opened(wire: Wire) -> Any:
    return wire.open(sleep=wire.timer.sleep, now=wire.timer)


@pytest.mark.parametrize("uid", ["04a3b2c1d05e80", "a1b2c3d4", "08112233", "0102030405060708090a"])
def test_pn532_reads_what_adafruits_driver_reads(nfc: Wire, uid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """UIDs of every length: the same bytes as the independent driver finds on the same chip."""
    part = nfc.machine.bus("i2c", "/dev/i2c-1").part(0x24)
    part.uid = bytes.fromhex(uid)
    (event,) = happened(opened(nfc).read())
    assert event == ("presented", {"uid": uid, "random": uid == "08112233"})
    monkeypatch.setattr("time.sleep", nfc.timer.sleep)
    oracle = PN532_I2C(nfc.busio())
    assert oracle.firmware_version == (0x32, 1, 6, 7)
    if len(uid) <= 14:  # it refuses UIDs of ten bytes
        assert bytes(oracle.read_passive_target(timeout=0.5)).hex() == uid


def test_pn532_reads_bank_cards_and_phones(nfc: Wire) -> None:
    """A card of ISO 14443-4 is told by its UID, however much it would say of itself."""
    part = nfc.machine.bus("i2c", "/dev/i2c-1").part(0x24)
    part.uid, part.ats = bytes.fromhex("08112233"), bytes.fromhex("1378807202803180 66b1840c016e0183009000")
    assert happened(opened(nfc).read()) == [("presented", {"uid": "08112233", "random": True})]


def test_pn532_notices_a_card_come_and_go(nfc: Wire) -> None:
    """Present while it lies there, presented once per visit; without a card the search ends by itself."""
    nfc.set(present=0.0)
    reader = opened(nfc)
    assert samples(reader.read()) == {"present": False, "cards": 0.0}
    nfc.set(present=1.0)
    assert len(happened(reader.read())) == 1
    nfc.timer.sleep(0.3)
    assert happened(reader.read()) == []
    nfc.set(present=0.0)
    nfc.timer.sleep(1.0)
    assert samples(reader.read()) == {"present": False, "cards": 1.0}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("crc", InvalidData),
        ("flip", DeviceError),
        ("ones", InvalidData),
        ("garbage", DeviceError),
        ("stuck", DeviceTimeout),
    ],
)
def test_pn532_refuses_damage(nfc: Wire, fault: str, error: type[DeviceError]) -> None:
    """Never a card that is not there, never no card where one is."""
    reader = opened(nfc)
    assert samples(reader.read())["present"] is True
    nfc.fault(fault)
    outcomes = set()
    for _ in range(1 if fault == "stuck" else 10):
        try:
            outcomes.add(samples(reader.read())["present"])
        except error:
            outcomes.add(False)
    assert False in outcomes


def test_pn532_that_lost_its_supply_is_set_up_afresh(nfc: Wire) -> None:
    """Unplugged: told; back again: the driver opened anew configures it, one that was not would find it never ready."""
    reader = opened(nfc)
    reader.read()
    nfc.plug(False)
    with pytest.raises(NotConnected):
        reader.read()
    nfc.plug(True)
    with pytest.raises(DeviceError):
        reader.read()
    assert samples(opened(nfc).read())["present"] is True
