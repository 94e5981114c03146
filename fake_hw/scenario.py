"""Scenarios: the simulator's commands with their times, in YAML.

title: the walk-in's sensor dies while its door stands open
steps:
  - {at: 0 s, do: door walkin open}
  - {at: 30 s, do: fault walkin_air crc for 20}
  - {at: 2 min, do: door walkin close}
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h)")
_LONGEST_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Step:
    """One command and when it is carried out, in seconds of the kitchen's time."""

    at_s: float
    command: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps in the order of their times."""

    title: str
    steps: tuple[Step, ...]


def read_scenario(path: str, verbs: Collection[str]) -> Scenario:
    """The scenario in a file. Raises ValueError with every mistake in it: place, what, and what to write."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            tree = yaml.safe_load(file)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no YAML: {error}") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("steps"), list) or not tree["steps"]:
        raise ValueError(f"{path}: write `title:` and `steps:`, a list of {{at: 5 s, do: COMMAND}}")
    problems: list[str] = []
    steps = [_step(raw, f"{path}: step {count}", verbs, problems) for count, raw in enumerate(tree["steps"], 1)]
    if problems:
        raise ValueError("\n".join(problems))
    ordered = sorted((step for step in steps if step is not None), key=lambda step: step.at_s)
    return Scenario(str(tree.get("title", path)), tuple(ordered))


def _step(raw: Any, where: str, verbs: Collection[str], problems: list[str]) -> Step | None:
    if not isinstance(raw, dict) or set(raw) != {"at", "do"}:
        problems.append(f"{where}: write it as {{at: 5 s, do: COMMAND}}")
        return None
    time, command = _TIME.fullmatch(str(raw["at"])), str(raw["do"])
    at_s = float(time[1]) * _SECONDS[time[2]] if time else -1.0
    if not 0.0 <= at_s <= _LONGEST_S:
        problems.append(f"{where}: at: {raw['at']!r} is no time within a week; write 5 s, 2 min or 1 h")
    verb = command.split(maxsplit=1)[0] if command.split() else ""
    if verb not in verbs:
        near = difflib.get_close_matches(verb, verbs, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(verbs)}"
        problems.append(f"{where}: unknown command {verb!r}; {hint}")
    return Step(at_s, command)
