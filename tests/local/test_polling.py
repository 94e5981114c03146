"""Polling a bus: exactly one outcome per poll, whatever the devices do."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.driver import Driver
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from gateway.core.event import Event, EventClass
from gateway.core.quality import Reason
from gateway.core.reading import Occurrence, Sample
from gateway.local.clock import SystemClock
from gateway.local.polling import BusWorker, Outcome, Overseer, PolledDevice
from tests.control.fakes import SECOND, FakeClock, ScriptedDriver

Behaviour = Callable[[], float]


class Bench:
    """One bus worker in fake time: `run` polls what is due while the overseer's check runs every 50 ms."""

    def __init__(self, devices: dict[str, tuple[float, float]], behaviours: dict[str, Behaviour]) -> None:
        self.clock = FakeClock()
        self.outcomes: list[Outcome] = []
        self.behaviours = behaviours
        self.opened: Counter[str] = Counter()
        self.touched: Counter[str] = Counter()
        self.reopened = 0
        polled = [
            PolledDevice(name, round(every_s * SECOND), round(deadline_s * SECOND), self._opening(name))
            for name, (every_s, deadline_s) in devices.items()
        ]
        self.worker = BusWorker("sensors", polled, self.outcomes.append, self.clock, self._reopen)
        self.worker.alive = lambda: True  # type: ignore[method-assign]  # this test is the worker's thread
        self.worker._thread = threading.current_thread()
        self.clock.on_tick = self.worker.check

    def _opening(self, name: str) -> Callable[[], Driver]:
        def opened() -> Driver:
            self.opened[name] += 1

            def behave() -> float:
                self.touched[name] += 1
                return self.behaviours[name]()

            return ScriptedDriver(behave)

        return opened

    def _reopen(self) -> None:
        self.reopened += 1

    def run(self, seconds: float) -> None:
        end_ns = self.clock.time_ns + round(seconds * SECOND)
        while self.clock.time_ns < end_ns:
            wait_ns = min(self.worker._schedule.next_ns, end_ns) - self.clock.time_ns
            if wait_ns > 0:
                self.clock.advance(wait_ns / SECOND)
            else:
                self.worker.serve(self.clock.time_ns)

    def of(self, name: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.device == name]

    def takes(self, name: str, seconds: float) -> Behaviour:
        def slow() -> float:
            self.clock.advance(seconds)
            return 20.0

        return slow


def good() -> float:
    return 20.0


def fails() -> float:
    raise NotConnected("nothing answers at 0x44")


def crashes() -> float:
    raise ZeroDivisionError("a driver's bug")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_poll_has_exactly_one_outcome(data: st.DataObject) -> None:
    """Good, failing, crashing, slow and hanging reads in any order: one outcome per nominal poll of every device."""
    devices = {"a": (0.2, 0.1), "b": (0.5, 0.1), "c": (1.0, 0.1)}
    bench = Bench(devices, {})
    choices: list[Behaviour] = [good, fails, crashes, bench.takes("x", 0.01), bench.takes("x", 0.35)]
    choices.append(bench.takes("x", 2.6))

    def behave() -> float:
        return data.draw(st.sampled_from(choices))()

    bench.behaviours.update(dict.fromkeys(devices, behave))
    began_ns = bench.clock.time_ns
    bench.run(6.0)
    elapsed_s = (bench.clock.time_ns - began_ns) / SECOND  # a hang may outlast the 6 s
    for name, (every_s, _) in devices.items():
        # the first turn is at once, the second up to a period late, the last may be open
        assert -1.1 < len(bench.of(name)) - elapsed_s / every_s < 1.1, name
        times = [outcome.time_ns for outcome in bench.of(name)]
        assert times == sorted(times)
        assert all((outcome.samples is None) == outcome.reason.value.startswith("Bad") for outcome in bench.of(name))


def test_failure_gives_reason_and_words() -> None:
    """A driver's error becomes the outcome's reason and detail."""
    bench = Bench({"a": (1.0, 0.5)}, {"a": fails})
    bench.run(0.5)
    (outcome,) = bench.of("a")
    assert outcome.samples is None
    assert outcome.reason is Reason.BAD_NOT_CONNECTED
    assert "0x44" in outcome.detail


def test_a_crashing_driver_is_bad_internal_error_and_the_worker_goes_on() -> None:
    """An exception that is no DeviceError is told as such; neighbours and later polls are not concerned."""
    turns = iter([crashes, good, good])

    def behave() -> float:
        return next(turns)()

    bench = Bench({"a": (1.0, 0.5), "b": (1.0, 0.5)}, {"a": behave, "b": good})
    bench.run(2.5)
    assert [outcome.reason for outcome in bench.of("a")] == [Reason.BAD_INTERNAL_ERROR, Reason.GOOD, Reason.GOOD]
    assert all(outcome.samples for outcome in bench.of("b"))


