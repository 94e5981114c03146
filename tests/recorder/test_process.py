"""The recorder as a process of its own: killed, starved, cut off, and nothing is lost."""

import contextlib
import json
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.record import Lane, RecordClass
from gateway.core.role import Role
from gateway.local.client import Client, Connection
from gateway.local.paths import StatePaths
from gateway.recorder.store import Store
from gateway.settings import snapshot
from gateway.settings.model import Store as StoreSettings
from tests.recorder.fakes import (
    RUN,
    FakeControl,
    RecorderProcess,
    configuration,
    count_from_rows,
    event,
    eventually,
    identities,
    short_directory,
    telemetry,
)
from tests.uplink.broker import ROOT, Mosquitto, Subscriber, broker


@pytest.fixture
def state() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def control(state: Path) -> Iterator[FakeControl]:
    made = FakeControl(state).start()
    yield made
    made.stop()


@pytest.fixture
def mosquitto() -> Iterator[Mosquitto]:
    with short_directory() as path, broker(path) as made:
        yield made


def _ask(state: Path, role: Role = Role.VIEWER) -> Client:
    """A client of the recorder, as soon as it serves; a killed one's socket refuses until the next has begun."""

    def connect() -> Connection | None:
        with contextlib.suppress(ConnectionError):
            return Connection(StatePaths(state).recorder_sock, "test", role)
        return None

    connection: Connection = eventually(connect)
    return Client(connection)


def _outbox(state: Path) -> dict[str, dict[str, int]]:
    with _ask(state) as client:
        classes: dict[str, dict[str, int]] = client.query("outbox")["classes"]
        return classes


def _check_books(state: Path) -> None:
    """The accounts add up, and pending is what the rows say."""
    store = Store(StatePaths(state).database_dir, StoreSettings())
    store.open()
    for outbox in store.outboxes.values():
        assert outbox.ledger.balanced
        assert outbox.ledger.pending == count_from_rows(outbox.path, list(outbox.ledger.settled))
    store.close()


def test_killed_five_times_under_load_nothing_is_lost_or_counted_twice(
    state: Path, control: FakeControl, mosquitto: Mosquitto
) -> None:
    """kill -9 at random points: what the store holds is contiguous and single, and the subscriber hears all of it."""
    subscriber = Subscriber(mosquitto.port)
    recorder = RecorderProcess(state, configuration(mosquitto.cloud())).start()
    chance = random.Random(4)
    pause = threading.Event()
    number, events = 1, 1
    for _ in range(5):
        until = control.acknowledged[Lane.TELEMETRY] + chance.randrange(30, 400)
        while control.acknowledged[Lane.TELEMETRY] < until:
            control.add(telemetry(number, 17))
            number += 17
            if chance.random() < 0.2:
                control.add(event(events, chance.choice([RecordClass.ALARM, RecordClass.AUDIT])))
                events += 1
            pause.wait(0.005)
        recorder.kill()
        held = identities(StatePaths(state).database_dir / "outbox.db")
        assert held == [(RUN, n) for n in range(1, len(held) + 1)]
        assert len(held) >= control.acknowledged[Lane.TELEMETRY], "an acknowledged record is missing"
        recorder.start()
    control.wait_acknowledged(Lane.TELEMETRY, number - 1)
    control.wait_acknowledged(Lane.EVENTS, events - 1)
    eventually(lambda: (classes := _outbox(state)) and not any(account["pending"] for account in classes.values()))
    eventually(lambda: len({n for _, n in subscriber.numbers("tm/")}) == number - 1)
    eventually(lambda: len({n for run, n in subscriber.numbers("ev/") if run == RUN}) == events - 1)
    heard = {record for leaf in ("tm/", "ev/") for record in subscriber.numbers(leaf) if record[0] == RUN}
    assert {n for _, n in subscriber.numbers("tm/")} == set(range(1, number))
    assert {n for run, n in subscriber.numbers("ev/") if run == RUN} == set(range(1, events))
    classes = _outbox(state)
    assert classes["telemetry"]["captured"] == classes["telemetry"]["delivered"] == number - 1
    assert classes["alarm"]["captured"] + classes["audit"]["captured"] == events - 1
    assert len(heard) >= number - 1
    assert recorder.stop() == 0
    _check_books(state)
    subscriber.stop()


def test_a_broker_outage_delays_and_loses_nothing(state: Path, control: FakeControl, mosquitto: Mosquitto) -> None:
    """Records go on being kept while the broker is away; afterwards the backlog comes in order, new ones live."""
    subscriber = Subscriber(mosquitto.port)
    recorder = RecorderProcess(state, configuration(mosquitto.cloud())).start()
    control.add(telemetry(1, 10))
    eventually(lambda: len(subscriber.numbers("tm/")) == 10)
    subscriber.stop()
    mosquitto.stop()
    for number in range(11, 511, 10):
        control.add(telemetry(number, 10))
    control.wait_acknowledged(Lane.TELEMETRY, 510)
    eventually(lambda: control.health[-1]["uplink_connected"] is False and control.health[-1]["backlog"] >= 500)
    mosquitto.start()
    late = Subscriber(mosquitto.port)
    eventually(lambda: len(late.numbers("tm/backlog")) >= 500)
    assert [n for _, n in late.numbers("tm/backlog")] == list(range(11, 511))
    control.add(telemetry(511, 10))
    eventually(lambda: late.numbers("tm/live"))
    assert [n for _, n in late.numbers("tm/live")] == list(range(511, 521))
    recorder.stop()
    late.stop()


