"""Due times and the rest of dead devices."""

import itertools

from gateway.local.schedule import REST_LIMIT_NS, Breaker, Schedule

MS = 1_000_000


def test_each_device_keeps_its_own_rhythm() -> None:
    """Devices of different rates share a bus without drift, all asked at once at the start, then at places apart."""
    schedule = Schedule({"fast": 200 * MS, "slow": 1000 * MS}, 0)
    turns: dict[str, list[int]] = {"fast": [], "slow": []}
    for now in range(0, 2001 * MS, MS):
        while (name := schedule.take(now)) is not None:
            turns[name].append(now // MS)
    assert turns == {"fast": list(range(0, 2001, 200)), "slow": [0, 1500]}


def test_equal_rates_are_spread_over_the_period() -> None:
    """A hundred devices of one rate are never due together again after the start, and none waits longer than once."""
    schedule = Schedule({str(number): 1000 * MS for number in range(100)}, 0)
    turns: dict[int, list[str]] = {}
    for now in range(0, 3000 * MS, 10 * MS):
        while (name := schedule.take(now)) is not None:
            turns.setdefault(now // MS, []).append(name)
    assert len(turns[0]) == 100
    assert {len(names) for now, names in turns.items() if now} == {1}
    assert [turns[now] for now in (1000, 1990, 2000)] == [["0"], ["99"], ["0"]]


def test_no_turn_comes_sooner_than_the_period() -> None:
    """A part that must not be asked again too soon never is, whatever its place."""
    schedule = Schedule({str(number): (300 + 100 * number) * MS for number in range(7)}, 0)
    turns: dict[str, list[int]] = {}
    for now in range(0, 5000 * MS, MS):
        while (name := schedule.take(now)) is not None:
            turns.setdefault(name, []).append(now // MS)
    for name, times in turns.items():
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert min(gaps) >= 300 + 100 * int(name)
        assert set(gaps[1:]) <= {300 + 100 * int(name)}


def test_without_spreading_the_second_turn_is_a_period_later() -> None:
    """For whoever judges silence by the period."""
    schedule = Schedule({"a": 100 * MS, "b": 100 * MS}, 0, spread=False)
    assert [schedule.take(0), schedule.take(0), schedule.next_ns] == ["a", "b", 100 * MS]


def test_a_late_turn_does_not_shift_the_next() -> None:
    """The rhythm is that of the first turn, however late one is taken."""
    schedule = Schedule({"a": 100 * MS}, 0)
    assert schedule.take(30 * MS) == "a"
    assert schedule.next_ns == 100 * MS


def test_a_stall_is_not_made_up_for() -> None:
    """Turns missed in a stall are skipped: no burst afterwards."""
    schedule = Schedule({"a": 100 * MS}, 0)
    assert schedule.take(1050 * MS) == "a"
    assert schedule.take(1050 * MS) is None
    assert schedule.next_ns == 1100 * MS


def test_the_first_failure_does_not_rest_a_device() -> None:
    """One disturbed answer costs nothing but itself."""
    breaker = Breaker(100 * MS)
    breaker.failed(0)
    assert not breaker.resting(100 * MS)


def test_rest_doubles_up_to_a_minute_and_ends_with_success() -> None:
    """A dead device is asked ever less often, at least once a minute, and at its own rate once it answers."""
    breaker = Breaker(100 * MS)
    pauses = []
    now = 0
    for _ in range(14):
        breaker.failed(now)
        pauses.append((breaker.retry_ns - now) // MS)
        now = breaker.retry_ns
    assert pauses[:5] == [100, 200, 400, 800, 1600]
    assert pauses[-1] * MS == REST_LIMIT_NS
    breaker.succeeded()
    assert not breaker.resting(now)


def test_a_device_slower_than_a_minute_is_asked_at_its_own_rate() -> None:
    """The limit of a rest never makes a device faster than configured."""
    breaker = Breaker(600_000 * MS)
    for _ in range(5):
        breaker.failed(0)
    assert breaker.retry_ns == 600_000 * MS
