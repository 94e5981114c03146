"""The I2C bus: what every errno means, turns, recovery of a stuck bus, and parts behind a multiplexer."""

import errno
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from smbus2 import SMBus

from drivers.buses import i2c, open_bus, power_rail
from drivers.buses.i2c import I2CAdapter
from drivers.buses.power_rail import PowerRail
from drivers.sht4x import Options, Sht4x
from fake_hw.buses import i2c as fake_i2c
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected
from gateway.core.quality import Reason
from tests.oracle_i2c import BusioI2C

NODE = "/dev/i2c-3"
POWER = 22


@pytest.fixture
def machine(root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine that tests place parts on and start; a stuck bus times out in 50 ms instead of the kernel's second."""
    monkeypatch.setattr(fake_i2c, "ADAPTER_TIMEOUT_S", 0.05)
    made = Machine(root)
    undo = install(root)
    yield made
    undo()
    made.stop()


@pytest.fixture
def air(machine: Machine) -> I2CAdapter:
    """The production bus with one sensor, `air`, at 0x44."""
    machine.place("sht4x", "air", Wiring("i2c", NODE, {"address": 0x44}))
    machine.start()
    return I2CAdapter(NODE, machine.root)


def measured(bus: Any, address: int = 0x44) -> float:
    """°C that a sensor shows on this bus."""
    return float(Sht4x(bus, Options(address)).read()[0].value)


@pytest.mark.parametrize(
    ("fault", "code", "kind", "reason", "words"),
    [
        ("nack", errno.EREMOTEIO, NotConnected, Reason.BAD_NOT_CONNECTED, "nothing answers at 0x44"),
        ("enxio", errno.ENXIO, NotConnected, Reason.BAD_NOT_CONNECTED, "nothing answers at 0x44"),
        ("unplugged", errno.ENODEV, NotConnected, Reason.BAD_NOT_CONNECTED, "nothing answers at 0x44"),
        ("eio", errno.EIO, DeviceError, Reason.BAD_COMMUNICATION_ERROR, r"transfer to 0x44 .* failed"),
        ("arblost", errno.EAGAIN, DeviceError, Reason.BAD_COMMUNICATION_ERROR, "lost arbitration at 0x44"),
        ("stuck", errno.ETIMEDOUT, DeviceTimeout, Reason.BAD_TIMEOUT, "holds SDA or SCL low; power it off and on"),
    ],
)
def test_each_errno_has_its_meaning(
    machine: Machine, air: I2CAdapter, fault: str, code: int, kind: type[DeviceError], reason: Reason, words: str
) -> None:
    """5, 6, 11, 19, 110 and 121 from the node become our errors, with address, bus and cure; then the bus works on."""
    measured(air)
    if fault == "unplugged":
        machine.plug(NODE, False)
    else:
        machine.fault("air" if fault == "nack" else NODE, fault)
    with pytest.raises(DeviceError, match=words) as caught:
        air.transfer(0x44, b"\x94")
    assert type(caught.value) is kind
    assert caught.value.reason is reason
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == code
    if fault == "unplugged":
        machine.plug(NODE, True)
    else:
        machine.fault("air" if fault == "nack" else NODE, "none")
    assert measured(air) == pytest.approx(21.0, abs=0.12)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, errno.EPROTO])
def test_any_other_errno_is_an_error_too(monkeypatch: pytest.MonkeyPatch, air: I2CAdapter, code: int) -> None:
    """An errno nobody foresaw is still a DeviceError, so that it becomes a Bad reading."""
    measured(air)

    def refuse(*_: object) -> None:
        raise OSError(code, "refused")

    monkeypatch.setattr(SMBus, "i2c_rdwr", refuse)
    with pytest.raises(DeviceError, match="refused"):
        air.transfer(0x44, b"\xfd")


