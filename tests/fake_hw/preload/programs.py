"""Programs that know nothing of the simulated machine, run in processes of their own with the shim preloaded.

`python -m tests.fake_hw.preload.programs NAME`: each is a function here; it says JSON lines and hears lines.
"""

import fcntl
import json
import os
import random
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

CHIP, ADAPTER = "/dev/gpiochip0", "/dev/i2c-1"
CONTACT, RELAY, LIGHT = 6, 17, 10
DEBOUNCE_S = 0.02
LINEINFO = 0xC100B405


def say(*words: Any) -> None:
    """One line to the test."""
    print(json.dumps(words[0] if len(words) == 1 else words), flush=True)


def hear() -> str:
    """One line from the test."""
    return sys.stdin.readline().strip()


def outcome(call: Any, *arguments: Any) -> Any:
    """What a call gave, or the errno it failed with."""
    try:
        given = call(*arguments)
    except OSError as error:
        return f"errno {error.errno}"
    return list(given) if isinstance(given, bytes) else given


# I2C


def i2c_transcript(node: str = ADAPTER, seed: int = 1) -> list[Any]:
    """Every kind of transfer smbus2 can make, in a random order, with a part that remembers (0x50) and without."""
    from smbus2 import SMBus, i2c_msg

    chance = random.Random(seed)
    with SMBus(node) as bus:

        def combined(address: int, written: bytes, length: int) -> list[int]:
            read = i2c_msg.read(address, length)
            bus.i2c_rdwr(i2c_msg.write(address, written), read)
            return list(bytes(read))

        def one() -> Any:
            address = chance.choice([0x50, 0x50, 0x50, 0x51])
            register, byte, word = chance.randrange(256), chance.randrange(256), chance.randrange(65536)
            block = list(chance.randbytes(chance.randrange(1, 33)))
            return chance.choice(
                [
                    lambda: bus.write_quick(address),
                    lambda: bus.read_byte(address),
                    lambda: bus.write_byte(address, byte),
                    lambda: bus.read_byte_data(address, register),
                    lambda: bus.write_byte_data(address, register, byte),
                    lambda: bus.read_word_data(address, register),
                    lambda: bus.write_word_data(address, register, word),
                    lambda: bus.process_call(address, register, word),
                    lambda: bus.read_i2c_block_data(address, register, len(block)),
                    lambda: bus.write_i2c_block_data(address, register, block),
                    lambda: bus.read_block_data(address, register),
                    lambda: bus.block_process_call(address, register, block),
                    lambda: combined(address, bytes(block), byte),
                ]
            )

        return [bus.funcs, *(outcome(one()) for _ in range(400))]


def i2c_plain() -> None:
    """SMBus calls at random; and read() and write() after I2C_SLAVE."""
    say(i2c_transcript())
    node = os.open(ADAPTER, os.O_RDWR)
    fcntl.ioctl(node, 0x0703, 0x50)
    say(outcome(os.write, node, b"\x10abc"), outcome(os.write, node, b"\x10"), outcome(os.read, node, 3))
    fcntl.ioctl(node, 0x0703, 0x51)
    say(outcome(os.read, node, 3), outcome(fcntl.ioctl, node, 0x5401, 0), outcome(fcntl.ioctl, node, 0x0799, 0))


def climate_ours() -> None:
    """Our driver on our bus."""
    from drivers import registry
    from drivers.buses import open_bus
    from gateway.core.driver import Bus

    spec = registry.load("sht4x")
    driver: Any = spec.open(open_bus(Bus("bus", "i2c", ADAPTER)), spec.options(address=0x44))
    say({sample.channel: sample.value for sample in driver.read()})


def climate_smbus2() -> None:
    """smbus2 alone, by the datasheet."""
    from smbus2 import SMBus, i2c_msg

    with SMBus(1) as bus:
        bus.i2c_rdwr(i2c_msg.write(0x44, b"\xfd"))
        time.sleep(0.01)
        answer = i2c_msg.read(0x44, 6)
        bus.i2c_rdwr(answer)
    say(_climate(bytes(answer)))


def climate_lgpio() -> None:
    """lgpio's C code, through plain read() and write()."""
    import lgpio

    part = lgpio.i2c_open(1, 0x44)
    lgpio.i2c_write_device(part, b"\xfd")
    time.sleep(0.01)
    say(_climate(bytes(lgpio.i2c_read_device(part, 6)[1])))


def _climate(answer: bytes) -> dict[str, float]:
    temperature, humidity = int.from_bytes(answer[:2], "big"), int.from_bytes(answer[3:5], "big")
    return {"temperature": -45 + 175 * temperature / 65535, "humidity": -6 + 125 * humidity / 65535}


# SPI


def spi_ours() -> None:
    """Our bus code."""
    from drivers.buses import open_bus
    from gateway.core.driver import Bus

    bus: Any = open_bus(Bus("bus", "spi", "/dev/spidev0.0"))
    say(list(bus.transfer(bytes([1, 2, 3, 255]), mode=1, speed_hz=500_000)))


