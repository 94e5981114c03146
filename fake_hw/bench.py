"""Any site's parts on a simulated machine: each device of a compiled configuration gets its counterpart.

Nothing physical links them: what a part senses stays as it is until `set` moves it.
"""

import json
from collections.abc import Sequence
from typing import Any

from fake_hw.commands import Answer, Commands
from fake_hw.control_socket import ControlSocket
from fake_hw.machine import Machine, NotSimulated, Wiring


class Bench:
    """The parts of a site file below `root`. Raises RuntimeError when another simulator has this root.

    site: the path of a compiled snapshot. Devices whose driver has no counterpart here are left out, and named in
    `missing`: to the gateway they are not connected.
    """

    def __init__(self, root: str, site: str, *, strict: bool = False, seed: int = 1) -> None:
        with open(site, encoding="utf-8") as file:
            configuration = json.load(file)
        self.machine = Machine(root, strict=strict, seed=seed)
        self.missing: list[str] = []
        buses = {bus["name"]: bus for bus in configuration["buses"]}
        for bus in buses.values():
            node = bus["device"] or bus["url"] or bus["type"]
            self.machine.aliases[node] = bus["name"]
        for device in (*configuration["devices"], *configuration["outputs"]):
            self._place(device, buses[device["bus"]])
        self.commands = Commands(self.machine, _Truths(self.machine), {})
        self.machine.add(
            "commands", ControlSocket(self.machine.loop, self.machine.path("sim.sock"), self.commands.execute)
        )

    def _place(self, device: dict[str, Any], bus: dict[str, Any]) -> None:
        wiring = Wiring(bus["type"], bus["device"], device["options"], bus["url"], bus["baud"])
        try:
            self.machine.place(device["driver"], device["name"], wiring)
        except NotSimulated as error:
            self.missing.append(f"{device['name']}: {error}")


class _Truths:
    """What the machine's parts sense, as a `World`: nothing moves by itself, so `hold` is `set`."""

    def __init__(self, machine: Machine) -> None:
        self._truths = machine.truths

    def names(self) -> Sequence[str]:
        """Every quantity."""
        return list(self._truths)

    def read(self, name: str) -> float:
        """Its true value."""
        return self._truths[name]

    def write(self, name: str, value: float) -> None:
        """Make another value true."""
        self._truths[name] = value

    def hold(self, name: str, value: float | None) -> None:
        """As `write`."""
        if value is not None:
            self._truths[name] = value

    def state(self) -> Answer:
        """Nothing more."""
        return {}
