"""The field process against a real server socket."""

import dataclasses
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from drivers import registry
from gateway.core.driver import BusKind, Channel, Spec
from gateway.core.errors import ConfigurationError, DeviceTimeout, NotConnected
from gateway.core.quality import Reason
from gateway.core.reading import Occurrence, Sample
from gateway.field.worker import STOP_S, FieldLink, sample_row
from gateway.local.clock import SystemClock
from gateway.local.polling import Outcome
from gateway.local.server import Server
from gateway.settings.model import Access, Bus, Configuration, Device, Site
from rules.definition import Rulebook
from tests.recorder.fakes import eventually


class Control:
    """Plays control: takes what field sends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hash = "c1"
        self.announced = "c1"
        self.acknowledge = False
        self.rows: list[Any] = []
        self.frames: SimpleQueue[tuple[dict[str, Any], bytes | None]] = SimpleQueue()
        self.start()

    def start(self) -> None:
        self.server = Server(self.path, self, Access())
        self.server.start()

    def hello(self) -> dict[str, Any]:
        return {"process": "control", "run": "r", "boot": "b", "sim": True, "configuration": self.hash}

    def frame(self, peer: Any, header: dict[str, Any], body: bytes | None) -> None:
        if header["kind"] == "events" and self.acknowledge:
            upto = header["first"] + len(json.loads(body or b"")) - 1
            peer.send({"kind": "ack", "run": header["run"], "upto": upto})
        self.frames.put((header, body))

    def pump(self, peer: Any) -> None:
        if self.announced != self.hash:
            self.hash = self.announced
            peer.send({"kind": "configuration", "hash": self.hash})

    def command(self, _peer: Any, _command: Any, _reply: Any) -> None:
        raise AssertionError("field gives no commands")

    def query(self, _peer: Any, _what: str, _arguments: Any) -> object:
        raise AssertionError("field asks nothing")

    def refused(self, _peer: Any, _fields: Any, message: str) -> None:
        raise AssertionError(message)

    def closed(self, _peer: Any) -> None:
        pass

    def letter(self) -> dict[str, Any]:
        """The next events frame with its rows."""
        while True:
            header, body = self.frames.get(timeout=5.0)
            if header["kind"] == "events":
                return {**header, "rows": json.loads(body or b"")}

    def next_row(self) -> list[Any]:
        """The next sample row of whatever device."""
        if not self.rows:
            self.rows = self._samples()
        return list(self.rows.pop(0))

    def _samples(self) -> list[Any]:
        while True:
            header, body = self.frames.get(timeout=5.0)
            if header["kind"] == "samples":
                return list(json.loads(body or b""))

    def row(self, device: str, accept: Callable[[list[Any]], bool] = lambda _row: True) -> list[Any]:
        """The next sample row of a device that is accepted."""
        while True:
            try:
                header, body = self.frames.get(timeout=5.0)
            except Empty:
                raise AssertionError(f"no such sample of {device}") from None
            if header["kind"] == "samples":
                for row in json.loads(body or b""):
                    if row[0] == device and accept(row):
                        return list(row)


class Part:
    """A part that answers, hangs or is gone, as the rig says."""

    def __init__(self, rig: "Rig", name: str) -> None:
        self.rig = rig
        self.name = name

    def read(self) -> Sequence[Sample | Occurrence]:
        if self.name in self.rig.gone:
            raise NotConnected("nothing answers")
        if self.name in self.rig.hanging:
            self.rig.waiting.set()
            self.rig.freed.wait(20.0)
            if self.name in self.rig.hanging:
                raise DeviceTimeout("no message")
        seen: list[Sample | Occurrence] = [Sample("temperature", 20.5)]
        if self.name == "left" and self.rig.happening:
            seen.append(Occurrence("scanned", {"label": self.rig.happening.pop(0)}))
        return seen


class Handle:
    """An opened bus."""

    def __init__(self, freed: threading.Event) -> None:
        self.closed = 0
        self.freed = freed

    def close(self) -> None:
        self.closed += 1
        self.freed.set()


class Rig:
    """A field link in a thread, with parts that misbehave."""

    def __init__(self, path: Path) -> None:
        self.control = Control(path)
        self.gone: set[str] = set()
        self.hanging: set[str] = set()
        self.freed = threading.Event()
        self.waiting = threading.Event()
        self.happening: list[str] = []
        self.configuration = configuration("c1", "left", "right")
        self.handles: list[Handle] = []
        self.link = FieldLink(path, lambda: self.configuration, self.open, SystemClock())
        self.thread = threading.Thread(target=self.link.run, daemon=True)

    def open(self, bus: Bus) -> Handle:
        self.handles.append(Handle(self.freed if bus.type == "mqtt" else threading.Event()))
        return self.handles[-1]

    def stop(self) -> None:
        self.freed.set()
        self.link.stop()
        self.thread.join(5.0)
        self.control.server.stop()


def configuration(digest: str, *names: str, kind: BusKind = "dht") -> Configuration:
    channels = (Channel("temperature", "Cel"),)
    deadline_s = 30.0 if kind == "mqtt" else 0.2
    devices = tuple(
        Device(name, "part", "wire", "field", "polled", 0.1, deadline_s, {"name": name}, channels) for name in names
    )
    strangers = (Device("ours", "part", "wire", "control", "polled", 0.1, 0.2, {"name": "ours"}, channels),)
    wire = (Bus("wire", kind),)
    return Configuration(1, Site("t"), wire, devices + strangers, (), Rulebook({}, (), (), ()), hash=digest)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    directory = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
    rig = Rig(directory / "control.sock")
    spec = Spec(
        name="part",
        title="part",
        bus="dht",
        options=dict,
        open=lambda _bus, options: Part(rig, options["name"]),
        channels=lambda _options: (),
        claims=lambda _options: (),
        sample="",
        datasheet="",
    )
    monkeypatch.setattr(registry, "load", lambda _name: spec)
    rig.thread.start()
    yield rig
    rig.stop()
    shutil.rmtree(directory)


def test_samples_and_failures_reach_control(rig: Rig) -> None:
    """Values as measured, failures with reason and words, each stamped with when it was."""
    before_ns = SystemClock().now_ns()
    row = rig.control.row("left")
    assert row[2] == {"temperature": 20.5}
    assert abs(row[1] - before_ns) < 10**10
    rig.gone.add("left")
    bad = rig.control.row("left", lambda row: row[2] is None)
    assert bad[3:] == ["BadNotConnected", "nothing answers"]


def test_a_hanging_part_loses_only_itself(rig: Rig) -> None:
    """Parts with wires of their own do not wait for each other; the hanging one is BadTimeout at its deadline."""
    rig.hanging.add("left")
    assert rig.control.row("left", lambda row: row[2] is None)[3] == "BadTimeout"
    for _ in range(3):
        assert rig.control.row("right")[2] == {"temperature": 20.5}
    rig.hanging.clear()
    rig.freed.set()
    rig.control.row("left", lambda row: row[2] is not None)


def test_control_hears_that_field_lives(rig: Rig) -> None:
    """Health is sent from the first moment on."""
    header, _ = rig.control.frames.get(timeout=5.0)
    assert header["kind"] == "health"
    assert header["points"] == {"hanging": 0}


def test_a_restarted_control_is_found_again(rig: Rig) -> None:
    """Samples go on after control was away."""
    rig.control.row("left")
    rig.control.server.stop()
    while not rig.control.frames.empty():
        rig.control.frames.get()
    rig.control.start()
    rig.control.row("left")


def test_an_announced_configuration_is_followed(rig: Rig) -> None:
    """Field reads the snapshot again when control runs another one; a broken one leaves the old in place."""
    rig.control.row("left")
    rig.configuration = configuration("c2", "third")
    rig.control.announced = "c2"
    rig.control.server.wake()
    assert rig.control.row("third")[2] == {"temperature": 20.5}

    def broken() -> Configuration:
        raise ConfigurationError(["damaged"])

    rig.link._load = broken
    rig.control.announced = "c3"
    rig.control.server.wake()
    rig.control.row("third")
    rig.control.row("third")


def test_buses_are_closed_when_they_are_no_longer_polled(rig: Rig) -> None:
    """Another configuration and the end both close what they leave, each once: a port is free for its successor."""
    rig.control.row("left")
    rig.control.row("right")
    rig.configuration = configuration("c2", "third")
    rig.control.announced = "c2"
    rig.control.server.wake()
    rig.control.row("third")
    assert [handle.closed for handle in rig.handles] == [1, 1, 0]
    rig.stop()
    assert [handle.closed for handle in rig.handles] == [1, 1, 1]


def test_what_happens_reaches_control_with_its_numbers(rig: Rig) -> None:
    """Events go out in letters, again after a connection without an acknowledgement, and never after one."""
    rig.happening.append("one")
    first = rig.control.letter()
    assert [row[2:] for row in first.pop("rows")] == [["scanned", {"label": "one"}]]
    assert first == {"kind": "events", "run": first["run"], "after": 0, "first": 1, "body": first["body"]}
    rig.control.server.stop()
    rig.happening.append("two")
    rig.control.start()
    again = rig.control.letter()
    assert (again["first"], again["rows"][0][3]) == (1, {"label": "one"})
    rig.control.acknowledge = True
    rig.control.server.stop()
    rig.control.start()
    eventually(lambda: rig.link._mailbox._acknowledged == 2)
    rig.control.server.stop()
    rig.control.start()
    rig.happening.append("three")
    third = rig.control.letter()
    while third["first"] < 3:  # of an earlier connection
        third = rig.control.letter()
    assert (third["after"], [row[3]["label"] for row in third["rows"]]) == (2, ["three"])


def test_a_stop_wakes_what_only_waits(rig: Rig) -> None:
    """A device that waits for its next message does not hold up a new configuration, nor is its silence a failure."""
    rig.control.row("left")
    rig.configuration = configuration("c2", "third", kind="mqtt")
    rig.hanging.add("third")
    rig.freed.clear()
    rig.control.announced = "c2"
    rig.control.server.wake()
    assert rig.waiting.wait(5.0)
    rig.configuration = configuration("c3", "fourth")
    rig.control.announced = "c3"
    began_s = time.monotonic()
    rig.control.server.wake()
    while (row := rig.control.next_row())[0] != "fourth":
        assert row[0] != "third"
    assert time.monotonic() - began_s < STOP_S


def test_rows_are_as_documented() -> None:
    """docs/local-protocol.md, Samples."""
    assert sample_row(Outcome("dht", 5, (Sample("temperature", 1.5),))) == ["dht", 5, {"temperature": 1.5}]
    bad = Outcome("dht", 5, None, Reason.BAD_TIMEOUT, "late")
    assert sample_row(bad) == ["dht", 5, None, "BadTimeout", "late"]
    mixed = (
        Sample("door", True),
        Sample.missing("core", Reason.BAD_SENSOR_FAILURE, "open probe"),
        Sample("air", 9.5, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, "jumps"),
    )
    assert sample_row(Outcome("oven", 5, mixed)) == [
        "oven",
        5,
        {
            "door": True,
            "core": [None, "BadSensorFailure", "open probe"],
            "air": [9.5, "UncertainSensorNotAccurate", "jumps"],
        },
    ]


def test_a_bus_on_which_nothing_changed_is_not_disturbed(rig: Rig) -> None:
    """A reload that changes one bus neither closes another nor loses what happens there meanwhile."""
    rig.control.row("left")
    rig.configuration = two_buses("c2", "third")
    rig.control.announced = "c2"
    rig.control.server.wake()
    rig.control.row("third")
    rig.control.row("other")
    kept = rig.handles[-1]
    rig.configuration = two_buses("c3", "fourth")
    rig.control.announced = "c3"
    rig.control.server.wake()
    rig.control.row("fourth")
    rig.control.row("other")
    assert kept.closed == 0
    rig.stop()
    assert [handle.closed for handle in rig.handles] == [1] * len(rig.handles)


def two_buses(digest: str, name: str) -> Configuration:
    """One device on the wire `wire`, and one on `usb`, whose bus is opened last."""
    first = configuration(digest, name)
    (device,) = (each for each in first.devices if each.process == "field")
    other = dataclasses.replace(device, name="other", bus="usb", options={"name": "other"})
    buses = (*first.buses, Bus("usb", "evdev"))
    return dataclasses.replace(first, buses=buses, devices=(*first.devices, other))


def test_fifty_reloads_leave_no_thread_and_no_descriptor(rig: Rig) -> None:
    """Field may be reloaded as often as somebody edits the site file."""
    rig.control.row("left")
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for number in range(50):
        rig.configuration = configuration(f"r{number}", "left", "right")
        rig.link._polling.follow(configuration(f"x{number}", "left", f"d{number}"))
        rig.link._polling.follow(rig.configuration)
    eventually(lambda: threading.active_count() <= threads)
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    rig.control.row("left")


def test_what_waited_for_control_goes_out_in_frames_that_fit(rig: Rig) -> None:
    """A thousand polls of a device with many channels are more than a frame may hold; none ends the process."""
    wide = tuple(Sample(f"channel_{number}", number / 7, Reason.GOOD) for number in range(100))
    rig.control.server.stop()
    rig.link._outcomes.extend(Outcome("wide", 10**12 + number, wide) for number in range(1000))
    rig.control.start()
    assert rig.control.row("wide", lambda row: row[1] == 10**12 + 900)[2]["channel_7"] == 1.0