def test_a_hanging_read_is_closed_at_its_deadline_and_its_late_result_discarded() -> None:
    """First to close the poll wins: BadTimeout from the overseer, nothing more when the read returns."""
    bench = Bench({"a": (10.0, 0.3)}, {})
    bench.behaviours["a"] = bench.takes("a", 4.0)
    began_ns = bench.clock.time_ns
    bench.run(5.0)
    (outcome,) = bench.of("a")
    assert outcome.reason is Reason.BAD_TIMEOUT
    assert 0.3 <= (outcome.time_ns - began_ns) / SECOND <= 0.35 + 1e-9


def test_a_hanging_device_silences_its_neighbours_only_in_name() -> None:
    """While a read hangs its neighbours' polls are BadNoCommunication at their own rate, and good again after it."""
    bench = Bench({"hangs": (1.0, 0.2), "b": (0.5, 0.2)}, {"b": good})
    bench.behaviours["hangs"] = bench.takes("hangs", 3.2)
    bench.run(3.0)
    reasons = [outcome.reason for outcome in bench.of("b")]
    assert reasons[0] is Reason.BAD_NO_COMMUNICATION
    assert "hangs" in bench.of("b")[-1].detail
    assert 6 <= len(reasons) <= 7
    bench.behaviours["hangs"] = good
    bench.run(2.0)
    assert bench.of("b")[-1].samples


def test_a_dead_device_leaves_its_neighbours_rate_alone() -> None:
    """A slow failure is rested: one outcome per nominal poll, few touches of the bus, a punctual neighbour."""
    bench = Bench({"dead": (0.5, 1.0), "b": (0.5, 1.0)}, {"b": good})

    def slowly() -> float:
        bench.clock.advance(0.4)
        raise NotConnected("gone")

    bench.behaviours["dead"] = slowly
    bench.run(30.0)
    assert 59 <= len(bench.of("dead")) <= 61
    assert bench.touched["dead"] <= 9
    good_ones = [outcome for outcome in bench.of("b") if outcome.samples]
    assert len(good_ones) >= 59
    assert all("gone" in outcome.detail for outcome in bench.of("dead"))


def test_a_device_that_comes_back_is_polled_at_its_rate_again() -> None:
    """Recovery without a restart; the driver is opened afresh, because the part may have been exchanged."""
    bench = Bench({"a": (0.5, 0.2)}, {"a": fails})
    bench.run(4.0)
    bench.behaviours["a"] = good
    bench.run(8.0)
    assert all(outcome.samples for outcome in bench.of("a")[-4:])
    assert bench.opened["a"] == bench.touched["a"] - len([o for o in bench.of("a") if o.samples]) + 1


def test_one_disturbed_answer_does_not_cost_what_a_driver_has_learnt() -> None:
    """After a first failed read the same driver goes on; a second one in a row, or an absent part, opens it afresh."""

    def disturbed() -> float:
        raise InvalidData("noise")

    bench = Bench({"a": (0.5, 0.2)}, {"a": good})
    bench.run(1.9)
    bench.behaviours["a"] = disturbed
    bench.run(0.5)
    bench.behaviours["a"] = good
    bench.run(1.0)
    assert bench.opened["a"] == 1
    bench.behaviours["a"] = disturbed
    bench.run(1.0)
    bench.behaviours["a"] = good
    bench.run(3.0)
    assert bench.opened["a"] == 2
    bench.behaviours["a"] = fails
    bench.run(0.5)
    bench.behaviours["a"] = good
    bench.run(3.0)
    assert bench.opened["a"] == 3


