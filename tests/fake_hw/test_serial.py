"""Serial parts on real pseudo-terminals, with pyserial and an independent Modbus master above them."""

import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serial
from pymodbus.client import ModbusSerialClient

from fake_hw.simulator import Simulator

Tell = Callable[[str], dict[str, Any]]
METERS = "dev/serial/by-id/usb-FTDI_FT232R_USB_UART_METERS-if00-port0"
SCALE = "dev/serial/by-id/usb-Prolific_USB-Serial_SCALE-if00-port0"


@pytest.fixture
def master(kitchen: Simulator) -> Iterator[ModbusSerialClient]:
    """pymodbus's client on the meters' port."""
    client = ModbusSerialClient(f"{kitchen.root}/{METERS}", baudrate=9600, timeout=0.3, retries=0)
    assert client.connect()
    yield client
    client.close()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped


def registers(master: ModbusSerialClient) -> list[int]:
    answer = master.read_input_registers(0, count=10, device_id=1)
    assert not answer.isError(), answer
    return list(answer.registers)


def test_pymodbus_reads_the_meter(kitchen: Simulator, master: ModbusSerialClient, tell: Tell) -> None:
    """An independent Modbus master decodes the ten registers to what the model draws."""
    tell("hold mains.power 14300")
    tell("hold mains.voltage 221.5")
    tell("hold mains.energy 70000")
    volts, amp_low, amp_high, watt_low, watt_high, wh_low, wh_high, hertz, factor, alarm = registers(master)
    assert volts == 2215
    assert (watt_high << 16 | watt_low) == 143_000
    assert (wh_high << 16 | wh_low) == 70_000
    assert hertz == 600
    apparent = volts / 10 * (amp_high << 16 | amp_low) / 1000
    assert 14_300 / apparent == pytest.approx(factor / 100, abs=0.011)
    assert alarm == 0


def test_exceptions_and_silence(master: ModbusSerialClient) -> None:
    """A register that is not there is exception 2, an unknown function exception 1, another unit gets silence."""
    assert master.read_input_registers(9, count=2, device_id=1).exception_code == 2
    assert master.read_coils(0, count=1, device_id=1).exception_code == 1
    from pymodbus.exceptions import ModbusIOException

    with pytest.raises(ModbusIOException):
        master.read_input_registers(0, count=10, device_id=2)
    assert len(registers(master)) == 10


def test_holding_registers_and_alarm(master: ModbusSerialClient, tell: Tell) -> None:
    """The alarm threshold is written with function 6, read with function 3, and raises the alarm register."""
    tell("hold mains.power 500")
    assert not master.write_register(1, 400, device_id=1).isError()
    assert master.read_holding_registers(1, count=2, device_id=1).registers == [400, 1]
    assert registers(master)[9] == 0xFFFF


@pytest.mark.parametrize("fault", ["crc", "garbage", "hang", "nack", "ones", "flip"])
def test_meter_faults_never_look_good(master: ModbusSerialClient, tell: Tell, fault: str) -> None:
    """Whatever is wrong on the line, an independent master gets no answer, and recovers afterwards."""
    from pymodbus.exceptions import ModbusIOException

    before = registers(master)
    tell(f"fault mains {fault}")
    with pytest.raises(ModbusIOException):
        master.read_input_registers(0, count=10, device_id=1)
    tell("fault mains none")
    deadline = time.monotonic() + 3.0
    while True:
        try:
            assert registers(master)[0] == before[0]
            break
        except ModbusIOException:
            assert time.monotonic() < deadline


def test_a_late_answer(kitchen: Simulator, tell: Tell) -> None:
    """A slow meter answers well, but after 0.4 s."""
    tell("fault mains slow")
    with ModbusSerialClient(f"{kitchen.root}/{METERS}", timeout=2.0, retries=0) as patient:
        began = time.monotonic()
        assert len(registers(patient)) == 10
        assert time.monotonic() - began > 0.4


def test_noise_before_a_request_is_forgotten_after_a_pause(kitchen: Simulator, until: Callable[..., None]) -> None:
    """Half a frame does not swallow the next: the meter resynchronises on silence."""
    request = bytes.fromhex("010400000001")
    request += _crc(request)
    with serial.Serial(f"{kitchen.root}/{METERS}", 9600, timeout=0.5, exclusive=True) as port:
        port.write(b"\x01\x04\x00")

        def answered() -> bool:
            port.write(request)
            answer = port.read(7)
            return len(answer) == 7 and answer[-2:] == _crc(answer[:-2])

        until(answered)