def test_the_first_reading_is_forwarded_at_once(state: Path, control: FakeControl, mosquitto: Mosquitto) -> None:
    """From a start on an empty state directory the first batch is at the broker within two seconds (target 0.5)."""
    subscriber = Subscriber(mosquitto.port)
    control.add(telemetry(1))
    recorder = RecorderProcess(state, configuration(mosquitto.cloud(), StoreSettings(commit_s=60.0))).start()
    eventually(lambda: subscriber.numbers("tm/"), within_s=2.0)
    recorder.stop()
    subscriber.stop()


def test_a_full_disk_is_told_and_heals(small_disk: Path, control: FakeControl, state: Path) -> None:
    """store_ok goes false, control keeps its ring, and with room again everything is kept, without a restart."""
    StatePaths(state).database_dir.symlink_to(small_disk)
    filler = small_disk / "filler"
    recorder = RecorderProcess(state, configuration()).start()
    control.add(telemetry(1))
    control.wait_acknowledged(Lane.TELEMETRY, 3)
    eventually(lambda: control.health and control.health[-1].get("store_ok") is True)
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 4096):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    number, pause = 4, threading.Event()
    while control.health[-1]["store_ok"]:
        control.add(telemetry(number, 1, body=random.Random(number).randbytes(60_000)))
        number += 1
        assert number < 2_000
        pause.wait(0.01)
    assert control.health[-1]["disk_ok"] is False
    filler.unlink()
    control.wait_acknowledged(Lane.TELEMETRY, number - 1, within_s=20)
    eventually(lambda: control.health[-1]["store_ok"] and control.health[-1]["disk_ok"])
    recorder.stop()
    assert [n for _, n in identities(small_disk / "outbox.db")] == list(range(1, number))


def test_it_starts_on_a_damaged_database_and_says_what_was_lost(state: Path, control: FakeControl) -> None:
    """Both files wrecked: the recorder starts, keeps, tells the salvage as SYSTEM events, and answers questions."""
    directory = StatePaths(state).database_dir
    directory.mkdir()
    (directory / "outbox.db").write_bytes(b"garbage" * 5000)
    (directory / "critical.db").write_bytes(bytes(50_000))
    recorder = RecorderProcess(state, configuration()).start()
    control.add(telemetry(1), event(1))
    control.wait_acknowledged(Lane.TELEMETRY, 3)
    control.wait_acknowledged(Lane.EVENTS, 1)

    def told() -> bool:
        with _ask(state) as client:
            return {row["data"]["lane"] for row in client.query("why", target="store")} == {"telemetry", "events"}

    eventually(told)
    recorder.stop()


def test_questions_are_answered(state: Path, control: FakeControl) -> None:
    """outbox, history, why and health answer as docs/local-protocol.md says; nothing can be commanded."""
    recorder = RecorderProcess(state, configuration()).start()
    rows = [{"d": "fridge", "m": "temperature", "t": 0, "v": None, "q": "BadTimeout"}]
    control.add(telemetry(1), telemetry(4, 1, body=json.dumps(rows, separators=(",", ":")).encode()))
    control.add(event(1), event(2), event(3, RecordClass.OUTPUT))
    control.wait_acknowledged(Lane.TELEMETRY, 4)
    control.wait_acknowledged(Lane.EVENTS, 3)
    with _ask(state) as client:
        assert client.hello["process"] == "recorder"
        outbox = client.query("outbox")
        assert outbox["classes"]["telemetry"] == {
            "captured": 4, "delivered": 0, "pending": 4, "expired": 0, "dropped": 0, "rejected": 0,
        }  # fmt: skip
        assert outbox["store"] == {"ok": True, "problem": ""}
        assert outbox["uplink"]["connected"] is False
        past_s = 10 * 365 * 86400.0
        history = client.query("history", point="fridge.temperature", since_s=past_s, limit=2)
        assert history == [
            {"point": "fridge.temperature", "value": 3, "quality": "Good", "reason": "Good",
             "time": "2026-11-23T21:40:00.021Z"},
            {"point": "fridge.temperature", "value": None, "quality": "Bad", "reason": "BadTimeout",
             "time": "2026-11-23T21:40:00.004Z"},
        ]  # fmt: skip
        assert client.query("history", point="fridge.weight") == []
        why = client.query("why", target="walkin_warm", limit=2)
        assert [(row["class"], row["data"]) for row in why] == [("output", {"number": 3}), ("alarm", {"number": 2})]
        health = client.query("health")
        assert health["control_connected"] is True
        assert health["forbidden_modules"] == []
        for wrong in ({"what": "nothing"}, {"what": "why"}, {"what": "history", "point": "a.b", "limit": -1}):
            what = wrong.pop("what")
            with pytest.raises(PermissionError):
                client.query(str(what), **wrong)
    with _ask(state, Role.OPERATOR) as client:
        answer = client.command("set", "gas_valve", value=True, for_s=5)
        assert not answer["ok"]
        assert "ask control" in answer["message"]
    recorder.stop()


