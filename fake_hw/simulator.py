"""The simulated machine: buses, parts and kitchen put together, one thread that plays them."""

import random
from collections.abc import Callable

from fake_hw import kitchen as wiring
from fake_hw.buses.modbus import MODBUS_FAULTS
from fake_hw.buses.onewire import Slave
from fake_hw.buses.pty_port import PtyPort
from fake_hw.commands import Commands
from fake_hw.control_socket import ControlSocket
from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Condition, Probe
from fake_hw.kitchen_commands import KitchenVerbs, KitchenWorld
from fake_hw.machine import Machine, Wiring
from fake_hw.parts.ads1115 import Ads1115
from fake_hw.parts.dht22 import Dht22
from fake_hw.parts.ds18b20 import Ds18b20
from fake_hw.parts.pzem004t import pzem004t
from fake_hw.parts.scale import Scale
from fake_hw.parts.sht4x import Sht4x
from fake_hw.parts.transmitter import LoopTransmitter
from fake_hw.physics.kitchen import Kitchen

_SCALE_PERIOD_S = 0.2
_SERIAL = "dev/serial/by-id"


class Simulator:
    """The kitchen below `root`. speed: physical seconds per second. strict: see GpioChip. people: they open doors.

    Raises RuntimeError when another simulator has this root.
    """

    def __init__(
        self, root: str, *, strict: bool = False, speed: float = 1.0, seed: int = 1, people: bool = False
    ) -> None:
        self.machine = Machine(root, strict=strict, seed=seed)
        self.machine.aliases |= wiring.BUSES
        self.root = root
        self.speed = speed
        self.loop, self.lines, self.log = self.machine.loop, self.machine.lines, self.machine.log
        self.conditions = self.machine.conditions
        self.kitchen = Kitchen(random.Random(seed + 1))
        self.kitchen.cooks.busy = people
        for relay in wiring.RELAYS:
            self.lines.wire(relay.line, relay.external_pull)
        self._wire_contacts_and_relays()
        self.machine.bus("gpio", "/dev/gpiochip0")
        self._wire_i2c()
        self._wire_onewire()
        self._scale, self._scale_port = self._wire_serial()
        self._wire_dht()
        for placed in wiring.PLACED:
            self.machine.place(placed.driver, placed.name, Wiring(placed.kind, placed.device))
        self.commands = Commands(self.machine, KitchenWorld(self), KitchenVerbs(self).verbs())
        self.machine.add("commands", ControlSocket(self.loop, self.machine.path("sim.sock"), self.commands.execute))
        self.machine.steps.append(self._follow)
        self.loop.every(_SCALE_PERIOD_S, self._stream_weight)
        self._last_s: float | None = None

    def start(self) -> None:
        """Play in a thread of this process, for tests; every node is there when this returns."""
        self.machine.start()

    def stop(self) -> None:
        """End `start` or `run`; from any thread or signal handler, and harmless when repeated."""
        self.machine.stop()

    def run(self) -> None:
        """Play in this thread until `stop`."""
        self.machine.run()

    def apply(self) -> None:
        """Carry everything that has changed in the kitchen to the wires."""
        self.machine.changed()

    def _follow(self) -> None:
        """Let the kitchen catch up with the clock, and move its contacts."""
        now = self.machine.clock()
        elapsed_s = 0.0 if self._last_s is None else now - self._last_s
        self._last_s = now
        self.kitchen.step(elapsed_s * self.speed, self.energised())
        for placed in wiring.PLACED:
            for channel, sense in placed.senses.items():
                self.machine.truths[f"{placed.name}.{channel}"] = sense(self.kitchen)
        for contact in wiring.CONTACTS:
            condition = self.conditions[contact.name]
            if not condition.plugged or condition.fault == "cut":
                self.lines.drive(contact.line, None)
            elif condition.fault != "frozen":
                self.lines.drive(contact.line, wiring.GROUND if contact.closed(self.kitchen) else None)

    def energised(self) -> set[str]:
        """The outputs whose load has power: welded ones always, unplugged or cut ones never."""
        return {relay.name for relay in wiring.RELAYS if self._has_power(relay)}

    def _has_power(self, relay: wiring.Relay) -> bool:
        condition = self.conditions[relay.name]
        if condition.fault == "welded":
            return True
        if not condition.plugged or condition.fault == "cut":
            return False
        return self.lines.level(relay.line) == relay.energised_by

    def _stream_weight(self) -> None:
        line = self._scale.line(self.kitchen.stock.swinging_s > 0.0)
        fault = self.conditions[wiring.SCALE].fault
        if fault == "garbage":
            line = self.machine.chance.randbytes(len(line))
        elif fault == "flip":
            position = self.machine.chance.randrange(len(line) - 2)
            line = (
                line[:position] + bytes([line[position] ^ 1 << self.machine.chance.randrange(7)]) + line[position + 1 :]
            )
        if fault not in {"hang", "nack"}:
            self._scale_port.send(line)

    def _probe(
        self, condition: Condition, truth: Callable[[Kitchen], float], noise: float, drift_per_s: float
    ) -> Probe:
        return Probe(condition, lambda: truth(self.kitchen), noise, drift_per_s, self.machine.chance)

    def _wire_contacts_and_relays(self) -> None:
        for contact in wiring.CONTACTS:
            self.machine.condition(contact.name, frozenset({"cut", "frozen"}))
        for relay in wiring.RELAYS:
            self.machine.condition(relay.name, frozenset({"welded", "cut"}))

    def _wire_i2c(self) -> None:
        adapter = self.machine.bus("i2c", "/dev/i2c-1")
        for climate in wiring.CLIMATES:
            condition = self.machine.condition(climate.name, BUS_FAULTS | VALUE_FAULTS)
            temperature = self._probe(condition, climate.temperature, 0.02, 0.1)
            humidity = self._probe(condition, climate.humidity, 0.1, 0.1)
            part = Sht4x(self.machine.clock, temperature, humidity, climate.serial)
            adapter.attach(climate.address, part, condition)
        chip = self.machine.condition(wiring.ADC, BUS_FAULTS - {"crc"})
        inputs = [self._wire_transmitter(each) for each in wiring.TRANSMITTERS]
        adapter.attach(wiring.ADC_ADDRESS, Ads1115(self.machine.clock, inputs), chip)

    def _wire_transmitter(self, each: wiring.Transmitter) -> Callable[[], float]:
        condition = self.machine.condition(each.name, VALUE_FAULTS | {"cut", "ones", "garbage"})
        condition.carrier = self.conditions[wiring.ADC]
        probe = self._probe(condition, each.truth, each.noise, each.drift_per_s)
        return LoopTransmitter(condition, probe, each.at_low, each.at_high, self.machine.chance).volts

    def _wire_onewire(self) -> None:
        kinds = VALUE_FAULTS | {"nack", "crc", "flip", "ones", "garbage", "empty", "85000", "hang"}
        bus = self.machine.bus("onewire")
        for each in wiring.PROBES:
            condition = self.machine.condition(each.name, kinds)
            part = Ds18b20(condition, self._probe(condition, each.truth, 0.01, 0.2), self.machine.chance)
            bus.attach(Slave(each.rom, condition, part.texts))

    def _wire_serial(self) -> tuple[Scale, PtyPort]:
        condition = self.machine.condition(wiring.METER, MODBUS_FAULTS)
        meter = pzem004t(wiring.METER_UNIT, lambda channel: wiring.MAINS[channel](self.kitchen))
        self.machine.bus("modbus_rtu", wiring.METERS).attach(wiring.METER_UNIT, meter, condition)
        condition = self.machine.condition(wiring.SCALE, VALUE_FAULTS | {"nack", "hang", "flip", "garbage"})
        scale = Scale(self._probe(condition, lambda k: k.stock.weight_kg, 0.002, 0.05), self.machine.chance)
        port: PtyPort = self.machine.bus("serial", f"/{_SERIAL}/{wiring.SCALE_PORT}")
        port.attach(condition)
        return scale, port

    def _wire_dht(self) -> None:
        kinds = VALUE_FAULTS | {"nack", "stuck", "crc", "flip", "ones", "garbage", "hang", "slow"}
        condition = self.machine.condition(wiring.DHT, kinds)
        temperature = self._probe(condition, lambda k: k.room.dry_c, 0.05, 0.1)
        humidity = self._probe(condition, lambda k: k.room.dry_pct, 0.2, 0.2)
        self.machine.bus("dht").attach(
            wiring.DHT_LINE, Dht22(condition, temperature, humidity, self.machine.chance), condition
        )
