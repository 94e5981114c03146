"""The I2C bus: one ioctl per transaction, errors in words, recovery of the adapter."""

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers.buses.i2c import I2CAdapter
from fake_hw.simulator import Simulator
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected
from gateway.core.quality import Reason

Tell = Callable[[str], dict[str, Any]]


@pytest.fixture
def bus(kitchen: Simulator) -> Iterator[I2CAdapter]:
    opened = I2CAdapter("/dev/i2c-1", kitchen.root)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("code", "kind", "reason", "words"),
    [
        (
            errno.EREMOTEIO,
            NotConnected,
            Reason.BAD_NOT_CONNECTED,
            "nothing answers at 0x44 on /dev/i2c-1: check SDA/SCL",
        ),
        (errno.ENXIO, NotConnected, Reason.BAD_NOT_CONNECTED, "nothing answers"),
        (errno.ENODEV, NotConnected, Reason.BAD_NOT_CONNECTED, "nothing answers"),
        (errno.ETIMEDOUT, DeviceTimeout, Reason.BAD_TIMEOUT, "the bus hung"),
        (errno.EAGAIN, DeviceError, Reason.BAD_COMMUNICATION_ERROR, "arbitration"),
        (errno.EIO, DeviceError, Reason.BAD_COMMUNICATION_ERROR, "pull-ups"),
    ],
)
def test_every_errno_of_an_adapter_has_its_words(
    bus: I2CAdapter, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[DeviceError], reason: Reason, words: str
) -> None:
    """What adapters report becomes the reason a reading gets, and what to do about it."""

    def fail(*_: object) -> None:
        raise OSError(code, "as the kernel says")

    monkeypatch.setattr("smbus2.SMBus.i2c_rdwr", fail)
    with pytest.raises(DeviceError, match=words) as caught:
        bus.transfer(0x44, b"\x00", 1)
    assert type(caught.value) is kind
    assert caught.value.reason is reason


def test_an_absent_adapter_is_named_with_its_cure(root: str) -> None:
    """No such device: the message says how to enable the bus. Opening is tried at each transfer."""
    bus = I2CAdapter("/dev/i2c-7", root)
    for _ in range(2):
        with pytest.raises(NotConnected, match=r"/dev/i2c-7 \(No such file.*dtparam=i2c_arm=on"):
            bus.transfer(0x44, b"\x00")


def test_the_adapter_unplugged_and_back(bus: I2CAdapter, tell: Tell) -> None:
    """An adapter that vanished under us is opened again when it is back."""
    bus.transfer(0x44, b"\xfd")
    tell("unplug sensors")
    for _ in range(2):
        with pytest.raises(NotConnected):
            bus.transfer(0x44, b"\xfd")
    tell("plug sensors")
    assert bus.transfer(0x48, b"\x01", 2) == b"\x85\x83"  # the ADC's reset value: write, repeated START, read


def test_only_combined_transfers_are_used(bus: I2CAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is never selected by an ioctl of its own: two devices can't be mixed up."""
    asked: list[int] = []
    import smbus2.smbus2

    real: Any = vars(smbus2.smbus2)["ioctl"]

    def spy(descriptor: int, request: int, *rest: Any) -> Any:
        asked.append(request)
        return real(descriptor, request, *rest)

    monkeypatch.setattr(smbus2.smbus2, "ioctl", spy)
    bus.transfer(0x48, b"\x01", 2)
    bus.transfer(0x48, b"\x01")
    assert set(asked) - {0x0705} == {0x0707}  # I2C_FUNCS at the opening, then I2C_RDWR
    assert asked.count(0x0707) == 2
