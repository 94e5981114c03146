"""The whole chain measured in one run: throughput, processor and memory, cold start, latency quiet and under stress.

    python -m bench.pipeline [--quick]

Every figure names where it begins and where it ends; the simulator's share is reported apart. Needs a mosquitto binary;
the disk's stall needs root (it freezes an ext4 of its own), and says what it did instead. Everything runs on this
machine: gateway, simulator, broker, an independent subscriber and the benchmark itself share its processors.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stage import Door, Feeder, Stage, Subscriber, own_disk, pss_mb, stalled, written_bytes
from drivers.buses import open_bus
from fake_hw import inject
from gateway.core.driver import Bus
from gateway.local.client import Connection
from tests.system.kitchen import Broker, Kitchen, wait_for

OURS = ("control", "recorder")
FREE_LINE = 0
ADC, ADC_CONFIG = 0x48, b"\x01"
REACTION = "GPIO edge on the fake wire → output's level on the fake wire"
STALL_S = 6.0
FEW = 100
"""Readings pending of which one may say that all is delivered: the kitchen goes on making them."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: starts, seconds of a window, readings of a flood and of an outage, quiet reactions."""

    starts: int
    window_s: float
    flood: int
    outage: int
    quiet: int


FULL = Size(starts=3, window_s=30.0, flood=600_000, outage=1_000_000, quiet=400)
QUICK = Size(starts=1, window_s=6.0, flood=150_000, outage=250_000, quiet=200)


def main() -> None:
    """Measure and print, one figure after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter windows: under 90 s instead of 3 minutes")
    size = QUICK if parser.parse_args().quick else FULL
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.2f} at the beginning\n")
    with workshop() as directory:
        broker, received = Broker(directory), directory / "received.jsonl"
        broker.start()
        try:
            whole_run(broker, received, size)
            two_processes(broker, directory, received, size)
            with Stage(broker, directory / "a" / "s") as stage:
                steady(stage, size)
                full_rate(stage, size)
                quiet_s = reactions(stage, size)
                outage(stage, broker, size, quiet_s)
                complete(stage, broker)
                simulators_share(stage)
            with own_disk(directory / "b" / "s") as disk, Stage(broker, directory / "b" / "s") as stage:
                disk_stall(stage, disk, quiet_s)
        finally:
            broker.stop()


@contextmanager
def workshop() -> Iterator[Path]:
    """A directory with a short path (sockets), gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
    try:
        for name in ("a", "b"):
            (directory / name).mkdir()
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def say(what: str, way: str, figure: str, target: str = "") -> None:
    """One figure of the report; way: its entry → its exit."""
    print(f"{what}: {figure}{f'  [target {target}]' if target else ''}\n    {way}", flush=True)


def whole_run(broker: Broker, received: Path, size: Size) -> None:
    """`gateway run` as a person types it: its start and its memory."""
    took: list[float] = []
    memory: dict[str, float] = {}
    for _ in range(size.starts):
        subscriber, began_s = Subscriber(received), time.time()
        with Kitchen(broker) as kitchen:
            took.append(subscriber.first_s() - began_s)
            if len(took) == size.starts:
                time.sleep(4.0)
                memory = {name: pss_mb(kitchen.pid(name)) for name in (*OURS, "field", "simulator")}
                memory["run"] = pss_mb(kitchen.run.pid if kitchen.run else 0)
    way = "`gateway run --sim` begins (files cached; compiles, starts five processes) → first reading at a subscriber"
    say("cold start, everything", way, f"{statistics.median(took):.2f} s, median of {len(took)}")
    say("memory of that run", "PSS of each process 4 s later", megabytes(memory))


