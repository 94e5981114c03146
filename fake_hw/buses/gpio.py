"""A GPIO chip behind its character device: requests, values, debounced edge events, and what a death leaves behind."""

import contextlib
import errno
import fcntl
import os
import select
import struct
import termios
import time
from typing import TYPE_CHECKING

from fake_hw.buses import gpio_abi as abi
from fake_hw.buses.endpoint import Endpoint, Peer
from fake_hw.buses.lines import Lines
from fake_hw.faults import Condition
from fake_hw.loop import Loop, Timer

if TYPE_CHECKING:
    from fake_hw.machine import Machine

_CODE = struct.Struct("<I")
CLOSE = 0  # no ioctl: the wrapper of os.close announces it, so that a line is free when close() returns


class HeldLine:
    """One line inside a request: its configuration, its debounced level, its part in the event numbering."""

    def __init__(self, request: "Request", offset: int, config: abi.LineConfig) -> None:
        self.request = request
        self.offset = offset
        self.config = config
        self.stable = request.chip.lines.level(offset)
        self.number = 0
        self._settling: Timer | None = None

    def logical(self, level: int) -> int:
        """A physical level as the holder sees it, or the reverse."""
        return level ^ bool(self.config.flags & abi.ACTIVE_LOW)

    def value(self) -> int:
        """The logical value; of a debounced input the debounced one."""
        debounced = self.config.debounce_us and self.config.flags & abi.INPUT
        return self.logical(self.stable if debounced else self.request.chip.lines.level(self.offset))

    def moved(self, level: int) -> None:
        """The physical level changed: an edge now, or when it has been quiet for the debounce time."""
        if not self.config.debounce_us:
            self.stable = level
            self._edge(level)
            return
        if self._settling is not None:
            self._settling.cancel()
        self._settling = self.request.chip.loop.after(self.config.debounce_us / 1e6, self._settled)

    def release(self) -> None:
        """No event after the release."""
        if self._settling is not None:
            self._settling.cancel()

    def _settled(self) -> None:
        level = self.request.chip.lines.level(self.offset)
        if level != self.stable:
            self.stable = level
            self._edge(level)

    def _edge(self, level: int) -> None:
        rising = self.logical(level) == 1
        if self.config.flags & (abi.RISING if rising else abi.FALLING):
            self.number += 1
            self.request.emit(self, 1 if rising else 2)


