"""The command line of a simulated machine: what each word does to its wires and to what its parts sense."""

import difflib
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from fake_hw.faults import BUS_FAULTS, Condition
from fake_hw.machine import Machine
from fake_hw.scenario import Scenario, read_scenario

Answer = dict[str, Any]
Verb = Callable[[list[str]], str | Answer]
_LOG_DEFAULT, _LOG_MAX = 20, 1000


class Wrong(ValueError):
    """A command line that means nothing; the text says what would."""


class World(Protocol):
    """What is true around the machine: quantities by name, which a command may move or hold."""

    def names(self) -> Sequence[str]:
        """Every quantity."""
        ...

    def read(self, name: str) -> float:
        """Its true value."""
        ...

    def write(self, name: str, value: float) -> None:
        """Move it; physics go on from there."""
        ...

    def hold(self, name: str, value: float | None) -> None:
        """Keep it there, or let it go."""
        ...

    def state(self) -> Answer:
        """What `status` tells besides the quantities."""
        ...


class Commands:
    """Executes one line; never raises for what a person types. more: verbs that only this world has."""

    def __init__(self, machine: Machine, world: World, more: Mapping[str, Verb]) -> None:
        self._machine = machine
        self._world = world
        self._played = 0  # counts scenarios: the steps of an earlier one are not carried out
        self._verbs: dict[str, Verb] = {
            **more,
            "unplug": self._unplug,
            "plug": self._plug,
            "fault": self._fault,
            "set": self._set,
            "hold": self._hold,
            "play": self._play,
            "levels": self._levels,
            "log": self._log,
            "status": self._status,
            "devices": self._devices,
            "help": self._help,
            "stop": self._stop,
        }

    def execute(self, text: str) -> Answer:
        """The answer: `ok`, `message`, and for queries their data. Everything has reached the wires by then."""
        words = text.split()
        try:
            if not words:
                raise Wrong(f"nothing to do; commands: {', '.join(self._verbs)}")
            verb = self._verbs[choose(words[0], self._verbs, "command")]
            answer = verb(words[1:])
        except ValueError as error:
            return {"ok": False, "message": str(error)}
        self._machine.changed()
        if isinstance(answer, str):
            answer = {"message": answer}
        return {"ok": True, **answer}

    def play(self, path: str, speed: float = 1.0) -> Scenario:
        """Carry out a scenario's steps at their times; it replaces one that is being played. Raises ValueError."""
        scenario = read_scenario(path, self._verbs)
        self._played += 1
        number = self._played
        for step in scenario.steps:
            self._machine.loop.after(step.at_s / speed, functools.partial(self._step, number, step.command))
        return scenario

    def _step(self, number: int, text: str) -> None:
        if number != self._played:
            return
        answer = self.execute(text)
        print(f"scenario: {text}: {answer['message']}", flush=True)

    def _unplug(self, words: list[str]) -> str:
        condition = self._device(words, "unplug")
        condition.plugged = False
        return f"{condition.name} is unplugged"

    def _plug(self, words: list[str]) -> str:
        condition = self._device(words, "plug")
        condition.plugged = True
        return f"{condition.name} is plugged in"

    def _fault(self, words: list[str]) -> str:
        if len(words) not in {2, 4} or (len(words) == 4 and words[2] != "for"):
            raise Wrong("usage: fault DEVICE KIND [for SECONDS], or fault DEVICE none")
        own, kind = self._machine.conditions[choose(words[0], self._machine.conditions, "device")], words[1]
        bearer = _bearer(own, kind)
        if kind == "none":
            own.heal()
            bearer.heal()
            return f"{own.name} is healthy"
        seconds = number(words[3], low=0.0) if len(words) == 4 else math.inf
        bearer.inflict(kind, seconds)
        where = "" if bearer is own else f" (of {bearer.name}, so of everything on it)"
        return f"{own.name}: {kind}{where}" + (f" for {seconds:g} s" if len(words) == 4 else "")

    def _set(self, words: list[str]) -> str:
        name, value = self._quantity(words, "set")
        self._world.write(name, number(value))
        return f"{name} = {value}"

    def _hold(self, words: list[str]) -> str:
        name, value = self._quantity(words, "hold")
        if value == "none":
            self._world.hold(name, None)
            return f"{name} follows the physics again"
        self._world.hold(name, number(value))
        return f"{name} stays at {value}"

    def _play(self, words: list[str]) -> str:
        if len(words) != 1:
            raise Wrong("usage: play FILE, or play none")
        if words[0] == "none":
            self._played += 1
            return "no scenario is played any more"
        scenario = self.play(words[0])
        return f"playing {scenario.title!r}: {len(scenario.steps)} steps in {scenario.steps[-1].at_s:g} s"

    def _levels(self, words: list[str]) -> Answer:
        none(words, "levels")
        lines = self._machine.lines
        levels = {f"GPIO{line}": lines.level(line) for line in lines.wired()}
        return {"message": " ".join(f"{name}={level}" for name, level in levels.items()), "levels": levels}

    def _log(self, words: list[str]) -> Answer:
        if len(words) > 1:
            raise Wrong("usage: log [N]")
        count = int(number(words[0], low=1.0, high=_LOG_MAX)) if words else _LOG_DEFAULT
        entries = list(self._machine.log.recent)[-count:]
        return {"message": f"the last {len(entries)} transitions", "log": entries}

    def _status(self, words: list[str]) -> Answer:
        none(words, "status")
        values = {name: round(self._world.read(name), 3) for name in self._world.names()}
        state = {"quantities": values, **self._world.state()}
        return {"message": " ".join(f"{name}={value:g}" for name, value in values.items()), "status": state}

    def _devices(self, words: list[str]) -> Answer:
        none(words, "devices")
        conditions = self._machine.conditions.values()
        devices = {
            each.name: {"plugged": each.plugged, "fault": each.fault, "faults": sorted(each.kinds)}
            for each in conditions
        }
        return {"message": " ".join(devices), "devices": devices}

    def _help(self, _: list[str]) -> str:
        return f"commands: {', '.join(self._verbs)}; see docs/simulation.md"

    def _stop(self, words: list[str]) -> str:
        none(words, "stop")
        self._machine.loop.after(0.05, self._machine.loop.stop)  # so that this answer still leaves
        return "the simulator ends"

    def _device(self, words: list[str], verb: str) -> Condition:
        if len(words) != 1:
            raise Wrong(f"usage: {verb} DEVICE")
        return self._machine.conditions[choose(words[0], self._machine.conditions, "device")]

    def _quantity(self, words: list[str], verb: str) -> tuple[str, str]:
        names = self._world.names()
        if len(words) != 2:
            raise Wrong(f"usage: {verb} QUANTITY VALUE; quantities: {', '.join(names)}")
        return choose(words[0], names, "quantity"), words[1]