def test_it_follows_a_new_configuration(state: Path, control: FakeControl, mosquitto: Mosquitto) -> None:
    """When control announces a snapshot, the recorder connects to the broker it names, and lets go of a removed one."""
    recorder = RecorderProcess(state, configuration()).start()
    eventually(lambda: control.subscriptions)
    changed = configuration(mosquitto.cloud())
    snapshot.write(StatePaths(state).snapshot, changed)
    control.announce(changed.hash)
    eventually(lambda: control.health[-1]["uplink_connected"])
    subscriber = Subscriber(mosquitto.port)
    eventually(lambda: subscriber.heard("cfg/reported"))
    assert subscriber.heard("cfg/reported")[-1].value["hash"] == changed.hash
    without = configuration()
    snapshot.write(StatePaths(state).snapshot, without)
    control.announce(without.hash)
    eventually(lambda: not control.health[-1]["uplink_connected"])
    eventually(lambda: subscriber.heard("status")[-1].value["online"] is False)
    recorder.stop()
    subscriber.stop()


def test_simulated_readings_do_not_reach_a_real_cloud(state: Path, control: FakeControl, mosquitto: Mosquitto) -> None:
    """With credentials in the configuration a simulated run is not connected, unless the site says it may."""
    real = mosquitto.cloud(username="gw", password_file="secret")
    (state / "credentials").mkdir()
    (state / "credentials" / "secret").write_text("x")
    recorder = RecorderProcess(state, configuration(real)).start()
    eventually(lambda: control.subscriptions)
    with _ask(state) as client:
        assert "allow_sim_with_cloud" in client.query("outbox")["uplink"]["problem"]
    recorder.stop()
    recorder = RecorderProcess(state, configuration(real, allow_sim_with_cloud=True)).start()
    eventually(lambda: control.health[-1]["uplink_connected"])
    recorder.stop()


def test_a_cloud_command_reaches_control_and_comes_back(
    state: Path, control: FakeControl, mosquitto: Mosquitto
) -> None:
    """Through broker, recorder and local protocol to control as `cloud:<requester>`, and the answer back."""
    recorder = RecorderProcess(state, configuration(mosquitto.cloud(commands=True))).start()
    eventually(lambda: control.health and control.health[-1]["uplink_connected"])
    done = subprocess.run(
        ["mosquitto_rr", "-V", "5", "-p", str(mosquitto.port), "-W", "5", "-t", f"{ROOT}/cmd/gas_valve",
         "-e", f"{ROOT}/rsp/phone", "-m", '{"value":"off","for_s":60,"id":"7"}'],
        capture_output=True, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert (answer["id"], answer["ok"], answer["message"]) == ("7", True, "done")
    (command,) = control.commands
    assert (command.target, command.value, command.for_s, command.who) == ("gas_valve", False, 60.0, "cloud:phone")
    recorder.stop()


def test_it_stays_small_and_imports_nothing_it_must_not(
    state: Path, control: FakeControl, mosquitto: Mosquitto
) -> None:
    """With paho, TLS and a hundred thousand readings gone through, it is within 30 MB; sqlite-utils was never in it."""
    subscriber = Subscriber(mosquitto.port, f"{ROOT}/st/#")
    recorder = RecorderProcess(state, configuration(mosquitto.cloud())).start()
    for number in range(1, 100_001, 200):
        control.add(telemetry(number, 200))
    control.wait_acknowledged(Lane.TELEMETRY, 100_000, within_s=20)
    with _ask(state) as client:
        assert client.query("health")["forbidden_modules"] == []
    assert recorder.process is not None
    rollup = Path(f"/proc/{recorder.process.pid}/smaps_rollup").read_text()
    pss_kb = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert pss_kb < 30 * 1024
    recorder.stop()
    subscriber.stop()


def test_a_stopped_recorder_goes_on_where_it_was(state: Path, control: FakeControl) -> None:
    """SIGSTOP for a while, then SIGCONT: nothing is missing, and only one recorder may run on a state directory."""
    recorder = RecorderProcess(state, configuration()).start()
    control.add(telemetry(1))
    control.wait_acknowledged(Lane.TELEMETRY, 3)
    assert recorder.process is not None
    recorder.process.send_signal(signal.SIGSTOP)
    control.add(*(telemetry(n, 3) for n in range(4, 3000, 3)))
    second = RecorderProcess(state, configuration()).start()
    assert second.process is not None
    assert second.process.wait(10) == 1
    assert "gateway recorder:" in second.log.read_text()
    recorder.process.send_signal(signal.SIGCONT)
    control.wait_acknowledged(Lane.TELEMETRY, 3000)
    assert recorder.stop() == 0
    _check_books(state)
