"""The simulated machine: buses, parts and kitchen put together, one thread that plays them."""

import contextlib
import fcntl
import os
import random
import shutil
import threading
import time
from collections.abc import Callable

from fake_hw import kitchen as wiring
from fake_hw.buses.dht import DhtSocket
from fake_hw.buses.gpio import GpioChip
from fake_hw.buses.i2c import I2CAdapter
from fake_hw.buses.lines import LineLog, Lines, bcm2711_lines
from fake_hw.buses.meter import MeterLine
from fake_hw.buses.onewire import OneWireBus, Slave
from fake_hw.buses.pty_port import PtyPort
from fake_hw.commands import Commands
from fake_hw.control_socket import ControlSocket
from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Condition, Probe
from fake_hw.loop import Loop
from fake_hw.parts.ads1115 import Ads1115
from fake_hw.parts.dht22 import Dht22
from fake_hw.parts.ds18b20 import Ds18b20
from fake_hw.parts.pzem004t import Pzem004t
from fake_hw.parts.scale import Scale
from fake_hw.parts.sht4x import Sht4x
from fake_hw.parts.transmitter import LoopTransmitter
from fake_hw.physics.kitchen import Kitchen

TICK_S = 0.1
_CONVERSION_S = 0.5
_SCALE_PERIOD_S = 0.2
_SERIAL = "dev/serial/by-id"


