"""What may be used once only: header lines, addresses, probes, Modbus units, ports, device nodes."""

import re

from gateway.settings.problems import Place, Problems

_WHOLE_PORT = "the port"


class Claims:
    """Refuses a second claim to the same thing, or to a part of it: `address 0x48` holds `address 0x48 input 0` too."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._taken: dict[tuple[str, ...], tuple[str, Place]] = {}
        self._parts_taken: dict[tuple[str, ...], tuple[str, Place]] = {}

    def take(self, scope: str, claim: str, owner: str, place: Place, *, on: str = "") -> None:
        """Claim it for `owner`. scope: the wire it is counted on; on: that wire in words."""
        path = (scope,) if claim == _WHOLE_PORT else (scope, *re.split(r"[/ ]+", claim))
        other = self._holder(path)
        if other is not None:
            first, there = other
            where = f"at line {there.line}" if there.file == place.file else f"at {there}"
            what = f"{owner} and {first} ({where}) both claim {claim}{on}"
            self._problems.add(place, what, "give one of them another")
            return
        self._taken[path] = (owner, place)
        for length in range(1, len(path)):
            self._parts_taken.setdefault(path[:length], (owner, place))

    def _holder(self, path: tuple[str, ...]) -> tuple[str, Place] | None:
        for length in range(1, len(path) + 1):
            if path[:length] in self._taken:
                return self._taken[path[:length]]
        return self._parts_taken.get(path)