def _crc(frame: bytes) -> bytes:
    """Modbus CRC bit by bit."""
    remainder = 0xFFFF
    for byte in frame:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0xA001 if remainder & 1 else 0)
    return remainder.to_bytes(2, "little")


def test_the_meters_own_function_is_not_there(kitchen: Simulator) -> None:
    """Function 0x42, which sets its energy to zero, is refused like any that it doesn't have: exception 1."""
    frame = b"\x01\x42"
    frame += _crc(frame)
    assert frame.hex() == "01428011", "the example in the manual"
    with serial.Serial(f"{kitchen.root}/{METERS}", 9600, timeout=1, exclusive=True) as port:
        port.write(frame)
        assert port.read(5)[:3] == b"\x01\xc2\x01"


def test_the_scale_streams_settled_and_swinging_lines(kitchen: Simulator, tell: Tell) -> None:
    """About five lines a second, ST with the true weight at rest, US after somebody took something."""
    tell("hold stock.weight 12.34")
    with serial.Serial(f"{kitchen.root}/{SCALE}", 9600, timeout=2, exclusive=True) as port:
        port.reset_input_buffer()
        lines = [port.readline() for _ in range(3)]
        assert all(re.fullmatch(rb"ST,GS,\+000(12\.3[345])kg\r\n", line) for line in lines), lines
        tell("cook on")
        deadline = time.monotonic() + 3.0
        while not port.readline().startswith(b"US,GS,"):
            assert time.monotonic() < deadline


@pytest.mark.parametrize(("weight", "text"), [(-0.5, b"ST,GS,-00000.50kg\r\n"), (1e6, b"OL,GS,+99999.99kg\r\n")])
def test_scale_signs_and_overload(weight: float, text: bytes) -> None:
    """A negative weight has its sign, an overload says so instead of a weight."""
    import random

    from fake_hw.faults import Condition, Probe
    from fake_hw.parts.scale import Scale

    chance = random.Random(1)
    probe = Probe(Condition("scale", frozenset(), lambda: 0.0), lambda: weight, 0.0, 0.0, chance)
    assert Scale(probe, chance).line(swinging=False) == text


@pytest.mark.parametrize("fault", ["garbage", "flip", "hang"])
def test_scale_faults(kitchen: Simulator, tell: Tell, fault: str) -> None:
    """A disturbed scale sends no line equal to the true one; a dead one sends none."""
    tell("hold stock.weight 12.34")
    tell(f"fault stock_scale {fault}")
    with serial.Serial(f"{kitchen.root}/{SCALE}", 9600, timeout=0.3, exclusive=True) as port:
        port.reset_input_buffer()
        port.read(19)
        seen = port.read(40)
    assert b"ST,GS,+00012.34kg\r\n" not in seen
    assert (seen == b"") == (fault == "hang")


def test_unplug_hangs_up_and_replug_comes_back_behind_the_same_link(kitchen: Simulator, tell: Tell) -> None:
    """Pulling the USB adapter breaks reads and removes the link; a new terminal appears behind the same link."""
    path = f"{kitchen.root}/{SCALE}"
    port = serial.Serial(path, 9600, timeout=5, exclusive=True)
    before = os.readlink(path)
    tell("unplug stock_scale")
    with pytest.raises((serial.SerialException, OSError)):
        port.read(4096)
    port.close()
    assert not os.path.lexists(path)
    with pytest.raises(serial.SerialException):
        serial.Serial(path, 9600)
    tell("plug stock_scale")
    with serial.Serial(path, 9600, timeout=2, exclusive=True) as again:
        assert again.readline().endswith(b"\r\n")
    assert before.startswith("/dev/pts/")


def test_a_port_that_nobody_reads_does_not_grow_old(root: str, until: Callable[..., None]) -> None:
    """What waits in an unread port is bounded to a few seconds."""
    import fcntl
    import struct
    import termios

    from fake_hw.buses.pty_port import PtyPort
    from fake_hw.loop import Loop

    loop = Loop()
    link = f"{root}/dev/serial/by-id/unread"
    port = PtyPort(loop, link, lambda _: None)
    port.set_plugged(True)
    reader = os.open(link, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)  # pyserial would empty it when opening

    def unread() -> int:
        return int(struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0])

    highest = 0
    for _ in range(100):
        before = unread()
        port.send(bytes(20))
        until(lambda before=before: unread() != before)  # the kernel moves it in a worker of its own
        highest = max(highest, unread())
    assert 500 < highest <= 540
    os.close(reader)
    port.set_plugged(False)
    loop.close()