class EventQueue:
    """The events of a request that wait for its reader, in a pipe whose reading end is the request's descriptor.

    As in the kernel the oldest is lost when it is full: unlike a socket's, a pipe's contents can be counted and taken
    back by who wrote them.
    """

    def __init__(self, size: int) -> None:
        self.handed, self.descriptor = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.descriptor, False)
        self._size = size

    def put(self, event: bytes) -> None:
        """Append one."""
        unread = struct.unpack("i", fcntl.ioctl(self.descriptor, termios.FIONREAD, bytes(4)))[0]
        if unread >= self._size * abi.EVENT.size:
            self._lose_the_oldest()
        with contextlib.suppress(OSError):  # nobody reads any more; the hang-up is on the way
            os.write(self.descriptor, event)

    def is_abandoned(self) -> bool:
        """Nobody has the reading end any more."""
        poll = select.poll()
        poll.register(self.descriptor, 0)
        return bool(poll.poll(0))

    def close(self) -> None:
        """The reader sees the end."""
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)

    def _lose_the_oldest(self) -> None:
        reader = os.open(f"/proc/self/fd/{self.descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(BlockingIOError):  # the program has read them all meanwhile
            os.read(reader, abi.EVENT.size)
        os.close(reader)


class Request:
    """A granted GPIO_V2_GET_LINE: holds its lines until its descriptor is closed, by the program or by its death."""

    def __init__(self, chip: "GpioChip", pid: int, request: abi.LineRequest) -> None:
        self.chip = chip
        self.pid = pid
        self.consumer = request.consumer
        self.events = EventQueue(request.buffer_size)
        self._number = 0
        self._all = (1 << len(request.offsets)) - 1
        self.held = [HeldLine(self, *pair) for pair in zip(request.offsets, request.configs, strict=True)]
        chip.loop.watch(self.events.descriptor, self.hung_up)

    def serve(self, peer: Peer, packet: bytes) -> None:
        """An ioctl on the request's descriptor; CLOSE is the program's close()."""
        handlers = {
            abi.GET_VALUES: self._get_values,
            abi.SET_VALUES: self._set_values,
            abi.SET_CONFIG: self._set_config,
        }
        try:
            (code,) = _CODE.unpack_from(packet)
            if code == CLOSE:
                self.release()
                peer.reply(0)
            elif self.events.descriptor < 0:
                peer.reply(errno.ENODEV)
            elif code in handlers:
                peer.reply(0, handlers[code](packet[_CODE.size :]))
            else:
                peer.reply(errno.EINVAL)
        except abi.Rejected as error:
            peer.reply(error.args[0])
        except struct.error:
            peer.reply(errno.EINVAL)

    def _get_values(self, payload: bytes) -> bytes:
        _, mask = abi.VALUES.unpack(payload)
        if not mask & self._all:
            raise abi.Rejected(errno.EINVAL)
        bits = sum(held.value() << index for index, held in enumerate(self.held) if mask >> index & 1)
        return abi.VALUES.pack(bits, mask)

    def _set_values(self, payload: bytes) -> bytes:
        bits, mask = abi.VALUES.unpack(payload)
        if not mask & self._all:
            raise abi.Rejected(errno.EINVAL)
        chosen = [(index, held) for index, held in enumerate(self.held) if mask >> index & 1]
        lines = self.chip.lines.lines
        if any(lines[held.offset].output is None for _, held in chosen):
            raise abi.Rejected(errno.EPERM)
        for index, held in chosen:
            lines[held.offset].output = held.logical(bits >> index & 1)
            self.chip.lines.settle(held.offset, "set", self.pid)
        return payload

    def _set_config(self, payload: bytes) -> bytes:
        configs = abi.parse_config(payload, len(self.held))
        for held, config in zip(self.held, configs, strict=True):
            if config.flags & (abi.INPUT | abi.OUTPUT):  # a line without a direction is left as it is
                held.config = config
                self._configure(held, "set")
        return payload

    def claim(self) -> None:
        """Put every line's configuration into force; an output's level comes with its direction, in one step."""
        for held in self.held:
            self._configure(held, "claim")

    def emit(self, held: HeldLine, identifier: int) -> None:
        """Queue an edge event."""
        self._number += 1
        clock = time.CLOCK_REALTIME if held.config.flags & abi.REALTIME else time.CLOCK_MONOTONIC
        stamp = time.clock_gettime_ns(clock)
        self.events.put(abi.EVENT.pack(stamp, identifier, held.offset, self._number, held.number))

    def hung_up(self) -> None:
        """The descriptor may have been closed."""
        if self.events.descriptor >= 0 and self.events.is_abandoned():
            self.release()

    def release(self) -> None:
        """Free the lines. Their level then: kept by a chip that persists, else what pulls it."""
        if self.events.descriptor < 0:
            return
        self.chip.loop.forget(self.events.descriptor)
        self.events.close()
        for held in self.held:
            held.release()
            self.chip.free(held, self.pid)

    def _configure(self, held: HeldLine, why: str) -> None:
        lines, flags = self.chip.lines, held.config.flags
        line = lines.lines[held.offset]
        if flags & (abi.PULL_UP | abi.PULL_DOWN | abi.BIAS_DISABLED):
            line.bias = {abi.PULL_UP: 1, abi.PULL_DOWN: 0}.get(flags & (abi.PULL_UP | abi.PULL_DOWN))
        if flags & abi.OUTPUT:
            line.output = held.logical(held.config.output)
        elif flags & abi.INPUT:
            line.output = None
        lines.settle(held.offset, why, self.pid, always=why == "claim")
        held.stable = lines.level(held.offset)


def create(machine: "Machine", device: str) -> "GpioChip":
    """The header's chip; its condition has the node's path as its name."""
    condition = machine.condition(device)
    return GpioChip(machine.loop, machine.path(device), machine.lines, strict=machine.strict, condition=condition)


class GpioChip:
    """`/dev/gpiochip0` of a Raspberry Pi 4. strict: a released output falls back to an input (upstream's behaviour)."""

    def __init__(
        self, loop: Loop, path: str, lines: Lines, *, strict: bool, condition: Condition | None = None
    ) -> None:
        self.loop = loop
        self.lines = lines
        self._strict = strict
        self._condition = condition
        self._holders: dict[int, HeldLine] = {}
        self.endpoint = Endpoint(loop, path, self._serve)

    def sync(self) -> None:
        """Follow the chip's plug."""
        if self._condition is None or self._condition.plugged:
            self.endpoint.present()
        else:
            self.withdraw()

    def vanish(self) -> None:
        """Take the node away."""
        self.withdraw()

    def withdraw(self) -> None:
        """The chip leaves the machine: nobody holds its lines any more."""
        self.endpoint.withdraw()
        for held in tuple(self._holders.values()):
            held.request.release()

    def free(self, held: HeldLine, pid: int) -> None:
        """A request lets go of a line."""
        del self._holders[held.offset]
        self.lines.watchers.pop(held.offset, None)
        line = self.lines.lines[held.offset]
        if self._strict:
            line.output = None
        self.lines.settle(held.offset, "release", pid, always=bool(held.config.flags & abi.OUTPUT))

    def _serve(self, peer: Peer, packet: bytes) -> None:
        handlers = {
            abi.GET_CHIPINFO: self._chip_info,
            abi.GET_LINEINFO: self._line_info,
            abi.GET_LINE: self._get_line,
        }
        try:
            (code,) = _CODE.unpack_from(packet)
            handler = handlers.get(code)
            if handler is None:
                raise abi.Rejected(errno.EINVAL)
            handler(peer, packet[_CODE.size :])
        except (abi.Rejected, struct.error) as error:
            peer.reply(error.args[0] if isinstance(error, abi.Rejected) else errno.EINVAL)

    def _chip_info(self, peer: Peer, _: bytes) -> None:
        peer.reply(0, abi.CHIPINFO.pack(b"gpiochip0", b"pinctrl-bcm2711", len(self.lines.lines)))

    def _line_info(self, peer: Peer, payload: bytes) -> None:
        offset = abi.LINEINFO.unpack(payload)[2]
        if offset >= len(self.lines.lines):
            raise abi.Rejected(errno.EINVAL)
        line, held = self.lines.lines[offset], self._holders.get(offset)
        flags = abi.OUTPUT if line.output is not None else abi.INPUT
        consumer, debounce_us = b"", 0
        if held is not None:
            flags = held.config.flags | abi.USED | (flags if not held.config.flags & (abi.INPUT | abi.OUTPUT) else 0)
            consumer, debounce_us = held.request.consumer, held.config.debounce_us
        peer.reply(0, abi.line_info(line.name.encode(), consumer, offset, flags, debounce_us))

    def _get_line(self, peer: Peer, payload: bytes) -> None:
        """Grant a request: this connection becomes the request's own, its events travel on a handed socket."""
        asked = abi.parse_request(payload, len(self.lines.lines))
        for offset in asked.offsets:
            self._refuse_if_held(offset)
        request = Request(self, peer.pid, asked)
        for held in request.held:
            self._holders[held.offset] = held
        request.claim()
        for held in request.held:
            self.lines.watchers[held.offset] = held.moved
        peer.reply(0, payload, [request.events.handed])
        os.close(request.events.handed)
        peer.serve = request.serve
        peer.on_close = request.release

    def _refuse_if_held(self, offset: int) -> None:
        held = self._holders.get(offset)
        if held is not None:
            held.request.hung_up()  # a holder that has just died must not be in its successor's way
        if offset in self._holders:
            raise abi.Rejected(errno.EBUSY)