def test_calls_of_several_threads_take_turns(machine: Machine) -> None:
    """Select and transfer of one thread are never torn apart by another's: each always hears its own sensor."""
    machine.place("tca9548a", "mux", Wiring("i2c", NODE, {"address": 0x70}))
    for channel, truth in ((2, -20.0), (5, 35.0)):
        name = f"air{channel}"
        machine.place("sht4x", name, Wiring("i2c", f"{NODE} mux 0x70 channel {channel}", {"address": 0x44}))
        machine.truths[f"{name}.temperature"] = truth
    machine.place("sht4x", "direct", Wiring("i2c", NODE, {"address": 0x46}))
    machine.start()
    bus = I2CAdapter(NODE, machine.root)
    wrong: list[object] = []

    def listen(own: Any, address: int, truth: float) -> None:
        try:
            for _ in range(20):
                value = measured(own, address)
                if abs(value - truth) > 0.2:
                    wrong.append((value, truth))
        except DeviceError as error:
            wrong.append(error)

    jobs = [(bus.behind(0x70, 2), 0x44, -20.0), (bus.behind(0x70, 5), 0x44, 35.0), (bus, 0x46, 21.0)]
    threads = [threading.Thread(target=listen, args=job) for job in jobs]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_a_transfer_that_never_ends_does_not_hold_others_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a turn that never comes gets a timeout, and closing does not hang either."""
    monkeypatch.setattr(i2c, "TURN_S", 0.02)
    bus = I2CAdapter(NODE)
    with bus._turns:
        with pytest.raises(DeviceTimeout, match="busy with a transfer that does not end"):
            bus.transfer(0x44, b"\xfd")
        bus.close()


# --- a stuck bus whose parts' supply we can switch


def switched(machine: Machine, monotonic: Callable[[], float]) -> tuple[I2CAdapter, list[float]]:
    """The bus with a sensor fed by GPIO22, whose resistor keeps it off; and the naps that were taken."""
    naps: list[float] = []
    machine.lines.wire(POWER, 0)
    machine.place("sht4x", "air", Wiring("i2c", NODE, {"address": 0x44}))
    machine.bus("gpio", "/dev/gpiochip0")
    machine.bus("i2c", NODE).feed(machine.lines, POWER)
    machine.start()
    return I2CAdapter(NODE, machine.root, PowerRail(POWER, machine.root, monotonic, naps.append)), naps


def test_the_supply_is_on_from_the_first_use(machine: Machine) -> None:
    """The line is claimed at the level on, in one step, and given back when the bus is closed."""
    bus, naps = switched(machine, lambda: 0.0)
    assert measured(bus) == pytest.approx(21.0, abs=0.12)
    levels = [(entry["why"], entry["level"]) for entry in machine.log.recent if entry["line"] == f"GPIO{POWER}"]
    assert levels == [("claim", 1)]
    assert naps == [power_rail.WAKE_S]
    bus.close()
    machine.do()
    assert machine.log.recent[-1]["why"] == "release"


def test_a_stuck_part_is_freed_by_cutting_its_supply(machine: Machine) -> None:
    """The transfer that hung fails; the supply was off for 0.3 s; the next transfer works."""
    bus, naps = switched(machine, lambda: 0.0)
    measured(bus)
    machine.fault("air", "stuck")
    with pytest.raises(DeviceTimeout, match="its parts were powered off and on"):
        measured(bus)
    levels = [entry["level"] for entry in machine.log.recent if entry["line"] == f"GPIO{POWER}"]
    assert levels == [1, 0, 1]
    assert naps[1:] == [power_rail.OFF_S, power_rail.WAKE_S]
    assert measured(bus) == pytest.approx(21.0, abs=0.12)


def test_the_supply_is_cut_at_most_every_ten_seconds(machine: Machine) -> None:
    """A part that gets stuck again and again does not keep the others without power."""
    now = [0.0]
    bus, naps = switched(machine, lambda: now[0])
    measured(bus)
    for now_s, cuts in ((0.0, 1), (9.9, 1), (10.0, 2)):
        now[0] = now_s
        machine.fault("air", "stuck")
        with pytest.raises(DeviceTimeout):
            measured(bus)
        assert naps.count(power_rail.OFF_S) == cuts


def test_a_supply_line_somebody_else_holds_is_told_once(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """The parts may have power all the same: the bus is used, the log names the line, once."""
    bus, _ = switched(machine, lambda: 0.0)
    machine.lines.drive(POWER, 1)
    header: Any = open_bus(Bus("header", "gpio", "/dev/gpiochip0"), machine.root)
    header.input(POWER, pull="none", active_low=False, debounce_s=0.0)
    machine.do(lambda: machine.lines.drive(POWER, 1))
    assert measured(bus) == pytest.approx(21.0, abs=0.12)
    machine.fault("air", "stuck")
    for _ in range(2):
        with pytest.raises(DeviceTimeout, match="power it off and on"):
            measured(bus)
    assert [record.message for record in caplog.records if "GPIO22" in record.message] == [
        "can't switch the supply on GPIO22 (Device or resource busy): is the line in use?"
    ]
    header.close()


def test_the_configuration_reaches_the_rail(machine: Machine) -> None:
    """`power: GPIO22` on the bus is the line that is switched."""
    switched(machine, lambda: 0.0)
    bus: Any = open_bus(Bus("sensors", "i2c", NODE, power_line=POWER), machine.root)
    assert measured(bus) == pytest.approx(21.0, abs=0.12)
    bus.close()


# --- multiplexers


@pytest.fixture
def muxed(machine: Machine) -> I2CAdapter:
    """Three sensors with one address: two behind the mux at 0x70, one behind that at 0x71."""
    for address in (0x70, 0x71):
        machine.place("tca9548a", f"mux{address:02x}", Wiring("i2c", NODE, {"address": address}))
    for name, mux, channel, truth in (("a", 0x70, 0, 5.0), ("b", 0x70, 7, 10.0), ("c", 0x71, 0, 15.0)):
        machine.place("sht4x", name, Wiring("i2c", f"{NODE} mux 0x{mux:02x} channel {channel}", {"address": 0x44}))
        machine.truths[f"{name}.temperature"] = truth
    machine.start()
    return I2CAdapter(NODE, machine.root)


def test_parts_with_one_address_are_told_apart(muxed: I2CAdapter) -> None:
    """Each view hears its own part, in any order, also across two muxes."""
    a, b, c = muxed.behind(0x70, 0), muxed.behind(0x70, 7), muxed.behind(0x71, 0)
    heard = [round(measured(view)) for view in (a, b, a, c, b, c, a)]
    assert heard == [5, 10, 5, 15, 10, 15, 5]
    with pytest.raises(NotConnected):
        muxed.behind(0x71, 3).transfer(0x44, b"\xfd")


def test_a_mux_that_lost_power_is_selected_again(machine: Machine, muxed: I2CAdapter) -> None:
    """After an error nothing is taken for granted: the channel is selected anew, and the part answers."""
    view = muxed.behind(0x70, 7)
    measured(view)
    machine.do(machine.bus("i2c", NODE).part(0x70).power_off)
    with pytest.raises(NotConnected):
        measured(view)
    assert round(measured(view)) == 10


def test_a_disturbed_selection_is_no_reading(machine: Machine, muxed: I2CAdapter) -> None:
    """A mux that selected another channel would give a wrong value with a right checksum: it is read back."""
    machine.fault("mux70", "flip")
    with pytest.raises(InvalidData, match="the mux at 0x70 has selected"):
        measured(muxed.behind(0x70, 0))
    machine.fault("mux70", "none")
    assert round(measured(muxed.behind(0x70, 0))) == 5


def test_an_absent_mux_hinders_nobody_behind_another(machine: Machine, muxed: I2CAdapter) -> None:
    """What is unplugged can't let anything through: the other mux's parts are read."""
    measured(muxed.behind(0x71, 0))
    machine.plug("mux71", False)
    assert round(measured(muxed.behind(0x70, 0))) == 5
    with pytest.raises(NotConnected):
        measured(muxed.behind(0x71, 0))


def test_an_independent_driver_hears_the_same_parts(machine: Machine, muxed: I2CAdapter) -> None:
    """Adafruit's TCA9548A and SHT4x drivers read behind each channel what ours do."""
    from adafruit_sht4x import SHT4x
    from adafruit_tca9548a import TCA9548A

    bus = SMBus(f"{machine.root}{NODE}")
    mux = TCA9548A(BusioI2C(bus), 0x70)
    for channel in (0, 7):
        theirs = SHT4x(mux[channel], 0x44).temperature
        assert theirs == pytest.approx(measured(muxed.behind(0x70, channel)), abs=0.15)
    bus.close()