def two_processes(broker: Broker, directory: Path, received: Path, size: Size) -> None:
    """How soon control and recorder forward, as systemd starts them."""
    took: list[float] = []
    for turn in range(2 * size.starts + 1):
        (directory / str(turn)).mkdir()
        subscriber = Subscriber(received)
        with Stage(broker, directory / str(turn) / "s") as stage:
            took.append(subscriber.first_s() - stage.began_s)
    way = "control and recorder begin (files cached, snapshot compiled, wires there) → first reading at a subscriber"
    text = f"{statistics.median(took):.2f} s, median of {len(took)}, {min(took):.2f} to {max(took):.2f} s"
    say("cold start, control + recorder", way, text, "≤ 0.5 s")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds by process, over `seconds` and `readings`."""

    seconds: float
    readings: int
    cpu_s: dict[str, float]

    def __str__(self) -> str:
        ours_s = sum(self.cpu_s[name] for name in OURS)
        each = ", ".join(f"{name} {self.cpu_s[name] / self.readings * 1e6:.0f}" for name in OURS)
        rate = f"{self.readings / self.seconds * 60:,.0f}/min"
        return (
            f"{ours_s / self.readings * 1e6:.0f} µs a reading ({each}), {ours_s / self.seconds:.1%} of one processor "
            f"at {rate}; simulator {self.cpu_s['simulator'] / self.seconds:.1%} apart"
        )


def usage(stage: Stage, work: Callable[[], None]) -> Usage:
    """What the processes use while `work` goes on, from commit to commit."""
    first, cpu, began_s = stage.commit(), stage.cpu(), time.monotonic()
    work()
    last, ended_s = stage.commit(), time.monotonic()
    used = {name: used_s - cpu[name] for name, used_s in stage.cpu().items()}
    return Usage(ended_s - began_s, last["captured"] - first["captured"], used)


def steady(stage: Stage, size: Size) -> None:
    """What 1,000 and 10,000 readings a minute cost."""
    time.sleep(4.0)  # the first commits, the log's growth and lazy imports are over
    written = written_bytes(stage.pid("recorder"))
    wires = usage(stage, lambda: time.sleep(size.window_s))
    each = (written_bytes(stage.pid("recorder")) - written) / wires.readings
    say("processor at 1,000/min", "bus transactions on the fake wires → PUBACK", str(wires))
    way = "write_bytes of the recorder: outbox, ring of delivered rows and events together, commits of 1 s"
    say("written per reading at 1,000/min", way, f"{each:.0f} bytes", "outbox alone ≤ 500 bytes")
    feeder = Feeder(stage)
    fed = usage(stage, lambda: feeder.evenly(size.window_s, 150.0))
    gathered = usage(stage, lambda: feeder.evenly(size.window_s, 150.0, stage.feeders))
    feeder.close()
    way = "1,000/min on the fake wires and 9,000/min as samples at control.sock, {} a frame → PUBACK"
    say("processor at 10,000/min", way.format("one poll"), str(fed), "≤ 150 µs")
    say("processor at 10,000/min, gathered", way.format(f"{stage.feeders} polls"), str(gathered), "≤ 150 µs")
    memory = {name: pss_mb(stage.pid(name)) for name in (*OURS, "simulator")}
    both = f"{megabytes(memory)}; control + recorder {memory['control'] + memory['recorder']:.1f} MB"
    say("memory at 10,000/min", "PSS of each process", both, "control ≤ 25, both ≤ 50 MB")


def full_rate(stage: Stage, size: Size) -> None:
    """As many samples as the gateway keeps; then until the broker has acknowledged the last."""
    first, cpu = stage.commit(), stage.cpu()
    feeder = Feeder(stage)
    seen = feeder.flood(size.flood)
    feeder.close()
    kept_s, durable, at_end = seen[-1][0] - seen[0][0], seen[-1][1], stage.telemetry()
    wait_for("all is delivered", lambda: stage.telemetry()["pending"] < FEW, 120.0)
    all_s, last = time.monotonic() - seen[0][0], stage.telemetry()
    used = {name: used_s - cpu[name] for name, used_s in stage.cpu().items()}
    lost = last["dropped"] + last["rejected"] - first["dropped"] - first["rejected"]
    way = f"samples of {stage.feeders} devices a frame at control.sock → "
    say("sustained, durable", f"{way}commit", f"{durable / kept_s:,.0f} readings/s, {lost} lost", "≥ 16,000/s")
    delivered = (at_end["delivered"] - first["delivered"]) / kept_s
    say("delivered over MQTT meanwhile", f"{way}PUBACK booked", f"{delivered:,.0f} readings/s")
    chain = (last["delivered"] - first["delivered"]) / all_s
    say("the whole chain", f"{way}PUBACK of the last booked", f"{chain:,.0f} readings/s")
    whole = Usage(all_s, last["captured"] - first["captured"], used)
    say("processor at full rate", f"{way}PUBACK of the last booked", str(whole), "≤ 90 µs")


def reactions(stage: Stage, size: Size) -> float:
    """Latency with nothing else to do, and while samples come in; the quiet p99, seconds."""
    door, target = Door(stage.root), "p99 ≤ 1 ms, max ≤ 20 ms"
    quiet = door.sample(size.quiet)
    say("latency, quiet (1,000/min)", REACTION, milliseconds(quiet), target)
    quiet_s = percentile(quiet, 0.99)
    feeder = Feeder(stage)
    busy = alongside(lambda _: feeder.evenly(6.0, 150.0), lambda: door.sample(200))
    say("latency, 10,000/min", REACTION, against(busy, quiet_s), target)
    flooded = alongside(lambda stop: feeder.flood(1 << 40, stop), lambda: door.sample(200))
    say("latency, samples at full rate", REACTION, against(flooded, quiet_s), target)
    feeder.close()
    wait_for("all is delivered", lambda: stage.telemetry()["pending"] < FEW, 120.0)
    return quiet_s


def alongside(load: Callable[[threading.Event], object], measure: Callable[[], list[float]]) -> list[float]:
    """What `measure` finds while `load` goes on in another thread, until its event tells it to stop."""
    stop = threading.Event()
    thread = threading.Thread(target=load, args=(stop,))
    thread.start()
    try:
        return measure()
    finally:
        stop.set()
        thread.join()


def outage(stage: Stage, broker: Broker, size: Size, quiet_s: float) -> None:
    """Readings without a broker, then the drain: how soon, how fast, and what the door notices of it."""
    broker.stop()
    wait_for("the uplink notices", lambda: not stage.connected())
    feeder = Feeder(stage)
    feeder.flood(size.outage)
    feeder.close()
    waiting = stage.telemetry()
    starting = threading.Thread(target=broker.start)
    starting.start()
    wait_for("the broker listens", lambda: listens(broker.port))
    listening_s = time.monotonic()
    wait_for("the uplink is back", stage.connected)
    connected_s = time.monotonic()
    door, slow, account = Door(stage.root), [], waiting
    while account["pending"] >= FEW and time.monotonic() - connected_s < 120.0:
        slow.append(door.reaction_s())
        time.sleep(random.uniform(0.005, 0.02))
        account = stage.telemetry()
    drained_s = time.monotonic() - connected_s
    starting.join()
    say("reconnect", "broker listens again → CONNACK", f"{connected_s - listening_s:.2f} s", "≤ 1.5 s")
    drained = (account["delivered"] - waiting["delivered"]) / drained_s
    way = f"CONNACK → PUBACK of the last booked; {waiting['pending']:,} readings waiting, 200 in a message"
    say("backlog drain", way, f"{drained:,.0f} readings/s", "≥ 25,000/s")
    say("latency, backlog draining", REACTION, against(slow, quiet_s), "p99 ≤ 1.5 × quiet")


def complete(stage: Stage, broker: Broker) -> None:
    """Whether the independent subscriber has each number of control's run, after the floods and the outage."""
    captured = stage.commit()["captured"]
    connection = Connection(stage.state / "control.sock", "bench", "viewer")
    got = broker.numbers("telemetry")[connection.hello["run"]]
    connection.close()
    once = len(set(got))
    figure = f"{captured:,} captured, {max(got) - once} missing up to number {max(got):,}, {len(got) - once} twice"
    way = "numbers that control gave → numbers that the independent subscriber got"
    say("completeness of all this", way, figure, "0 missing")


