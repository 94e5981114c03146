"""The DHT bus around a library that remembers, traps SIGTERM and runs away."""

import signal
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from drivers.buses.dht import DhtBoard
from fake_hw.simulator import Simulator
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected

Tell = Callable[[str], dict[str, Any]]


def test_the_librarys_sigterm_handler_is_undone(kitchen: Simulator) -> None:
    """Importing it in the main thread leaves our own shutdown in place."""
    mine = signal.signal(signal.SIGTERM, lambda *_: None)
    ours = signal.getsignal(signal.SIGTERM)
    package, module = "adafruit_blinka.microcontroller.bcm283x.pulseio", "PulseIn"
    sys.modules.pop(f"{package}.{module}", None)
    vars(sys.modules.get(package, sys)).pop(module, None)  # an import of the name would be content with the attribute
    try:
        DhtBoard().line(4).measure()
        assert f"{package}.{module}" in sys.modules
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_two_measurements_at_once_are_two_measurements(kitchen: Simulator, tell: Tell) -> None:
    """Within two seconds, and after a failure, the library would repeat the value before: a failing sensor fails."""
    wire = DhtBoard().line(4)
    before, _ = wire.measure()
    tell("fault dry_store_air crc")
    with pytest.raises(InvalidData):
        wire.measure()
    tell("fault dry_store_air none")
    after, _ = wire.measure()
    assert abs(after - before) < 5


def library(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[str]:
    """A stand-in for adafruit_dht whose measurement fails; notes what is done to it."""
    done: list[str] = []

    class DHT22:
        def __init__(self, _: object) -> None:
            done.append("made")

        def measure(self) -> None:
            raise error

        def exit(self) -> None:
            done.append("released")
            raise OSError("the helper is gone")

    monkeypatch.setitem(sys.modules, "adafruit_dht", types.SimpleNamespace(DHT22=DHT22))
    monkeypatch.setitem(sys.modules, "board", types.SimpleNamespace(D4=object()))
    return done


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("DHT sensor not found, check wiring"), NotConnected),
        (RuntimeError("A full buffer was not returned. Try again."), InvalidData),
        (RuntimeError("Checksum did not validate. Try again."), InvalidData),
        (RuntimeError("Timed out waiting for PulseIn message. Make sure libgpiod is installed."), DeviceTimeout),
        (IndexError("pop from empty list"), InvalidData),
    ],
)
def test_every_complaint_of_the_library_is_classified(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[DeviceError]
) -> None:
    """Whatever it raises becomes a DeviceError, and its helper process is ended each time."""
    done = library(monkeypatch, error)
    with pytest.raises(kind, match="GPIO4"):
        DhtBoard().line(4).measure()
    assert done == ["made", "released"]


def test_a_board_without_the_pin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on a Raspberry Pi: an error that says so, not a crash."""
    library(monkeypatch, RuntimeError())
    with pytest.raises(NotConnected, match="no GPIO5"):
        DhtBoard().line(5).measure()
