"""Modbus RTU on a real pseudo-terminal: units, echoes, late replies, noise, turns; pymodbus as an independent slave."""

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from drivers.buses import modbus, open_bus
from drivers.buses.modbus import LATE_S, RtuLine
from drivers.decoding import modbus_pdu as pdu
from fake_hw.machine import Machine
from fake_hw.parts.modbus_slave import RegisterSlave
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected
from tests import modbus_server

NODE = "/dev/serial/by-id/usb-RS485"
BUS = Bus("machines", "modbus_rtu", NODE, baud=115200)
FAULTS = frozenset({"nack", "hang", "slow", "crc", "flip", "ones", "garbage", "short", "echo", "exception"})
TIMEOUT_S = 0.1
READ = pdu.read("holding", 0, 2)


class Line:
    """Two units on the simulated line: `slaves[1]` and `slaves[2]`, with the device names one and two."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.slaves = {}
        for unit, name in ((1, "one"), (2, "two")):
            words = {at: 100 * unit + at for at in range(40)}
            self.slaves[unit] = RegisterSlave(holdings=words, inputs=dict(words), coils=dict.fromkeys(range(8), 0))
            machine.bus("modbus_rtu", NODE).attach(unit, self.slaves[unit], machine.condition(name, FAULTS), BUS.baud)
        machine.start()


@pytest.fixture
def line(root: str) -> Iterator[Line]:
    """The far end."""
    machine = Machine(root)
    yield Line(machine)
    machine.stop()


@pytest.fixture
def master(line: Line) -> Iterator[RtuLine]:
    """Ours."""
    opened = open_bus(BUS, line.machine.root)
    assert isinstance(opened, RtuLine)
    yield opened
    opened.close()


def words(master: RtuLine, unit: int, request: bytes = READ) -> tuple[int, ...]:
    return pdu.words(master.request(unit, request, TIMEOUT_S))


def test_units_answer_for_themselves(master: RtuLine) -> None:
    """Several parts share the line, each with its own table; the longest reply comes whole."""
    assert words(master, 1) == (100, 101)
    assert words(master, 2) == (200, 201)
    assert words(master, 2, pdu.read("input", 3, 37)) == tuple(range(203, 240))


def test_writes_reach_the_part(master: RtuLine, line: Line) -> None:
    """All four writes are acknowledged and stand in the part; the others' tables are left alone."""
    for request in (
        pdu.write_coil(3, True),
        pdu.write_coils(5, [True, True]),
        pdu.write_register(1, 0xBEEF),
        pdu.write_registers(2, [1, 2, 3]),
    ):
        assert master.request(1, request, TIMEOUT_S) == request[:5]
    coils, holdings = line.slaves[1].coils, line.slaves[1].holdings
    assert coils is not None
    assert holdings is not None
    assert [coils[at] for at in range(8)] == [0, 0, 0, 1, 0, 1, 1, 0]
    assert [holdings[at] for at in range(5)] == [100, 0xBEEF, 1, 2, 3]
    assert words(master, 2) == (200, 201)