def spi_spidev() -> None:
    """spidev's C extension, all its ways to transfer."""
    import spidev

    bus = spidev.SpiDev()
    bus.open(0, 0)
    bus.mode = 1
    bus.max_speed_hz = 500_000
    bus.writebytes([9, 9])
    say(
        [
            bus.xfer2([1, 2, 3, 255]),
            bus.xfer([1, 2]),
            bus.readbytes(3),
            bus.xfer3([7] * 5000)[:2],
            [bus.mode, bus.bits_per_word, bus.max_speed_hz],
        ]
    )
    bus.lsbfirst = False
    bus.close()
    try:
        bus.open(1, 0)
    except OSError as error:
        say(error.errno)


# GPIO: each claims the contact with debounce and the relay's line, tells what it sees, then two edges as they come


class Edges:
    """Tells each level a callback reports."""

    def __init__(self) -> None:
        self._told = threading.Semaphore(0)

    def add(self, level: int) -> None:
        """From the library's thread."""
        say(level)
        self._told.release()

    def await_two(self) -> None:
        """Return after the second."""
        for _ in range(2):
            self._told.acquire(timeout=10)


def gpio_gpiod() -> None:
    """libgpiod, version 2."""
    import gpiod
    from gpiod.line import Bias, Clock, Direction, Edge, Value

    say(gpiod.is_gpiochip_device(CHIP), gpiod.is_gpiochip_device(ADAPTER))
    with gpiod.Chip(CHIP) as chip:
        info = chip.get_info()
        say(info.name, info.label, info.num_lines)
        contact = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.BOTH,
            bias=Bias.PULL_UP,
            debounce_period=timedelta(seconds=DEBOUNCE_S),
            event_clock=Clock.MONOTONIC,
        )
        relay = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.ACTIVE)
        with chip.request_lines({CONTACT: contact}, consumer="oracle") as inputs:
            with chip.request_lines({RELAY: relay}, consumer="oracle") as outputs:
                say(inputs.get_value(CONTACT).value, outputs.get_value(RELAY).value)
                say(outcome(chip.request_lines, {RELAY: relay}))
                say(chip.get_line_info(RELAY).consumer)
                outputs.set_value(RELAY, Value.INACTIVE)
                say("ready")
                told = 0
                while told < 2 and inputs.wait_edge_events(10):
                    for event in inputs.read_edge_events():
                        say(int(event.event_type is event.Type.RISING_EDGE))
                        told += 1


def gpio_lgpio() -> None:
    """lgpio's C code, without the floating input that gpiozero makes of each line first."""
    import lgpio

    chip = lgpio.gpiochip_open(0)
    _, lines, name, label = lgpio.gpio_get_chip_info(chip)
    say(name, label, lines)
    edges = Edges()
    lgpio.gpio_set_debounce_micros(chip, CONTACT, round(DEBOUNCE_S * 1e6))
    lgpio.gpio_claim_alert(chip, CONTACT, lgpio.BOTH_EDGES, lgpio.SET_PULL_UP)
    callback = lgpio.callback(chip, CONTACT, lgpio.BOTH_EDGES, lambda _chip, _line, level, _time: edges.add(level))
    lgpio.gpio_claim_output(chip, RELAY, 1)
    say(lgpio.gpio_read(chip, CONTACT), lgpio.gpio_read(chip, RELAY))
    other = lgpio.gpiochip_open(0)
    try:
        lgpio.gpio_claim_output(other, RELAY, 1)
    except lgpio.error as error:
        say("errno 16" if "busy" in str(error) else str(error))
    say(lgpio.gpio_get_line_info(chip, RELAY)[4])
    lgpio.gpio_write(chip, RELAY, 0)
    say("ready")
    edges.await_two()
    callback.cancel()
    lgpio.gpiochip_close(chip)


def gpio_gpiozero() -> None:
    """gpiozero on lgpio, as a Raspberry Pi's owner writes it."""
    from gpiozero import Button, Device, DigitalOutputDevice
    from gpiozero.pins.lgpio import LGPIOFactory

    Device.pin_factory = LGPIOFactory()
    edges = Edges()
    contact = Button(CONTACT, bounce_time=DEBOUNCE_S)
    contact.when_pressed = lambda: edges.add(0)
    contact.when_released = lambda: edges.add(1)
    relay = DigitalOutputDevice(RELAY, initial_value=True)
    say(int(not contact.value), relay.value)
    relay.off()
    say("ready")
    edges.await_two()
    Device.pin_factory.close()


def gpio_ours() -> None:
    """Our bus code."""
    from drivers.buses import open_bus
    from gateway.core.driver import Bus

    bus: Any = open_bus(Bus("bus", "gpio", CHIP))
    edges = Edges()
    contact = bus.input(CONTACT, pull="up", active_low=False, debounce_s=DEBOUNCE_S)
    contact.watch(lambda active, _time_ns: edges.add(int(active)))
    relay = bus.output(RELAY, active_low=False, initial=True)
    say(int(contact.is_active()), int(relay.level()))
    relay.drive(False)
    say("ready")
    edges.await_two()
    bus.close()


