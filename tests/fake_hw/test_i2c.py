"""The I2C bus: production library below, independent drivers above."""

import errno
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from smbus2 import SMBus, i2c_msg

from fake_hw.physics.kitchen import read
from fake_hw.simulator import Simulator
from tests.oracle_i2c import BusioI2C

Tell = Callable[[str], dict[str, Any]]


@pytest.fixture
def bus(kitchen: Simulator) -> Iterator[SMBus]:
    """smbus2 on the simulated adapter."""
    opened = SMBus(f"{kitchen.root}/dev/i2c-1")
    yield opened
    opened.close()


def measure(bus: SMBus, address: int = 0x44) -> bytes:
    """One high-precision measurement by hand."""
    bus.i2c_rdwr(i2c_msg.write(address, [0xFD]))
    return fetch(bus, address)


def fetch(bus: SMBus, address: int) -> bytes:
    """The result, as soon as the part acknowledges."""
    answer = i2c_msg.read(address, 6)
    deadline = time.monotonic() + 1.0
    while True:
        try:
            bus.i2c_rdwr(answer)
            return bytes(answer)
        except OSError as error:
            if error.errno != errno.EREMOTEIO or time.monotonic() > deadline:
                raise


def test_adafruit_sht4x_reads_what_the_air_is(kitchen: Simulator, bus: SMBus, tell: Tell) -> None:
    """An independent driver decodes the simulated SHT4x to the temperature and humidity of the model."""
    from adafruit_sht4x import SHT4x

    tell("hold freezer.air -18.37")
    sensor = SHT4x(BusioI2C(bus), 0x45)
    temperature, humidity = sensor.measurements
    assert temperature == pytest.approx(-18.37, abs=0.12)
    assert humidity == pytest.approx(62.0, abs=0.6)
    assert sensor.serial_number == 0x0F4E2A12


def test_adafruit_ads1115_reads_the_transmitters(kitchen: Simulator, bus: SMBus, tell: Tell) -> None:
    """An independent driver reads the voltages that the transmitters of the model give, at two gains."""
    from adafruit_ads1x15.ads1x15 import Mode
    from adafruit_ads1x15.ads1115 import ADS1115

    a0, a1, a0_minus_a1 = 4, 5, 0  # the multiplexer's codes
    tell("hold fryer.oil 150")
    tell("hold gas.concentration 25")
    converter = ADS1115(BusioI2C(bus), gain=2 / 3, data_rate=860)
    assert converter.read(a1) * 6.144 / 32768 == pytest.approx(2.5, abs=0.01)
    assert converter.read(a0) * 6.144 / 32768 == pytest.approx(1.5, abs=0.01)
    converter.gain = 1
    assert converter.read(a0) * 4.096 / 32768 == pytest.approx(1.5, abs=0.01)
    assert converter.read(a0_minus_a1) * 4.096 / 32768 == pytest.approx(-1.0, abs=0.01)
    converter.gain = 4  # full scale 1.024 V: the reading clips
    assert converter.read(a0) == 32767
    converter.gain = 1
    assert converter.read(a0) < 32767
    converter.mode = Mode.CONTINUOUS
    for concentration, volts in ((50, 2.5), (75, 3.5)):
        tell(f"hold gas.concentration {concentration}")
        deadline = time.monotonic() + 2.0
        while abs(converter.get_last_result() * 4.096 / 32768 - volts) > 0.01:
            assert time.monotonic() < deadline


def test_adafruit_refuses_damaged_checksums(bus: SMBus, tell: Tell) -> None:
    """The faults `crc` and `flip` are damage that an independent driver's checksum test finds."""
    from adafruit_sht4x import SHT4x

    sensor = SHT4x(BusioI2C(bus), 0x44)
    for fault in ("crc", "flip"):
        tell(f"fault walkin_air {fault}")
        for _ in range(10):
            with pytest.raises(RuntimeError, match="CRC"):
                _ = sensor.measurements
    tell("fault walkin_air none")
    assert sensor.temperature < 10


def test_busy_part_does_not_acknowledge(bus: SMBus) -> None:
    """An SHT4x read before its conversion has ended is not acknowledged, and a result is given once."""
    bus.i2c_rdwr(i2c_msg.write(0x44, [0xFD]))
    with pytest.raises(OSError, match=r"\[Errno 121\]"):
        bus.i2c_rdwr(i2c_msg.read(0x44, 6))
    assert len(fetch(bus, 0x44)) == 6
    with pytest.raises(OSError, match=r"\[Errno 121\]"):
        bus.i2c_rdwr(i2c_msg.read(0x44, 6))