def choose(word: str, known: Any, what: str) -> str:
    """The word when it is known. Raises Wrong with the nearest known one."""
    if word in known:
        return word
    near = difflib.get_close_matches(word, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise Wrong(f"unknown {what} {word!r}; {hint}")


def one_of(words: list[str], allowed: tuple[str, ...], usage: str) -> str:
    """The one word there is. Raises Wrong with the allowed ones."""
    if len(words) != 1 or words[0] not in allowed:
        raise Wrong(f"usage: {usage} {'|'.join(allowed)}")
    return words[0]


def none(words: list[str], verb: str) -> None:
    """Nothing more was typed. Raises Wrong."""
    if words:
        raise Wrong(f"{verb} takes no words; got {' '.join(words)!r}")


def number(word: str, low: float = -1e9, high: float = 1e9) -> float:
    """The number. Raises Wrong when it is none, or outside."""
    try:
        value = float(word)
    except ValueError:
        raise Wrong(f"{word!r} is not a number") from None
    if not low <= value <= high:
        raise Wrong(f"{word} is outside {low:g} to {high:g}")
    return value


def _bearer(own: Condition, kind: str) -> Condition:
    """Who has the fault: a bus fault of a transmitter is its converter's; `none` heals both."""
    carrier = own.carrier
    if carrier is not None and (kind == "none" or (kind in BUS_FAULTS and kind not in own.kinds)):
        return carrier
    return own