# an active-low relay's start


def light_gpiozero() -> None:
    """gpiozero on lgpio: claimed as an input, then at 0, then set to 1."""
    from gpiozero import DigitalOutputDevice
    from gpiozero.pins.lgpio import LGPIOFactory

    light = DigitalOutputDevice(LIGHT, active_high=False, initial_value=False, pin_factory=LGPIOFactory())
    say("ready")
    hear()
    light.close()


def light_careless() -> None:
    """The same mistake by libgpiod: an output without a first value, which is then set."""
    import gpiod
    from gpiod.line import Direction, Value

    with gpiod.request_lines(CHIP, {LIGHT: gpiod.LineSettings(direction=Direction.OUTPUT)}) as request:
        request.set_value(LIGHT, Value.ACTIVE)
        say("ready")
        hear()


def light_ours() -> None:
    """Our bus code."""
    from drivers.buses import open_bus
    from gateway.core.driver import Bus

    bus: Any = open_bus(Bus("bus", "gpio", CHIP))
    line = bus.output(LIGHT, active_low=True, initial=False)
    say("ready")
    hear()
    line.close()


# the process


def hold() -> None:
    """Holds the relay on; its children close their copies of the line, which must leave it alone."""
    import gpiod
    from gpiod.line import Direction, Value

    relay = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.ACTIVE)
    request = gpiod.request_lines(CHIP, {RELAY: relay})
    subprocess.run(["true"], check=True)
    subprocess.run(["true"], check=True, close_fds=False, preexec_fn=lambda: os.closerange(3, 64))
    child = os.fork()
    if not child:
        for descriptor in range(3, 64):
            outcome(os.close, descriptor)
        os._exit(0)
    os.waitpid(child, 0)
    say(request.get_value(RELAY).value)
    hear()


def reuse() -> None:
    """A chip's number closed behind the shim's back and given to another file is that file's."""
    chip = os.open(CHIP, os.O_RDWR)
    before = outcome(fcntl.ioctl, chip, LINEINFO, bytes(256))
    os.closerange(chip, chip + 1)  # close_range(), which no C library call of ours sees
    null = os.open("/dev/null", os.O_RDWR)
    say([len(before), null == chip, outcome(fcntl.ioctl, null, LINEINFO, bytes(256)), os.write(null, b"x")])


def threads() -> None:
    """Four threads on one descriptor get each their own answers; a bus that hangs holds up no line."""
    from smbus2 import SMBus, i2c_msg

    wrong = []
    with SMBus(1) as bus:

        def work(register: int) -> None:
            for _ in range(200):
                read = i2c_msg.read(0x50, 1)
                bus.i2c_rdwr(i2c_msg.write(0x50, bytes([register])), read)
                if bytes(read) != bytes([register]):
                    wrong.append(register)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        say(wrong)
        hear()  # the part hangs now
        stuck = threading.Thread(target=lambda: say(outcome(bus.read_byte, 0x50)))
        began = time.monotonic()
        stuck.start()
        chip = os.open(CHIP, os.O_RDWR)
        for _ in range(20):
            fcntl.ioctl(chip, LINEINFO, bytes(256))
        say(time.monotonic() - began < 0.8)
        stuck.join()


def looks() -> None:
    """What a program sees of the machine before it opens anything."""
    import stat

    found = os.stat(CHIP)
    opened = os.open(CHIP, os.O_RDWR)
    say(
        {
            "chip": [stat.S_ISCHR(found.st_mode), os.major(found.st_rdev), stat.S_ISCHR(os.fstat(opened).st_mode)],
            "adapter": [os.major(os.lstat(ADAPTER).st_rdev), os.minor(os.lstat(ADAPTER).st_rdev)],
            "exists": [os.path.exists(each) for each in (CHIP, "/dev/gpiochip7", "/dev/i2c-1", "/dev/spidev0.0")],
            "absent": outcome(os.open, "/dev/i2c-7", os.O_RDWR),
            "serial": os.path.realpath("/dev/serial/by-id/probe"),
            "iio": [os.listdir("/sys/bus/iio/devices"), outcome(os.open, "/sys/bus/iio/devices/broken", os.O_RDONLY)],
            "probe": Path("/sys/bus/w1/devices/28-1/temperature").read_text(encoding="ascii"),
            "own": os.path.realpath("/dev/null"),
        }
    )


def outlive() -> None:
    """A program whose simulator ends."""
    import gpiod

    request = gpiod.request_lines(CHIP, {CONTACT: gpiod.LineSettings(edge_detection=gpiod.line.Edge.BOTH)})
    node = os.open(ADAPTER, os.O_RDWR)
    say("ready")
    hear()
    say(
        [
            outcome(request.get_value, CONTACT),
            outcome(request.read_edge_events),
            outcome(os.read, node, 1),
            outcome(os.open, CHIP, os.O_RDWR),
        ]
    )


if __name__ == "__main__":
    globals()[sys.argv[1]]()