def test_missing_bytes_read_as_ones(bus: SMBus) -> None:
    """A master that reads on past a part's answer sees 0xFF: it never sees a short read."""
    answer = i2c_msg.read(0x48, 5)
    bus.i2c_rdwr(i2c_msg.write(0x48, [2]), answer)
    assert bytes(answer) == b"\x80\x00\xff\xff\xff"


@pytest.mark.parametrize(
    ("fault", "code"), [("nack", errno.EREMOTEIO), ("stuck", errno.ETIMEDOUT), ("hang", errno.ETIMEDOUT)]
)
def test_faults_end_in_the_kernels_errno(bus: SMBus, tell: Tell, fault: str, code: int) -> None:
    """A fault shows as the errno that a Pi's adapter gives, and healing ends it."""
    tell(f"fault walkin_air {fault}")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is asserted below
        bus.i2c_rdwr(i2c_msg.write(0x44, [0xFD]))
    assert caught.value.errno == code
    tell("fault walkin_air none")
    assert len(measure(bus)) == 6


def test_a_stuck_part_stops_its_bus_but_an_absent_one_does_not(bus: SMBus, tell: Tell) -> None:
    """A part that holds SDA makes every transfer time out; one that is unplugged hurts nobody else."""
    tell("unplug walkin_air")
    with pytest.raises(OSError, match=r"\[Errno 121\]"):
        measure(bus)
    assert measure(bus, 0x45)
    tell("plug walkin_air")
    tell("fault walkin_air stuck")
    with pytest.raises(OSError, match=r"\[Errno 110\]"):
        bus.i2c_rdwr(i2c_msg.write(0x45, [0xFD]))
    tell("unplug walkin_air")
    assert measure(bus, 0x45)


def test_frozen_ones_and_drift_look_like_what_they_are(bus: SMBus, tell: Tell) -> None:
    """A frozen element repeats itself with a good checksum, `ones` reads 0xFF, a drifting one leaves the truth."""
    first = measure(bus)
    tell("fault walkin_air frozen")
    tell("set walkin.air 20")
    assert measure(bus) == first
    tell("fault walkin_air ones")
    assert measure(bus) == b"\xff" * 6
    tell("fault walkin_air none")
    tell("hold gas.concentration 10")
    tell("fault gas drift")
    seen = [_volts(bus, 0)]
    deadline = time.monotonic() + 3.0
    while seen[-1] < seen[0] + 0.01:
        assert time.monotonic() < deadline
        seen.append(_volts(bus, 0))


def _volts(bus: SMBus, channel: int) -> float:
    bus.i2c_rdwr(i2c_msg.write(0x48, [1, 0xC1 | channel << 4, 0xE3]))
    config = i2c_msg.read(0x48, 2)
    while not bytes(config)[0] & 0x80:
        bus.i2c_rdwr(i2c_msg.write(0x48, [1]), config)
    value = i2c_msg.read(0x48, 2)
    bus.i2c_rdwr(i2c_msg.write(0x48, [0]), value)
    return float(struct.unpack(">h", bytes(value))[0]) * 6.144 / 32768


def test_a_transmitters_wire_and_the_chip_fail_apart(bus: SMBus, tell: Tell) -> None:
    """A cut transmitter reads 0 V while its neighbours go on; the chip's own faults reach all its inputs."""
    tell("unplug gas")
    assert _volts(bus, 0) == 0.0
    assert _volts(bus, 1) > 0.5
    tell("plug gas")
    assert _volts(bus, 0) >= 0.42
    tell("fault gas ones")
    assert _volts(bus, 0) == pytest.approx(5.0, abs=0.001)
    tell("fault gas none")
    assert "adc" in tell("fault gas nack")["message"]
    with pytest.raises(OSError, match=r"\[Errno 121\]"):
        _volts(bus, 1)
    tell("fault gas none")
    tell("unplug adc")
    with pytest.raises(OSError, match=r"\[Errno 121\]"):
        _volts(bus, 0)


