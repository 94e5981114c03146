"""Modbus outputs: what is asked, what comes back, the refresh, and pymodbus as the part."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus_output import SPEC, Options, decode, safe_state, write
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure, WrongOption
from tests.drivers.wire import NAME, Wire

LINE = "/dev/serial/by-id/usb-RS485-1"
SECOND = 1_000_000_000
COIL = Options(6, 0x00AC)
REGISTER = Options(6, 0x0001, "holding", on_value=0x55AA, off_value=3)


def test_the_requests_of_the_specification() -> None:
    """V1.1b3, 6.5 and 6.6: force coil 173 on, preset register 2 to 3."""
    assert write(COIL, True).hex(" ") == "05 00 ac ff 00"
    assert write(COIL, False).hex(" ") == "05 00 ac 00 00"
    assert write(REGISTER, False).hex(" ") == "06 00 01 00 03"
    assert write(REGISTER, True).hex(" ") == "06 00 01 55 aa"


@given(st.integers(0, 0xFFFF))
def test_a_register_is_on_off_or_an_error(word: int) -> None:
    """Any other value is told, not taken for one of the two."""
    reply = b"\x03\x02" + word.to_bytes(2, "big")
    if word in {0x55AA, 3}:
        assert decode(reply, REGISTER) is (word == 0x55AA)
        return
    with pytest.raises(InvalidData, match="neither on"):
        decode(reply, REGISTER)


@pytest.mark.parametrize(("data", "on"), [(b"\x01\x01\x01", True), (b"\x01\x01\x00", False)])
def test_a_coil_is_the_lowest_bit(data: bytes, on: bool) -> None:
    """The reply to read coils for one coil."""
    assert decode(data, COIL) is on


def test_on_and_off_must_differ() -> None:
    """One value for both could never be read back."""
    with pytest.raises(WrongOption, match="make them differ"):
        Options(1, 0, "holding", on_value=2, off_value=2)


@pytest.mark.parametrize("kind", ["coil", "holding"])
def test_it_reaches_the_load(wire: Wire, kind: str) -> None:
    """Claimed at safe, driven, read back, through the real line."""
    wire.place("modbus_output", "modbus_rtu", LINE, kind=kind, on_value=7, off_value=2)
    output = wire.open(safe=False)
    for on in (True, False, True):
        output.drive(on)
        assert output.level() is on
        assert wire.machine.truth(f"{NAME}.on") == on


class Part:
    """A part that answers at once, and notes what it is asked."""

    def __init__(self) -> None:
        self.coil = False
        self.asked: list[tuple[int, str, float]] = []

    def request(self, unit: int, pdu: bytes, timeout_s: float) -> bytes:
        """Coil writes and reads."""
        self.asked.append((unit, pdu.hex(), timeout_s))
        if pdu[0] == 5:
            self.coil = pdu[3] == 0xFF
            return pdu
        return bytes([1, 1, self.coil])


def test_it_is_written_again_before_the_part_falls_back() -> None:
    """Every `refresh`: read, because a part that fell back must be told of, then written with its own unit and time."""
    part = Part()
    output = SPEC.open(part, Options(9, 2, refresh_s=2.0, timeout_s=0.3), False)
    output.drive(True)
    part.asked.clear()
    assert output.service(10 * SECOND) == 12 * SECOND
    assert part.asked == [(9, "0100020001", 0.3), (9, "050002ff00", 0.3)]
    part.coil = False
    with pytest.raises(SensorFailure, match="changed its output by itself"):
        output.service(12 * SECOND)
    output.drive(True)
    assert part.coil


@pytest.mark.parametrize(
    ("fault", "error"), [("nack", DeviceTimeout), ("crc", InvalidData), ("exception", DeviceError)]
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """A command that is not confirmed raises."""
    wire.place("modbus_output", "modbus_rtu", LINE)
    output = wire.open(safe=False)
    wire.fault(fault)
    with pytest.raises(error):
        output.drive(True)


def test_a_pulled_adapter_is_told(wire: Wire) -> None:
    """No line, no output."""
    wire.place("modbus_output", "modbus_rtu", LINE)
    output = wire.open(safe=False)
    wire.machine.plug(LINE, False)
    with pytest.raises(NotConnected):
        output.drive(True)
    wire.machine.plug(LINE, True)
    output.drive(True)
    assert output.level()


def test_an_independent_master_agrees(wire: Wire) -> None:
    """pymodbus reads what our driver wrote, and ours what pymodbus wrote."""
    from pymodbus.client import ModbusSerialClient

    wire.place("modbus_output", "modbus_rtu", LINE, at=5)
    bus = wire.bus()
    ours: Any = SPEC.open(bus, wire.options, False)
    ours.drive(True)
    bus.close()
    oracle = ModbusSerialClient(port=wire.machine.path(LINE), baudrate=9600)
    assert oracle.connect()
    assert oracle.read_coils(5, count=1, device_id=wire.options.unit).bits[0] is True
    oracle.write_coil(5, False, device_id=wire.options.unit)
    oracle.close()  # type: ignore[no-untyped-call]  # pymodbus leaves it so
    assert ours.level() is False


def test_the_safe_state_is_the_same_write() -> None:
    """One entry for the safe-state program."""
    bus = Bus("machines", "modbus_rtu", LINE, baud=19200, parity="even", stop_bits=1)
    assert safe_state(bus, COIL, False) == (f"modbus {LINE} 19200 even 1 6 0500ac0000",)
    assert safe_state(bus, REGISTER, True) == (f"modbus {LINE} 19200 even 1 6 06000155aa",)
