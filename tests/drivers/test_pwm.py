"""PWM outputs through gpiozero and sysfs files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers import pwm
from drivers.buses import open_bus, pwm_sysfs
from drivers.buses.pwm_sysfs import Pulse, PwmChannel
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, NotConnected, WrongOption

CHIP = "/dev/gpiochip0"


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A machine to place loads on; this process finds its nodes below `root`."""
    made = Machine(root)
    undo = install(root)
    yield made
    undo()
    made.stop()


@pytest.fixture
def fan(machine: Machine) -> Iterator[Callable[..., Any]]:
    """Places a load, starts the machine and opens the output that drives it."""
    buses: list[Any] = []

    def make(safe: float = 0.0, **changes: Any) -> Any:
        options = pwm.Options(**{"line": 18, **changes})
        plain = {name: getattr(options, name) for name in pwm.Options.__slots__}
        machine.place("pwm", "fan", Wiring("gpio", CHIP, plain))
        machine.start()
        buses.append(open_bus(Bus("header", "gpio", CHIP), machine.root))
        return pwm.SPEC.open(buses[-1], options, safe)

    yield make
    for bus in buses:
        bus.close()


def gets(machine: Machine) -> float:
    """What the load gets now, in percent."""
    machine.do()
    return round(machine.truths["fan.level"], 6)


@pytest.mark.parametrize("active", ["high", "low"])
@pytest.mark.parametrize("line", [12, 13, 18, 19])
def test_the_load_gets_what_is_driven(machine: Machine, fan: Callable[..., Any], line: int, active: str) -> None:
    """Every line and both senses, ends included; what is read back is what was driven."""
    output = fan(line=line, active=active)
    assert (gets(machine), output.level()) == (0.0, 0.0)
    for level in (100.0, 33.3, 0.0, 0.01, 50.0):
        output.drive(level)
        assert gets(machine) == pytest.approx(level, abs=0.0026)
        assert output.level() == level


@pytest.mark.parametrize("active", ["high", "low"])
def test_the_output_begins_at_its_safe_level(machine: Machine, fan: Callable[..., Any], active: str) -> None:
    """The claim itself puts the safe level out."""
    fan(safe=40.0, active=active)
    assert gets(machine) == 40.0


def test_a_fan_that_would_not_start_gets_nothing(machine: Machine, fan: Callable[..., Any]) -> None:
    """Below `min_level` the load gets 0, and the read-back is still that of a command that was obeyed."""
    output = fan(min_level=20.0, safe=10.0)
    assert gets(machine) == 0.0
    for level, given in ((19.9, 0.0), (20.0, 20.0), (5.0, 0.0)):
        output.drive(level)
        assert (gets(machine), output.level()) == (given, level)


@pytest.mark.parametrize(("active", "safe"), [("high", 0.0), ("low", 0.0), ("high", 40.0), ("low", 10.0)])
def test_the_safe_state_program_can_do_it_alone(
    machine: Machine, fan: Callable[..., Any], active: str, safe: float
) -> None:
    """What the list says, written into that file, gives the load its safe level, `min_level` and sense included."""
    changes: dict[str, Any] = {"line": 13, "active": active, "min_level": 20.0, "frequency_hz": 1000.0}
    fan(**changes).drive(80.0)
    (entry,) = pwm.SPEC.safe_state(Bus("header", "gpio", CHIP), pwm.Options(**changes), safe)
    kind, path, text = entry.split(maxsplit=2)
    assert kind == "file"
    Path(machine.path(path)).write_text(text, encoding="ascii")
    assert gets(machine) == (safe if safe >= 20 else 0.0)


@pytest.mark.parametrize("line", [0, 17, 14, 53])
def test_another_line_is_a_configuration_error(line: int) -> None:
    """The four lines that have one are named."""
    with pytest.raises(WrongOption, match=f"GPIO{line} has no hardware PWM; use GPIO12, GPIO13, GPIO18 or GPIO19"):
        pwm.Options(line=line)