def test_a_timed_fault_ends_by_itself(bus: SMBus, tell: Tell, until: Callable[..., None]) -> None:
    """`fault DEVICE KIND for SECONDS` heals when the time is over."""
    tell("fault walkin_air nack for 0.2")
    with pytest.raises(OSError, match=r"\[Errno 121\]"):
        bus.i2c_rdwr(i2c_msg.write(0x44, [0x89]))

    def answers() -> bool:
        try:
            bus.i2c_rdwr(i2c_msg.write(0x44, [0x89]))
        except OSError:
            return False
        return True

    until(answers, 2.0)


def test_an_unplugged_adapter_is_enodev_and_its_node_is_gone(kitchen: Simulator, bus: SMBus, tell: Tell) -> None:
    """Pulling the adapter takes the node away and breaks open descriptors; plugging it in allows a new one."""
    tell("unplug sensors")
    with pytest.raises(OSError, match=r"\[Errno 19\]"):
        bus.i2c_rdwr(i2c_msg.write(0x44, [0x89]))
    with pytest.raises(FileNotFoundError):
        SMBus(f"{kitchen.root}/dev/i2c-1")
    tell("plug sensors")
    with SMBus(f"{kitchen.root}/dev/i2c-1") as again:
        assert measure(again)


def test_smbus_transfers_are_the_kernels_emulation(bus: SMBus) -> None:
    """Byte, word and block transfers of smbus2 reach the part as plain messages."""
    assert bus.read_word_data(0x48, 2) == 0x0080  # SMBus words are little-endian, the chip's are not
    bus.write_word_data(0x48, 2, 0x3412)
    assert bus.read_i2c_block_data(0x48, 2, 2) == [0x12, 0x34]
    bus.write_i2c_block_data(0x48, 2, [0x80, 0x00])
    assert bus.read_byte_data(0x48, 2) == 0x80
    bus.write_quick(0x48)
    with pytest.raises(OSError, match=r"\[Errno 121\]"):
        bus.write_quick(0x50)


def test_one_slow_descriptor_blocks_no_other(kitchen: Simulator, bus: SMBus, tell: Tell) -> None:
    """Every descriptor has its own connection: a transfer that hangs does not delay another descriptor's."""
    tell("fault walkin_air hang")
    finished: list[float] = []

    def hang() -> None:
        with SMBus(f"{kitchen.root}/dev/i2c-1") as other:
            try:
                other.i2c_rdwr(i2c_msg.write(0x44, [0xFD]))
            except TimeoutError:
                finished.append(time.monotonic())

    thread = threading.Thread(target=hang)
    began = time.monotonic()
    thread.start()
    while thread.is_alive() and time.monotonic() < began + 0.2:
        measure(bus, 0x45)
    quick = time.monotonic()
    assert not finished
    thread.join()
    assert finished[0] > quick
    assert 0.9 < finished[0] - began < 2.0


def test_other_descriptors_pass_through(kitchen: Simulator, tmp_path: Any) -> None:
    """Ordinary files and a descriptor number that was closed behind the wrapper's back are left to the kernel."""
    import fcntl
    import termios

    path = tmp_path / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"abc")
    assert fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0") is not None
    node = os.open(f"{kitchen.root}/dev/i2c-1", os.O_RDWR)
    os.dup2(descriptor, node)  # closes the node without os.close
    assert fcntl.ioctl(node, termios.FIONREAD, b"\0\0\0\0") is not None
    os.close(node)
    os.close(descriptor)


def test_the_same_seed_gives_the_same_bytes(root: str) -> None:
    """Noise is seeded: two kitchens with one seed measure alike, another seed differs."""
    import random

    from fake_hw.faults import Condition, Probe

    def noise(seed: int) -> list[float]:
        probe = Probe(Condition("x", frozenset(), lambda: 0.0), lambda: 1.0, 0.1, 0.0, random.Random(seed))
        return [probe.value() for _ in range(5)]

    assert noise(1) == noise(1)
    assert noise(1) != noise(2)


def test_truth_is_what_the_model_says(kitchen: Simulator, bus: SMBus, tell: Tell) -> None:
    """`set` moves the physics and the next measurement shows it."""
    tell("set walkin.air 12")
    raw = measure(bus)
    celsius = -45 + 175 * int.from_bytes(raw[:2], "big") / 65535
    assert celsius == pytest.approx(read(kitchen.kitchen, "walkin.air"), abs=0.3)
