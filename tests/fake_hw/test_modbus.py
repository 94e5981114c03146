"""The simulated Modbus line and host: an independent master believes them, and they answer in the line's own time."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import serial
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from fake_hw.buses.modbus import MODBUS_FAULTS
from fake_hw.machine import Machine, Wiring
from fake_hw.parts.crc import modbus
from fake_hw.parts.modbus_slave import RegisterSlave

NODE, URL = "/dev/serial/by-id/usb-RS485", "tcp://10.0.0.9:502"
BAUD = 9600


def slave() -> RegisterSlave:
    words = {at: at * 3 for at in range(150)}
    bits = {at: at % 2 for at in range(50)}
    return RegisterSlave(coils=bits, discretes=dict(bits), holdings=words, inputs=dict(words))


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A line and a host, each with a unit 1 of the same kind."""
    made = Machine(root)
    condition = made.condition("part", MODBUS_FAULTS)
    made.bus("modbus_rtu", NODE).attach(1, slave(), condition, BAUD)
    made.bus("modbus_tcp", URL).attach(1, slave(), condition)
    made.start()
    yield made
    made.stop()


@pytest.fixture(params=["rtu", "tcp"])
def client(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Any]:
    """pymodbus's master on the line or on the network."""
    if request.param == "rtu":
        made: Any = ModbusSerialClient(machine.path(NODE), baudrate=BAUD, timeout=0.6, retries=0)
    else:
        port = int(machine.bus("modbus_tcp", URL).url.rpartition(":")[2])
        made = ModbusTcpClient("127.0.0.1", port=port, timeout=0.6, retries=0)
    assert made.connect()
    yield made
    made.close()


@pytest.fixture
def port(machine: Machine) -> Iterator[serial.Serial]:
    """The bare line."""
    with serial.Serial(machine.path(NODE), BAUD, timeout=0.6, exclusive=True) as opened:
        yield opened


def frame(text: str) -> bytes:
    message = bytes.fromhex(text)
    return message + modbus(message)


def test_pymodbus_reads_and_writes_every_table(client: Any) -> None:
    """All eight functions."""
    assert client.read_holding_registers(20, count=125, device_id=1).registers == [3 * at for at in range(20, 145)]
    assert client.read_input_registers(7, count=2, device_id=1).registers == [21, 24]
    assert client.read_coils(1, count=9, device_id=1).bits[:9] == [bool(at % 2) for at in range(1, 10)]
    assert client.read_discrete_inputs(0, count=3, device_id=1).bits[:3] == [False, True, False]
    assert not client.write_register(5, 0xFFFF, device_id=1).isError()
    assert not client.write_registers(6, [1, 2], device_id=1).isError()
    assert client.read_holding_registers(5, count=3, device_id=1).registers == [0xFFFF, 1, 2]
    assert not client.write_coil(0, True, device_id=1).isError()
    assert not client.write_coils(1, [False, False, True], device_id=1).isError()
    assert client.read_coils(0, count=4, device_id=1).bits[:4] == [True, False, False, True]


def test_exceptions(client: Any) -> None:
    """What is not there is exception 2; nothing is changed by a write that reaches beyond the table."""
    assert client.read_holding_registers(149, count=2, device_id=1).exception_code == 2
    assert client.write_registers(149, [9, 9], device_id=1).exception_code == 2
    assert client.read_holding_registers(149, count=1, device_id=1).registers == [447]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("01 03 0000 0000", "01 83 03"),
        ("01 03 0000 007e", "01 83 03"),
        ("01 05 0000 1234", "01 85 03"),
        ("01 10 0000 0002 03 000102", "01 90 03"),
        ("01 2b 0e 01 00", "01 ab 01"),
        ("01 42", "01 c2 01"),
    ],
)
def test_malformed_and_unknown_requests(port: serial.Serial, request_: str, answer: str) -> None:
    """Wrong counts and values are exception 3; a function that nobody has, whatever its length, exception 1."""
    port.write(frame(request_))
    assert port.read(5) == frame(answer)


def test_a_part_without_a_table_has_no_function_for_it(machine: Machine, port: serial.Serial) -> None:
    """A meter knows no coils: exception 1, as from the part itself."""
    machine.place("sdm120", "meter", Wiring("modbus_rtu", NODE, {"unit": 9}))
    port.write(frame("09 01 0000 0001"))
    assert port.read(5) == frame("09 81 01")


def test_two_entries_share_a_unit(machine: Machine, port: serial.Serial) -> None:
    """What is read and what is driven may be two entries of the site file: each answers for its addresses."""
    machine.bus("modbus_rtu", NODE).attach(1, RegisterSlave(coils={200: 1}), machine.condition("relay", MODBUS_FAULTS))
    port.write(frame("01 01 00c8 0001"))
    assert port.read(6) == frame("01 01 01 01")
    port.write(frame("01 01 0001 0001"))
    assert port.read(6) == frame("01 01 01 01")


def test_answers_take_the_lines_time(port: serial.Serial) -> None:
    """125 registers are 263 bytes both ways: 0.27 s at 9600 baud."""
    port.timeout = 2.0
    began = time.monotonic()
    port.write(frame("01 03 0000 007d"))
    assert len(port.read(255)) == 255
    assert time.monotonic() - began >= 263 * 10 / BAUD


def test_other_units_and_wrong_checksums_are_silence(port: serial.Serial) -> None:
    """A slave answers only what is for it and whole, and the next clean request after the pause."""
    port.timeout = 0.15
    for request in (frame("02 03 0000 0001"), frame("01 03 0000 0001")[:-1] + b"\x00"):
        port.write(request)
        assert port.read(1) == b""
    port.timeout = 0.6
    port.write(frame("01 03 0001 0001"))
    assert port.read(7) == frame("01 03 02 0003")


def test_an_echo_is_the_request_itself(machine: Machine, port: serial.Serial) -> None:
    """The adapter hears itself, then the part."""
    machine.fault("part", "echo")
    request = frame("01 03 0001 0001")
    port.write(request)
    assert port.read(15) == request + frame("01 03 02 0003")


@pytest.mark.parametrize("fault", sorted(MODBUS_FAULTS - {"slow", "echo", "exception"}))
def test_faults_never_look_good(machine: Machine, fault: str) -> None:
    """An independent master gets no answer from a broken part, and right ones when it is whole again."""
    with ModbusSerialClient(machine.path(NODE), baudrate=BAUD, timeout=0.3, retries=0) as master:
        machine.fault("part", fault)
        with pytest.raises(ModbusIOException):
            master.read_holding_registers(1, count=4, device_id=1)
        machine.fault("part", "none")
    with ModbusSerialClient(machine.path(NODE), baudrate=BAUD, timeout=0.6, retries=0) as master:
        assert master.read_holding_registers(1, count=4, device_id=1).registers == [3, 6, 9, 12]
