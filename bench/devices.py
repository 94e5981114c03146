"""A hundred devices on four buses at 1,000 readings a minute: how late each is read, also beside dead devices.

Entry: the instant a device is due; exit: its outcome is there, so bus, part and driver are in it. The parts are
simulated in a process of their own; their conversions and the 9600 baud of the meters take real time.
`python -m bench.devices [SECONDS per phase]`
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from drivers import registry
from drivers.buses import open_bus
from fake_hw import client
from fake_hw.inject import install
from gateway.local.clock import SystemClock
from gateway.local.polling import BusWorker, Outcome, Overseer, PolledDevice
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files
from gateway.settings.model import Configuration, Device

EVERY_S = 6
SETTLE_S = 30.0
Polls = dict[str, list[tuple[str, float, bool]]]
"""bus → (device, how late its outcome came in s, whether it was good)."""
DEAD = {"cold": "cold_0", "hot": "hot_16", "meters": "meter_0", "probes": "probe_0"}


def site() -> str:
    """25 devices on each of: two I2C buses, a Modbus line, 1-Wire; one is polled every 6 s, so 1,000 polls a minute."""
    rows = [f"  cold_{n}: {{driver: sht4x, bus: cold, address: 0x{0x44 + n:x}, every: {EVERY_S} s}}" for n in range(3)]
    for bus, count in (("cold", 22), ("hot", 16)):
        first = len(rows) if bus == "cold" else 0
        rows += [_analogue(bus, first + n, 0x48 + n // 4, n % 4) for n in range(min(count, 16))]
    rows += [
        f"  cold_{n}: {{driver: mcp9600, bus: cold, address: 0x{0x60 + n - 19:x}, every: {EVERY_S} s}}"
        for n in range(19, 25)
    ]
    rows += [
        f"  hot_{n}: {{driver: mcp9600, bus: hot, address: 0x{0x60 + n - 16:x}, every: {EVERY_S} s}}"
        for n in range(16, 24)
    ]
    rows.append(f"  hot_24: {{driver: sht4x, bus: hot, address: 0x44, every: {EVERY_S} s}}")
    rows += [f"  meter_{n}: {{driver: pzem004t, bus: meters, unit: {n + 1}, every: {EVERY_S} s}}" for n in range(25)]
    rows += [f"  probe_{n}: {{driver: ds18b20, bus: probes, id: 28-{n:012x}, every: {EVERY_S} s}}" for n in range(25)]
    return "\n".join(
        (
            "version: 1",
            "site: {id: hundred}",
            "buses:",
            "  cold: {type: i2c, device: /dev/i2c-1}",
            "  hot: {type: i2c, device: /dev/i2c-3}",
            "  meters: {type: modbus_rtu, device: /dev/serial/by-id/usb-METERS, baud: 9600}",
            "  probes: {type: onewire}",
            "devices:",
            *rows,
            "",
        )
    )


def _analogue(bus: str, number: int, address: int, channel: int) -> str:
    return (
        f"  {bus}_{number}: {{driver: ads1115, bus: {bus}, address: 0x{address:x}, input: {channel}, "
        f"every: {EVERY_S} s, "
        "channel: temperature, unit: Cel, at_low: 0, at_high: 100, low: 0.5 V, high: 4.5 V}"
    )


@dataclass(slots=True)
class Watch:
    """What one bus's worker did: (device, how late its outcome came in s, whether it was good)."""

    worker: BusWorker
    start_ns: int
    places: dict[str, int]
    polls: list[tuple[str, float, bool]] = field(default_factory=list)

    def note(self, outcome: Outcome) -> None:
        """How long after its due time the outcome is here. Turns: its place in the period, every 6 s."""
        now_ns, every_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME), EVERY_S * 1_000_000_000
        count = len(self.places)
        first_ns = self.start_ns + every_ns * (count + self.places[outcome.device]) // count
        if outcome.time_ns >= first_ns:
            late_ns = (outcome.time_ns - first_ns) % every_ns + now_ns - outcome.time_ns
            self.polls.append((outcome.device, late_ns / 1e9, outcome.samples is not None))


