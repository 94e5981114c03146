"""What one read of each driver costs, from the call to the samples, over the simulated wire.

Entry: `Driver.read()` (or a line's level, drive, edge); exit: its return. Reported are the wall time and the processor
time of the reading thread: the first holds the part's own waiting (a conversion, 9600 baud), the second is our cost.
The simulator runs in a process of its own and is not counted.  `python -m bench.buses [SECONDS per driver]`
"""

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from drivers import registry
from drivers.buses import open_bus
from fake_hw import client
from fake_hw.inject import install
from gateway.settings.compiler import compile_files

KITCHEN = Path(__file__).parents[1] / "config" / "kitchen.yaml"
POLLED = ("walkin_air", "gas", "walkin_core", "mains", "stock_scale", "dry_store_air")


def main() -> None:
    """Start a simulator, measure, print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    root = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    simulator = subprocess.Popen([sys.executable, "-m", "fake_hw", "--root", root], stdout=subprocess.DEVNULL)
    try:
        await_file(Path(root, "ready"))
        install(root)
        measure(root, seconds)
    finally:
        simulator.terminate()
        simulator.wait(5)
        shutil.rmtree(root, ignore_errors=True)


def measure(root: str, seconds: float) -> None:
    """One line per driver, then the lines' figures."""
    configuration = compile_files(KITCHEN)
    buses = {bus.name: open_bus(bus, root) for bus in configuration.buses}
    print(f"{'what':<28} {'reads':>6} {'wall µs p50':>12} {'p99':>9} {'thread µs':>10}")
    for device in configuration.devices:
        if device.name in POLLED:
            spec = registry.load(device.driver)
            driver = spec.open(buses[device.bus], spec.options(**device.options))
            repeat(f"{device.driver}.read", driver.read, seconds)
    header = buses["header"]
    spec = registry.load("relay")
    valve = spec.open(header, spec.options(line=17, active="high"), False)
    spec = registry.load("contact")
    limit = spec.open(header, spec.options(line=16, pull="up", active="low", channel="open", debounce_s=0.0))
    repeat("contact.is_active", limit.is_active, seconds)
    repeat("relay.level", valve.level, seconds)
    levels = iter(range(10**9))
    repeat("relay.drive", lambda: valve.drive(bool(next(levels) % 2)), seconds)
    edges(root, header, seconds)
    for bus in buses.values():
        bus.close()


def repeat(name: str, action: Callable[[], object], seconds: float) -> None:
    """Run it as often as the time allows, at least twice, and print what it took."""
    walls: list[int] = []
    action()  # opens the bus
    end, busy = time.monotonic() + seconds, time.thread_time_ns()
    while time.monotonic() < end or len(walls) < 2:
        began = time.perf_counter_ns()
        action()
        walls.append(time.perf_counter_ns() - began)
    show(name, walls, (time.thread_time_ns() - busy) / len(walls) / 1000)


def edges(root: str, header: object, seconds: float) -> None:
    """From the kernel's stamp of an edge to the handler, in the edge thread."""
    late: list[int] = []
    came = threading.Event()

    def note(_active: bool, time_ns: int) -> None:
        late.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time_ns)
        came.set()

    spec = registry.load("contact")
    door = spec.open(header, spec.options(line=6, pull="up", active="high", channel="open", debounce_s=0.0))
    door.watch(note)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for state in ("open", "close"):
            came.clear()
            client.command(root, f"door walkin {state}")
            came.wait(1.0)
    show("edge → handler", late, None)


def show(name: str, walls: list[int], thread_us: float | None) -> None:
    """One line of the table."""
    ordered = sorted(walls)
    p50, p99 = (ordered[int(part * (len(ordered) - 1))] / 1000 for part in (0.5, 0.99))
    cost = "" if thread_us is None else f"{thread_us:.0f}"
    print(f"{name:<28} {len(walls):>6} {p50:>12.0f} {p99:>9.0f} {cost:>10}")


def await_file(path: Path) -> None:
    """Wait until the simulator is ready. Raises TimeoutError."""
    deadline = time.monotonic() + 10
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear: run `python -m fake_hw` by hand to see why")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