def test_lines_of_one_channel_exclude_each_other() -> None:
    """GPIO12 and GPIO18 show the same pulses, so two outputs there are found before anything runs."""
    claims = {line: set(pwm.SPEC.claims(pwm.Options(line=line))) for line in pwm.CHANNELS}
    assert claims[12] & claims[18]
    assert claims[13] & claims[19]
    assert not claims[12] & claims[13]


def test_without_the_overlay_the_cure_is_told(machine: Machine, fan: Callable[..., Any]) -> None:
    """No controller: the config.txt line; with it, the same claim works."""
    machine.condition("pwm").plugged = False
    with pytest.raises(NotConnected, match=r"no PWM for GPIO18 .*dtoverlay=pwm-2chan.*config\.txt"):
        fan()


def test_a_driver_that_is_loaded_again_is_claimed_again(machine: Machine, fan: Callable[..., Any]) -> None:
    """While it is away each use says so, and the look each second finds it; the next command is a new claim."""
    output = fan()
    output.drive(60.0)
    assert output.service(0) == pwm.LOOK_NS
    machine.plug("pwm", False)
    assert gets(machine) == 0.0
    for use in (output.level, lambda: output.drive(60.0), lambda: output.service(0)):
        with pytest.raises(NotConnected):
            use()
    machine.plug("pwm", True)
    with pytest.raises(NotConnected):
        output.service(0)
    output.drive(60.0)
    assert (gets(machine), output.level()) == (60.0, 60.0)


def test_somebody_elses_change_is_seen_and_undone(machine: Machine, fan: Callable[..., Any]) -> None:
    """Another program's duty, polarity or stop is no level of ours; driving again restores it."""
    output = fan()
    place = os.path.join(machine.root, "sys/class/pwm/pwmchip0/pwm0")
    for attribute, text in (("duty_cycle", "1000"), ("polarity", "inversed"), ("enable", "0")):
        output.drive(60.0)
        pwm_sysfs.write_attribute(place, attribute, text)
        with pytest.raises(NotConnected, match="another program"):
            output.service(0)
        output.drive(60.0)
        assert gets(machine) == 60.0
        assert output.service(0)


def test_what_runs_goes_on_when_the_gateway_ends(machine: Machine, fan: Callable[..., Any]) -> None:
    """Closing drives nothing, and a successor takes over from the level that runs, at another frequency too."""
    output = fan()
    output.drive(70.0)
    output.close()
    assert gets(machine) == 70.0
    bus: Any = open_bus(Bus("header", "gpio", CHIP), machine.root)
    successor = pwm.SPEC.open(bus, pwm.Options(18, frequency_hz=100_000.0), 30.0)
    assert gets(machine) == 30.0
    bus.close()
    with pytest.raises(NotConnected, match="was closed"):
        successor.drive(50.0)


def test_one_line_for_two_devices_is_refused(machine: Machine, fan: Callable[..., Any]) -> None:
    """A PWM line is reserved among the chip's other lines, and free after it was closed."""
    fan()
    bus: Any = open_bus(Bus("header", "gpio", CHIP), machine.root)
    kept = bus.pwm(12, frequency_hz=1000.0, active_low=False, initial=0.0)
    with pytest.raises(DeviceError, match="GPIO12 is already in use by this gateway"):
        bus.output(12, active_low=False, initial=False)
    kept.close()
    bus.output(12, active_low=False, initial=False).close()
    bus.close()


