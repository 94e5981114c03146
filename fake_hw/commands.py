"""The simulator's command line: what each word does to the kitchen."""

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fake_hw import kitchen as wiring
from fake_hw.faults import BUS_FAULTS, Condition
from fake_hw.physics.kitchen import DOORS, QUANTITIES, read, write

if TYPE_CHECKING:
    from fake_hw.simulator import Simulator

Answer = dict[str, Any]
_LOG_DEFAULT, _LOG_MAX = 20, 1000


class Wrong(ValueError):
    """A command line that means nothing; the text says what would."""


class Commands:
    """Executes one line; never raises for what a person types."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self._kitchen = simulator.kitchen
        self._verbs: dict[str, Callable[[list[str]], str | Answer]] = {
            "gas_leak": self._gas_leak,
            "cook": self._cook,
            "people": self._people,
            "door": self._door,
            "estop": self._estop,
            "suppression": self._suppression,
            "fan": self._fan,
            "defrost": self._defrost,
            "unplug": self._unplug,
            "plug": self._plug,
            "fault": self._fault,
            "set": self._set,
            "hold": self._hold,
            "speed": self._speed,
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
            verb = self._verbs[_choose(words[0], self._verbs, "command")]
            answer = verb(words[1:])
        except ValueError as error:
            return {"ok": False, "message": str(error)}
        self._simulator.apply()
        if isinstance(answer, str):
            answer = {"message": answer}
        return {"ok": True, **answer}

    def _gas_leak(self, words: list[str]) -> str:
        state = _one_of(words, ("on", "upstream", "off"), "gas_leak")
        gas = self._kitchen.gas
        gas.leak = {"on": "line", "upstream": "upstream", "off": ""}[state]
        if state == "on" and not gas.is_open:
            return "the line behind the gas valve leaks, but the valve is closed: nothing flows until it opens"
        return {"on": "gas leaks behind the valve", "upstream": "gas leaks before the valve", "off": "no leak"}[state]

    def _cook(self, words: list[str]) -> str:
        self._kitchen.cooks.cooking = _one_of(words, ("on", "off"), "cook") == "on"
        return f"cooking {words[0]}"

    def _people(self, words: list[str]) -> str:
        self._kitchen.cooks.busy = _one_of(words, ("on", "off"), "people") == "on"
        return f"people {words[0]}"

    def _door(self, words: list[str]) -> str:
        if len(words) != 2:
            raise Wrong(f"usage: door {'|'.join(DOORS)} open|close")
        door = _choose(words[0], DOORS, "door")
        state = _one_of(words[1:], ("open", "close"), f"door {door}")
        self._kitchen.set_door(door, state == "open")
        return f"{door} door: {state}"

    def _estop(self, words: list[str]) -> str:
        self._kitchen.estop_pressed = _one_of(words, ("press", "release"), "estop") == "press"
        return f"emergency stop: {words[0]}"

    def _suppression(self, words: list[str]) -> str:
        self._kitchen.suppression_discharged = _one_of(words, ("discharge", "restore"), "suppression") == "discharge"
        return f"fire suppression: {words[0]}"

    def _fan(self, words: list[str]) -> str:
        self._kitchen.hood.broken = _one_of(words, ("fail", "repair"), "fan") == "fail"
        return f"hood fan: {words[0]}"

    def _defrost(self, words: list[str]) -> str:
        _none(words, "defrost")
        self._kitchen.freezer.defrost()
        return "the freezer defrosts"

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
        name, kind = _choose(words[0], self._simulator.conditions, "device"), words[1]
        condition = self._bearer(name, kind)
        if kind == "none":
            self._simulator.conditions[name].heal()
            condition.heal()
            return f"{name} is healthy"
        seconds = _number(words[3], low=0.0) if len(words) == 4 else float("inf")
        condition.inflict(kind, seconds)
        where = "" if condition.name == name else f" (of {condition.name}, so of everything on it)"
        return f"{name}: {kind}{where}" + (f" for {seconds:g} s" if len(words) == 4 else "")

    def _bearer(self, name: str, kind: str) -> Condition:
        """Who has the fault: a bus fault of a transmitter is its converter's; `none` heals both."""
        conditions = self._simulator.conditions
        own = conditions[name]
        on_adc = name in {each.name for each in wiring.TRANSMITTERS}
        if on_adc and (kind == "none" or (kind in BUS_FAULTS and kind not in own.kinds)):
            return conditions[wiring.ADC]
        return own

    def _set(self, words: list[str]) -> str:
        name, value = _quantity(words, "set")
        write(self._kitchen, name, _number(value))
        return f"{name} = {value}"

    def _hold(self, words: list[str]) -> str:
        name, value = _quantity(words, "hold")
        if value == "none":
            self._kitchen.held.pop(name, None)
            return f"{name} follows the physics again"
        self._kitchen.held[name] = _number(value)
        write(self._kitchen, name, self._kitchen.held[name])
        return f"{name} stays at {value}"

    def _speed(self, words: list[str]) -> str:
        if len(words) != 1:
            raise Wrong("usage: speed FACTOR")
        self._simulator.speed = _number(words[0], low=0.0, high=1000.0)
        return f"the kitchen runs {self._simulator.speed:g} times as fast as the clock"

    def _levels(self, words: list[str]) -> Answer:
        _none(words, "levels")
        lines = self._simulator.lines
        wired = sorted([*(each.line for each in wiring.CONTACTS), *(each.line for each in wiring.RELAYS)])
        levels = {f"GPIO{line}": lines.level(line) for line in wired}
        return {"message": " ".join(f"{name}={level}" for name, level in levels.items()), "levels": levels}

    def _log(self, words: list[str]) -> Answer:
        if len(words) > 1:
            raise Wrong("usage: log [N]")
        count = int(_number(words[0], low=1.0, high=_LOG_MAX)) if words else _LOG_DEFAULT
        entries = list(self._simulator.log.recent)[-count:]
        return {"message": f"the last {len(entries)} transitions", "log": entries}

    def _status(self, words: list[str]) -> Answer:
        _none(words, "status")
        values = {name: round(read(self._kitchen, name), 3) for name in QUANTITIES}
        state = {
            "quantities": values,
            "energised": sorted(self._simulator.energised()),
            "gas_leak": self._kitchen.gas.leak or "off",
            "cooking": self._kitchen.cooks.cooking,
            "held": dict(self._kitchen.held),
            "time_s": round(self._kitchen.time_s, 3),
        }
        return {"message": " ".join(f"{name}={value:g}" for name, value in values.items()), "status": state}

    def _devices(self, words: list[str]) -> Answer:
        _none(words, "devices")
        conditions = self._simulator.conditions.values()
        devices = {
            each.name: {"plugged": each.plugged, "fault": each.fault, "faults": sorted(each.kinds)}
            for each in conditions
        }
        return {"message": " ".join(devices), "devices": devices}

    def _help(self, _: list[str]) -> str:
        return f"commands: {', '.join(self._verbs)}; see docs/simulation.md"

    def _stop(self, words: list[str]) -> str:
        _none(words, "stop")
        self._simulator.loop.after(0.05, self._simulator.loop.stop)  # so that this answer still leaves
        return "the simulator ends"

    def _device(self, words: list[str], verb: str) -> Condition:
        if len(words) != 1:
            raise Wrong(f"usage: {verb} DEVICE")
        return self._simulator.conditions[_choose(words[0], self._simulator.conditions, "device")]


def _choose(word: str, known: Any, what: str) -> str:
    """The word when it is known. Raises Wrong with the nearest known one."""
    if word in known:
        return word
    near = difflib.get_close_matches(word, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise Wrong(f"unknown {what} {word!r}; {hint}")


def _one_of(words: list[str], allowed: tuple[str, ...], usage: str) -> str:
    if len(words) != 1 or words[0] not in allowed:
        raise Wrong(f"usage: {usage} {'|'.join(allowed)}")
    return words[0]


def _none(words: list[str], verb: str) -> None:
    if words:
        raise Wrong(f"{verb} takes no words; got {' '.join(words)!r}")


def _quantity(words: list[str], verb: str) -> tuple[str, str]:
    if len(words) != 2:
        raise Wrong(f"usage: {verb} QUANTITY VALUE; quantities: {', '.join(QUANTITIES)}")
    return _choose(words[0], QUANTITIES, "quantity"), words[1]


def _number(word: str, low: float = -1e9, high: float = 1e9) -> float:
    try:
        value = float(word)
    except ValueError:
        raise Wrong(f"{word!r} is not a number") from None
    if not low <= value <= high:
        raise Wrong(f"{word} is outside {low:g} to {high:g}")
    return value