class StartClock(SystemClock):
    """The system's clock that remembers what it said first: the start of the worker's schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.first_ns = 0

    def now_ns(self) -> int:
        """CLOCK_BOOTTIME."""
        now_ns = super().now_ns()
        self.first_ns = self.first_ns or now_ns
        return now_ns


def watched(configuration: Configuration, root: str) -> Iterator[tuple[str, Watch]]:
    """bus → its worker, as control builds them."""
    for bus in configuration.buses:
        handle = open_bus(bus, root)
        mine = [device for device in configuration.devices if device.bus == bus.name]
        polled = [_polled(device, handle) for device in mine]
        clock = StartClock()
        notes: list[Watch] = []
        worker = BusWorker(bus.name, polled, lambda outcome, notes=notes: notes[0].note(outcome), clock)  # type: ignore[misc]  # bound per bus
        notes.append(Watch(worker, clock.first_ns, {device.name: place for place, device in enumerate(mine)}))
        yield bus.name, notes[0]


def _polled(device: Device, handle: object) -> PolledDevice:
    spec = registry.load(device.driver)
    return PolledDevice(
        device.name,
        round(device.every_s * 1e9),
        round(device.deadline_s * 1e9),
        lambda: spec.open(handle, spec.options(**device.options)),
    )


def main() -> None:
    """Measure healthy, then with one dead device a bus; print per bus and overall."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    root = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    file, compiled = Path(root, "site.yaml"), Path(root, "site.json")
    file.write_text(site())
    configuration = compile_files(file)
    compiled.write_bytes(snapshot.dump(configuration))
    simulator = subprocess.Popen([sys.executable, "-m", "fake_hw", "--root", root, "--site", str(compiled)])
    try:
        while not Path(root, "ready").exists():
            time.sleep(0.01)
        install(root)
        measure(configuration, root, seconds)
    finally:
        simulator.terminate()
        simulator.wait(5)
        shutil.rmtree(root, ignore_errors=True)


def measure(configuration: Configuration, root: str, seconds: float) -> None:
    """Both phases on the same workers."""
    watches = dict(watched(configuration, root))
    overseer = Overseer(SystemClock(), [watch.worker.check for watch in watches.values()])
    for watch in watches.values():
        watch.worker.start()
    overseer.start()
    time.sleep(2 * EVERY_S)
    before = _phase(watches, seconds)
    for device in DEAD.values():
        client.command(root, f"unplug {device}")
    time.sleep(SETTLE_S)
    after = _phase(watches, seconds)
    for watch in watches.values():
        watch.worker.stop(2.0)
    overseer.stop()
    _report(before, after, seconds)


def _phase(watches: dict[str, Watch], seconds: float) -> Polls:
    """What happened on each bus within the seconds."""
    for watch in watches.values():
        watch.polls.clear()
    cpu_s, began_s = time.process_time(), time.monotonic()
    threading.Event().wait(seconds)
    polls = {name: list(watch.polls) for name, watch in watches.items()}
    count = sum(map(len, polls.values()))
    took_s = time.monotonic() - began_s
    print(
        f"{count} polls in {took_s:.0f} s ({count * 60 / took_s:.0f}/min), "
        f"{(time.process_time() - cpu_s) / max(1, count) * 1e6:.0f} µs CPU a poll, {threading.active_count()} threads"
    )
    return polls


def _report(before: Polls, after: Polls, seconds: float) -> None:
    """p50, p99 and worst lateness in ms of the living, healthy and beside a dead one, and the ratio of the p99."""
    heads = f"{'p50':>8} {'p99':>8} {'max':>8}"
    print(f"{'late, ms':<10}{heads}   | beside a dead device {heads}  ratio")
    living = {bus: [late for device, late, good in before[bus] if good and device != DEAD[bus]] for bus in before}
    beside = {bus: [late for device, late, good in after[bus] if good and device != DEAD[bus]] for bus in before}
    living["all"] = [late for each in living.values() for late in each]
    beside["all"] = [late for each in beside.values() for late in each]
    for bus, late_s in living.items():
        ratio = _p(beside[bus], 99) / _p(late_s, 99)
        print(f"{bus:<10}{_row(late_s)}   | {'':<20} {_row(beside[bus])} {ratio:>6.2f}")
    bad = {device for polls in before.values() for device, _, good in polls if not good}
    print(json.dumps({"seconds a phase": seconds, "bad while healthy": sorted(bad)}))


def _row(late_s: list[float]) -> str:
    return f"{_p(late_s, 50) * 1e3:>8.1f} {_p(late_s, 99) * 1e3:>8.1f} {max(late_s) * 1e3:>8.1f}"


def _p(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    main()