def disk_stall(stage: Stage, disk: bool, quiet_s: float) -> None:
    """No write below the state directory ends for some seconds."""
    time.sleep(5.0)
    door = Door(stage.root)
    with stalled(stage, disk):
        before = stage.telemetry()["captured"] if disk else 0
        slow = door.sample(60, STALL_S)
        kept = stage.telemetry()["captured"] - before if disk else 0
    recovered = stage.commit()
    how = (
        f"ext4 of the whole state directory frozen, {kept} readings committed meanwhile"
        if disk
        else ("recorder stopped with SIGSTOP, because a disk of its own needs root and a loop device")
    )
    way = f"{REACTION}; {how}, {recovered['dropped']} dropped"
    say(f"latency, disk stalled for {STALL_S:.0f} s", way, against(slow, quiet_s), "p99 ≤ 1.5 × quiet")


def simulators_share(stage: Stage) -> None:
    """What a transaction costs below the system calls with nothing else going on. Ends control and recorder."""
    stage.stop(*OURS)
    undo = inject.install(str(stage.root))
    try:
        header: Any = open_bus(Bus("header", "gpio", "/dev/gpiochip0"), str(stage.root))
        sensors: Any = open_bus(Bus("sensors", "i2c", "/dev/i2c-1"), str(stage.root))
        line = header.input(FREE_LINE, pull="up", active_low=False, debounce_s=0.0)
        asked = timed(line.is_active)
        read = timed(lambda: sensors.transfer(ADC, ADC_CONFIG, 2))
        header.close()
        sensors.close()
    finally:
        undo()
    way = "GPIO get ioctl → its return; a reaction holds an edge event and a set ioctl, about one and a half of these"
    say("simulator's share, GPIO", way, milliseconds(asked))
    say("simulator's share, I2C", "I2C_RDWR of 1 + 2 bytes → its return", milliseconds(read))


def timed(action: Callable[[], object]) -> list[float]:
    """Seconds of each of 500 calls, some ms apart, after one that opens the bus."""
    action()
    took = []
    for _ in range(500):
        time.sleep(random.uniform(0.001, 0.004))
        began_s = time.perf_counter()
        action()
        took.append(time.perf_counter() - began_s)
    return took


def listens(port: int) -> bool:
    """Whether somebody accepts on this loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def percentile(samples: list[float], part: float) -> float:
    """The sample that this part of all does not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def milliseconds(samples: list[float]) -> str:
    """p50 / p99 / max of seconds, in ms."""
    p50, p99 = percentile(samples, 0.5) * 1e3, percentile(samples, 0.99) * 1e3
    return f"p50 {p50:.2f}, p99 {p99:.2f}, max {max(samples) * 1e3:.2f} ms (n={len(samples)})"


def against(samples: list[float], quiet_s: float) -> str:
    """The same, and p99 as a multiple of the quiet one."""
    return f"{milliseconds(samples)}, p99 {percentile(samples, 0.99) / quiet_s:.1f} × quiet"


def megabytes(sizes: dict[str, float]) -> str:
    """Process and MB, one after the other."""
    return ", ".join(f"{name} {mb:.1f}" for name, mb in sizes.items()) + " MB"


if __name__ == "__main__":
    main()