@pytest.mark.parametrize("fault", ["crc", "flip", "ones", "garbage", "short", "nack", "hang"])
def test_a_broken_unit_gives_no_value_and_the_line_goes_on(
    master: RtuLine, line: Line, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever one unit sends, nothing of it is a value, its neighbour answers at once, and it recovers itself."""
    monkeypatch.setattr(modbus, "LATE_S", 0.2)
    line.machine.fault("one", fault)
    for _ in range(2):
        with pytest.raises((InvalidData, DeviceTimeout)):
            words(master, 1)
        assert words(master, 2) == (200, 201)
    line.machine.fault("one", "none")
    assert words(master, 1) == (100, 101)


def test_a_refusal_is_no_loss_of_the_line(master: RtuLine, line: Line) -> None:
    """Exception replies are read at once, without the timeout, and told in words."""
    began = time.monotonic()
    with pytest.raises(DeviceError, match="unit 1 refuses: illegal address"):
        master.request(1, pdu.read("holding", 39, 2), 5.0)
    with pytest.raises(DeviceError, match="unit 1 refuses: illegal function"):
        master.request(1, pdu.read("discrete", 0, 1), 5.0)
    line.machine.fault("one", "exception")
    with pytest.raises(DeviceError, match="slave error"):
        master.request(1, READ, 5.0)
    assert time.monotonic() - began < 2.0


def test_an_adapter_that_hears_itself(master: RtuLine, line: Line) -> None:
    """Reads and writes go on behind an echo, and a dead unit's echo is not taken for its acknowledgement."""
    line.machine.fault("two", "echo")
    for request in (pdu.write_register(1, 7), pdu.write_coil(2, True), pdu.write_registers(2, [9])):
        assert master.request(1, request, TIMEOUT_S) == request[:5]
    assert words(master, 1, pdu.read("holding", 0, 3)) == (100, 7, 9)
    line.machine.fault("one", "hang")
    with pytest.raises(DeviceTimeout, match="unit 1"):
        master.request(1, pdu.write_coil(2, False), TIMEOUT_S)
    coils = line.slaves[1].coils
    assert coils is not None
    assert coils[2] == 1


def test_the_first_write_asks_whether_the_adapter_hears_itself(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a line that was never read, the echo of a write to a dead unit is no acknowledgement either."""
    monkeypatch.setattr(modbus, "LATE_S", 0.2)
    line.machine.fault("two", "echo")
    line.machine.plug("one", False)
    master = open_bus(BUS, line.machine.root)
    assert isinstance(master, RtuLine)
    with pytest.raises(DeviceTimeout):
        master.request(1, pdu.write_coil(2, True), TIMEOUT_S)
    with pytest.raises(DeviceTimeout):
        master.request(1, pdu.write_coil(2, True), TIMEOUT_S)
    master.close()


def test_a_late_reply_is_never_taken_for_the_next_one(master: RtuLine, line: Line) -> None:
    """An RTU reply doesn't say what it answers: after a timeout the unit is asked again only when it must be over."""
    line.machine.fault("one", "slow")
    began = time.monotonic()
    with pytest.raises(DeviceTimeout):
        words(master, 1)
    line.machine.fault("one", "none")
    assert words(master, 2) == (200, 201), "the others don't wait"
    assert time.monotonic() - began < LATE_S / 2
    assert words(master, 1, pdu.read("holding", 10, 2)) == (110, 111)
    assert time.monotonic() - began >= LATE_S


def test_a_babble_is_listened_out(master: RtuLine, line: Line) -> None:
    """Noise that goes on after a spoilt reply does not spoil the next request too."""
    words(master, 1)
    noise = line.machine.bus("modbus_rtu", NODE)

    def babble() -> None:
        for count in range(25):
            line.machine.loop.after(0.005 * count, lambda: noise.send(b"\x55"))

    line.machine.do(babble)
    with pytest.raises(InvalidData, match="CRC"):
        words(master, 1)
    assert words(master, 1) == (100, 101)


def test_a_dead_unit_costs_its_timeout_only(master: RtuLine, line: Line) -> None:
    """Asked once a second, as devices are, a dead part takes one timeout of the line, no more."""
    line.machine.plug("one", False)
    began = time.monotonic()
    with pytest.raises(DeviceTimeout, match=r"unit 1: no complete answer on .*RS485"):
        words(master, 1)
    assert time.monotonic() - began == pytest.approx(TIMEOUT_S, abs=0.08)


def test_unplugged_and_back(master: RtuLine, line: Line) -> None:
    """The adapter goes and comes back under its name: NotConnected in between, nothing to be opened by hand."""
    words(master, 1)
    line.machine.plug(NODE, False)
    for _ in range(2):
        with pytest.raises(NotConnected, match="RS485"):
            words(master, 1)
    line.machine.plug(NODE, True)
    assert words(master, 1) == (100, 101)


def test_threads_take_turns(master: RtuLine, until: Callable[..., None]) -> None:
    """Polling without a pause never starves another thread, and no reply goes to the wrong one."""
    stopping = threading.Event()
    wrong: list[object] = []
    counts = {1: 0, 2: 0}

    def poll(unit: int) -> None:
        while not stopping.is_set():
            got = words(master, unit)
            if got != (100 * unit, 100 * unit + 1):
                wrong.append(got)
            counts[unit] += 1

    threads = [threading.Thread(target=poll, args=(unit,)) for unit in counts]
    for thread in threads:
        thread.start()
    until(lambda: sum(counts.values()) >= 40)
    stopping.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert abs(counts[1] - counts[2]) <= 2, counts


@pytest.fixture
def foreign(root: str) -> Iterator[RtuLine]:
    """Our master on a line with pymodbus's server."""
    os.makedirs(os.path.join(root, "dev"))
    with modbus_server.rtu_server(os.path.join(root, "dev/line")):
        opened = open_bus(Bus("machines", "modbus_rtu", "/dev/line"), root)
        assert isinstance(opened, RtuLine)
        yield opened
        opened.close()


def test_pymodbuss_server_understands_us(foreign: RtuLine) -> None:
    """Every function against an independent slave: values, writes and refusals."""
    unit = modbus_server.UNIT
    assert pdu.words(foreign.request(unit, pdu.read("holding", 0, 125))) == tuple(modbus_server.WORDS[:125])
    assert pdu.words(foreign.request(unit, pdu.read("input", 190, 10))) == tuple(modbus_server.WORDS[190:])
    assert pdu.bits(foreign.request(unit, pdu.read("coil", 0, 37)), 37) == tuple(modbus_server.BITS[:37])
    assert pdu.bits(foreign.request(unit, pdu.read("discrete", 5, 9)), 9) == tuple(modbus_server.BITS[5:14])
    for request in (
        pdu.write_coil(1, True),
        pdu.write_coils(3, [True] * 9),
        pdu.write_register(4, 0xABCD),
        pdu.write_registers(6, [1, 0xFFFF]),
    ):
        assert foreign.request(unit, request) == request[:5]
    assert pdu.words(foreign.request(unit, pdu.read("holding", 4, 4)))[::2] == (0xABCD, 1)
    assert all(pdu.bits(foreign.request(unit, pdu.read("coil", 3, 9)), 9))
    with pytest.raises(DeviceError, match="refuses: illegal address"):
        foreign.request(unit, pdu.read("holding", 5000, 1))