class Simulator:
    """The kitchen below `root`. speed: physical seconds per second. strict: see GpioChip. people: they open doors.

    Raises RuntimeError when another simulator has this root.
    """

    def __init__(
        self, root: str, *, strict: bool = False, speed: float = 1.0, seed: int = 1, people: bool = False
    ) -> None:
        os.makedirs(os.path.join(root, "dev"), exist_ok=True)
        self.root = root
        self._lock = _exclusive(root)
        self.speed = speed
        self.loop = Loop()
        self.chance = random.Random(seed)
        self.kitchen = Kitchen(random.Random(seed + 1))
        self.kitchen.cooks.busy = people
        self.conditions: dict[str, Condition] = {}
        self.log = LineLog(os.path.join(root, "lines.jsonl"))
        self.lines = Lines(self.log, bcm2711_lines())
        for relay in wiring.RELAYS:
            self.lines.wire(relay.line, relay.external_pull)
        self._wire_contacts_and_relays()
        self._chip = GpioChip(self.loop, self._path("dev/gpiochip0"), self.lines, strict=strict)
        self._header = self._condition(wiring.GPIO_CHIP, frozenset())
        self._i2c = self._wire_i2c()
        self._onewire = self._wire_onewire()
        self._meter, self._scale, self._scale_port = self._wire_serial()
        self._dht = self._wire_dht()
        self._control = ControlSocket(self.loop, self._path("sim.sock"), Commands(self).execute)
        self._thread: threading.Thread | None = None
        self._last_s = time.monotonic()

    def start(self) -> None:
        """Play in a thread of this process, for tests; every node is there when this returns."""
        self._appear()
        self._thread = threading.Thread(target=self._play, name="simulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End `start` or `run`; from any thread or signal handler, and harmless when repeated."""
        self.loop.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def run(self) -> None:
        """Play in this thread until `stop`."""
        self._appear()
        self._play()

    def apply(self) -> None:
        """Carry everything that has changed in the kitchen to the wires."""
        for contact in wiring.CONTACTS:
            condition = self.conditions[contact.name]
            if not condition.plugged or condition.fault == "cut":
                self.lines.drive(contact.line, None)
            elif condition.fault != "frozen":
                self.lines.drive(contact.line, wiring.GROUND if contact.closed(self.kitchen) else None)
        if self._header.plugged:
            self._chip.endpoint.present()
        else:
            self._chip.withdraw()
        self._i2c.sync()
        self._meter.sync()
        self._scale_port.set_plugged(self.conditions[wiring.SCALE].plugged)

    def convert(self) -> None:
        """Renew the 1-Wire files now."""
        self._onewire.refresh()

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

    def _appear(self) -> None:
        self.apply()
        self._onewire.start()
        self._dht.endpoint.present()
        self._control.present()
        self.loop.every(TICK_S, self._tick)
        self.loop.every(_CONVERSION_S, self._onewire.refresh)
        self.loop.every(_SCALE_PERIOD_S, self._stream_weight)
        self._last_s = time.monotonic()
        with open(self._path("ready"), "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")

    def _play(self) -> None:
        try:
            self.loop.run()
        finally:
            self._vanish()

    def _vanish(self) -> None:
        """Take every node away; the log stays."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path("ready"))
        self._control.withdraw()
        self._chip.withdraw()
        self._i2c.endpoint.withdraw()
        self._dht.endpoint.withdraw()
        self._meter.port.set_plugged(False)
        self._scale_port.set_plugged(False)
        shutil.rmtree(self._path("sys"), ignore_errors=True)
        self.log.close()
        self.loop.close()
        os.close(self._lock)

    def _tick(self) -> None:
        now = time.monotonic()
        self.kitchen.step((now - self._last_s) * self.speed, self.energised())
        self._last_s = now
        self.apply()
        self._onewire.poll_trigger()

    def _stream_weight(self) -> None:
        line = self._scale.line(self.kitchen.stock.swinging_s > 0.0)
        fault = self.conditions[wiring.SCALE].fault
        if fault == "garbage":
            line = self.chance.randbytes(len(line))
        elif fault == "flip":
            position = self.chance.randrange(len(line) - 2)
            line = line[:position] + bytes([line[position] ^ 1 << self.chance.randrange(7)]) + line[position + 1 :]
        if fault not in {"hang", "nack"}:
            self._scale_port.send(line)

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name)

    def _condition(self, name: str, kinds: frozenset[str]) -> Condition:
        self.conditions[name] = Condition(name, kinds, time.monotonic)
        return self.conditions[name]

    def _probe(
        self, condition: Condition, truth: Callable[[Kitchen], float], noise: float, drift_per_s: float
    ) -> Probe:
        return Probe(condition, lambda: truth(self.kitchen), noise, drift_per_s, self.chance)

    def _wire_contacts_and_relays(self) -> None:
        for contact in wiring.CONTACTS:
            self._condition(contact.name, frozenset({"cut", "frozen"}))
        for relay in wiring.RELAYS:
            self._condition(relay.name, frozenset({"welded", "cut"}))

    def _wire_i2c(self) -> I2CAdapter:
        adapter = I2CAdapter(
            self.loop, self._path("dev/i2c-1"), self._condition(wiring.I2C_ADAPTER, frozenset()), self.chance
        )
        for climate in wiring.CLIMATES:
            condition = self._condition(climate.name, BUS_FAULTS | VALUE_FAULTS)
            temperature = self._probe(condition, climate.temperature, 0.02, 0.1)
            humidity = self._probe(condition, climate.humidity, 0.1, 0.1)
            part = Sht4x(time.monotonic, temperature, humidity, climate.serial)
            adapter.attach(climate.address, part, condition)
        chip = self._condition(wiring.ADC, BUS_FAULTS - {"crc"})
        inputs = [self._wire_transmitter(each) for each in wiring.TRANSMITTERS]
        adapter.attach(wiring.ADC_ADDRESS, Ads1115(time.monotonic, inputs), chip)
        return adapter

    def _wire_transmitter(self, each: wiring.Transmitter) -> Callable[[], float]:
        condition = self._condition(each.name, VALUE_FAULTS | {"cut", "ones", "garbage"})
        probe = self._probe(condition, each.truth, each.noise, each.drift_per_s)
        return LoopTransmitter(condition, probe, each.at_low, each.at_high, self.chance).volts

    def _wire_onewire(self) -> OneWireBus:
        kinds = VALUE_FAULTS | {"nack", "crc", "flip", "ones", "garbage", "empty", "85000", "hang"}
        slaves = []
        for each in wiring.PROBES:
            condition = self._condition(each.name, kinds)
            part = Ds18b20(condition, self._probe(condition, each.truth, 0.01, 0.2), self.chance)
            slaves.append(Slave(each.rom, condition, part.texts))
        return OneWireBus(self.root, slaves, self._condition(wiring.ONE_WIRE_MASTER, frozenset()))

    def _wire_serial(self) -> tuple[MeterLine, Scale, PtyPort]:
        condition = self._condition(wiring.METER, frozenset({"nack", "hang", "slow", "crc", "flip", "garbage", "ones"}))
        link = self._path(f"{_SERIAL}/{wiring.METER_PORT}")
        part = Pzem004t(wiring.METER_UNIT, lambda: self.kitchen.mains)
        meter = MeterLine(self.loop, link, part, condition, self.chance)
        condition = self._condition(wiring.SCALE, VALUE_FAULTS | {"nack", "hang", "flip", "garbage"})
        scale = Scale(self._probe(condition, lambda k: k.stock.weight_kg, 0.002, 0.05), self.chance)
        return meter, scale, PtyPort(self.loop, self._path(f"{_SERIAL}/{wiring.SCALE_PORT}"), lambda _: None)

    def _wire_dht(self) -> DhtSocket:
        kinds = VALUE_FAULTS | {"nack", "stuck", "crc", "flip", "ones", "garbage", "hang", "slow"}
        condition = self._condition(wiring.DHT, kinds)
        temperature = self._probe(condition, lambda k: k.room.dry_c, 0.05, 0.1)
        humidity = self._probe(condition, lambda k: k.room.dry_pct, 0.2, 0.2)
        part = Dht22(condition, temperature, humidity, self.chance)
        return DhtSocket(self.loop, self._path(f"dev/dht-GPIO{wiring.DHT_LINE}"), part, condition)


def _exclusive(root: str) -> int:
    """The lock of this root, as a descriptor. Raises RuntimeError when it is taken."""
    descriptor = os.open(os.path.join(root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RuntimeError(f"another simulator already plays {root}: stop it or choose another root") from None
    return descriptor