def test_loss_and_return_are_one_log_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """A long outage does not fill the log."""
    bench = Bench({"a": (0.5, 0.2)}, {"a": fails})
    with caplog.at_level(logging.INFO):
        bench.run(20.0)
        bench.behaviours["a"] = good
        bench.run(70.0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "lost" in lines[0]
    assert "answers again" in lines[1]


def test_a_bus_where_nothing_answers_is_opened_afresh() -> None:
    """After 10 s without any answer the bus is closed, so that an exchanged adapter is found."""
    bench = Bench({"a": (0.5, 0.2), "b": (0.5, 0.2)}, {"a": fails, "b": fails})
    bench.run(9.0)
    assert bench.reopened == 0
    assert bench.worker.dead
    bench.run(30.0)
    assert bench.reopened >= 1


def test_a_bus_with_one_living_device_is_left_alone() -> None:
    """A dead neighbour is no reason to close a bus that works."""
    bench = Bench({"a": (0.5, 0.2), "b": (0.5, 0.2)}, {"a": fails, "b": good})
    bench.run(60.0)
    assert bench.reopened == 0
    assert not bench.worker.dead


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the death is the test
def test_a_worker_thread_that_died_is_replaced() -> None:
    """The overseer starts a new thread, and the poll the old one left open still gets its outcome."""
    died, alive_again = threading.Event(), threading.Event()
    outcomes: list[Outcome] = []

    def behave() -> float:
        if not died.is_set():
            died.set()
            raise SystemExit  # ends a thread, and is no Exception
        alive_again.set()
        return 20.0

    polled = PolledDevice("a", SECOND // 50, SECOND, lambda: ScriptedDriver(behave))
    worker = BusWorker("sensors", [polled], outcomes.append, SystemClock())
    worker.start()
    assert died.wait(5.0)
    worker._thread.join(5.0)
    overseer = Overseer(SystemClock(), [worker.check])
    overseer.start()
    assert alive_again.wait(5.0)
    overseer.stop()
    assert worker.stop(5.0)
    assert outcomes[0].reason is Reason.BAD_INTERNAL_ERROR
    assert "ended" in outcomes[0].detail


class Slow:
    """A reader whose answer comes when it is let go."""

    def __init__(self, *answers: list[Sample | Occurrence] | DeviceTimeout) -> None:
        self.answers = list(answers)
        self.asked, self.go_on = threading.Event(), threading.Event()

    def read(self) -> list[Sample | Occurrence]:
        self.asked.set()
        assert self.go_on.wait(5.0)
        answer = self.answers.pop(0)
        if isinstance(answer, DeviceTimeout):
            raise answer
        return answer


def test_what_happened_outlives_the_deadline() -> None:
    """A scan that comes too late to be an outcome is still an event; the poll stays what it was."""
    clock, outcomes, events = FakeClock(), list[Outcome](), list[Event]()
    reader = Slow([Sample("scans", 1.0), Occurrence("scanned", {"gtin": "1"})])
    polled = PolledDevice("scanner", SECOND, SECOND, lambda: reader)
    worker = BusWorker("usb", [polled], outcomes.append, clock, happened=events.append)
    thread = threading.Thread(target=worker.serve, args=(clock.now_ns(),))
    thread.start()
    assert reader.asked.wait(5.0)
    clock.advance(2.0)
    worker.alive = lambda: True  # type: ignore[method-assign]  # this test is the worker's thread
    worker._thread = thread
    worker.check(clock.now_ns())
    reader.go_on.set()
    thread.join(5.0)
    assert {outcome.reason for outcome in outcomes} == {Reason.BAD_TIMEOUT}
    assert [(event.kind, event.subject, event.what, event.data) for event in events] == [
        (EventClass.DEVICE, "scanner", "scanned", {"gtin": "1"})
    ]


@pytest.mark.parametrize(
    "occurrence",
    [
        Occurrence("scanned", {"x": float("nan")}),
        Occurrence("scanned", {"x": object()}),  # type: ignore[dict-item]  # a driver of others without types
        Occurrence("scanned", {("x",): 1}),  # type: ignore[dict-item]  # likewise
        Occurrence("scanned", {"x": 10**400}),
        Occurrence("scanned", {"x": "\ud800"}),
        Occurrence("scanned", {"x": "y" * 5000}),
        Occurrence("Not a verb", {}),
    ],
)
def test_an_occurrence_that_no_record_can_hold_takes_nothing_with_it(
    occurrence: Occurrence, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver's fault is told in the log; what was measured and what happened beside it is kept."""
    outcomes, events = list[Outcome](), list[Event]()
    reader = Slow([Sample("scans", 1.0), occurrence, Occurrence("scanned", {"gtin": "1"})])
    reader.go_on.set()
    polled = PolledDevice("scanner", SECOND, SECOND, lambda: reader)
    worker = BusWorker("usb", [polled], outcomes.append, FakeClock(), happened=events.append)
    worker.serve(FakeClock().now_ns())
    assert [event.data for event in events] == [{"gtin": "1"}]
    assert outcomes[0].samples == (Sample("scans", 1.0),)
    assert "report this as a fault of its driver" in caplog.text


def test_a_device_that_is_waited_for_says_when_it_spoke() -> None:
    """The outcome has the time of the measurement where the sample knows it."""
    clock, outcomes = FakeClock(), list[Outcome]()
    reader = Slow([Sample("temperature", 1.0, time_ns=4711)])
    reader.go_on.set()
    worker = BusWorker("broker", [PolledDevice("a", SECOND, SECOND, lambda: reader)], outcomes.append, clock)
    worker.serve(clock.now_ns())
    assert outcomes[0].time_ns == 4711


def test_a_read_that_a_stop_breaks_off_is_no_failure() -> None:
    """Whoever stops a worker wakes its read; that is not the device's silence. The end is told, drivers are closed."""
    outcomes, ended = list[Outcome](), threading.Event()
    reader = Slow(DeviceTimeout("woken"))
    polled = PolledDevice("a", SECOND // 100, 60 * SECOND, lambda: reader)
    worker = BusWorker("broker", [polled], outcomes.append, SystemClock(), ended=ended.set)
    worker.start()
    assert reader.asked.wait(5.0)
    worker.stop()
    reader.go_on.set()
    assert worker.stop(5.0)
    assert ended.is_set()
    assert outcomes == []


def test_a_failing_check_hinders_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """The overseer logs a check that raises, once, and goes on with the rest."""
    seen: list[int] = []

    def broken(_now_ns: int) -> None:
        raise InvalidData("bug")

    overseer = Overseer(FakeClock(), [broken, seen.append])
    overseer.look(1)
    overseer.look(2)
    assert seen == [1, 2]
    assert len(caplog.records) == 1