class Kernel:
    """A controller's files with the kernel's refusals; `shown` is what the line showed after each write."""

    def __init__(self, root: Path, npwm: int = 2, controller: str = "fe20c000.pwm", number: int = 0) -> None:
        self.chip = root / f"sys/devices/platform/soc/{controller}/pwm/pwmchip{number}"
        self.chip.mkdir(parents=True)
        (self.chip / "npwm").write_text(f"{npwm}\n")
        (root / "sys/class/pwm").mkdir(parents=True, exist_ok=True)
        (root / f"sys/class/pwm/pwmchip{number}").symlink_to(self.chip)
        self.exported: list[str] = []
        self.shown: list[float] = []
        self.error = 0

    def write(self, place: str, attribute: str, text: str) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        if attribute == "export":
            self.exported.append(text)
            channel = self.chip / f"pwm{text}"
            channel.mkdir()
            for name, value in (("period", 0), ("duty_cycle", 0), ("polarity", "normal"), ("enable", 0)):
                (channel / name).write_text(f"{value}\n")
            return
        before = self.state(place)
        after = before | {attribute: text}
        period, duty = int(after["period"]), int(after["duty_cycle"])
        assert period, f"EINVAL: {attribute} of a channel without a period"
        assert duty <= period, "EINVAL: a duty beyond the period"
        assert attribute != "polarity" or before["enable"] == "0", "EBUSY: the polarity of a channel that runs"
        Path(place, attribute).write_text(text + "\n")
        if after["enable"] == "1":
            self.shown.append(duty / period)

    def state(self, place: str) -> dict[str, str]:
        return {each: Path(place, each).read_text().strip() for each in ("period", "duty_cycle", "polarity", "enable")}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel(tmp_path)
    monkeypatch.setattr(pwm_sysfs, "write_attribute", made.write)
    return made


def test_the_kernel_never_refuses_the_order_and_the_line_never_shows_more(tmp_path: Path, kernel: Kernel) -> None:
    """From any state to any other: legal writes only, the first level shown is the asked one, none is in between
    while the frequency stays, and none above both ends while it changes."""
    pulses = [Pulse(1000, 1000), Pulse(1000, 0), Pulse(100, 100), Pulse(100, 1), Pulse(1000, 400)]
    for before in pulses:
        for after in pulses:
            channel = PwmChannel(18, str(tmp_path))
            channel.set(before)
            kernel.shown.clear()
            channel.set(after)
            assert channel.get() == after
            ends = (before.duty_ns / before.period_ns, after.duty_ns / after.period_ns)
            assert kernel.shown[-1] == ends[1]
            assert max(kernel.shown) <= max(ends)
            if before.period_ns == after.period_ns:
                assert set(kernel.shown) == {ends[1]}
    assert kernel.exported == ["0"]


def test_the_first_level_shown_is_the_first_one_asked_for(tmp_path: Path, kernel: Kernel) -> None:
    """The duty is there before the channel is enabled."""
    PwmChannel(18, str(tmp_path)).set(Pulse(40_000, 16_000))
    assert kernel.shown == [0.4]


@pytest.mark.parametrize(("line", "channel"), [(12, "0"), (13, "1"), (18, "2"), (19, "3")])
def test_a_pi_5_has_four_channels_and_another_controller_for_its_cooler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int, channel: str
) -> None:
    """RP1's first controller is the header's whatever number it got."""
    Kernel(tmp_path, 4, "1f0009c000.pwm", 0)
    header = Kernel(tmp_path, 4, "1f00098000.pwm", 2)
    monkeypatch.setattr(pwm_sysfs, "write_attribute", header.write)
    PwmChannel(line, str(tmp_path)).set(Pulse(100, 50))
    assert header.exported == [channel]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (13, "group gpio"),
        (16, "held by a driver of the kernel"),
        (19, "is gone"),
        (22, "is the frequency possible"),
        (30, "restart kitchen-gateway-control"),
    ],
)
def test_every_refusal_says_what_to_do(tmp_path: Path, kernel: Kernel, error: int, words: str) -> None:
    """Each errno of a write is one of our errors with a cure."""
    kernel.error = error
    with pytest.raises(DeviceError, match=words):
        PwmChannel(18, str(tmp_path)).set(Pulse(100, 50))


def test_what_is_not_driven_yet_has_no_level(tmp_path: Path, kernel: Kernel) -> None:
    """Nor has one whose files hold no number."""
    channel = PwmChannel(18, str(tmp_path))
    with pytest.raises(NotConnected, match="drive it first"):
        channel.get()
    channel.set(Pulse(100, 50))
    (kernel.chip / "pwm0" / "period").write_text("\n")
    for use in (channel.get, lambda: channel.set(Pulse(100, 50))):
        with pytest.raises(DeviceError, match="shows no number"):
            use()
