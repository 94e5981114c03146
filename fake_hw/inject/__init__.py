"""Puts simulated device nodes below the system calls of this process, so that unmodified libraries find them.

Replaced: `os.open`, `os.close` and `fcntl.ioctl`, which pass everything through but paths below the root that are
sockets, and descriptors that came from them; below the root, opening a link to `errno:N` fails with that errno. A GPIO
line request's descriptor is a real socket on which the kernel's event records arrive. The modules that adafruit_dht
stands on (`board`, `digitalio`, `microcontroller`, `pulseio`) come from `fake_hw.inject.blinka` when something imports
them. `socket.create_connection` finds the hosts that the machine plays (fake_hw.inject.network).
"""

import _thread
import array
import errno
import fcntl
import importlib.abc
import os
import socket
import struct
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from fake_hw.inject import network
from fake_hw.node import connect

_GPIO_GET_LINE = 0xC250B407
_GPIO_TYPE = 0xB4
_I2C_TYPE = 0x07
_SPI_TYPE = 0x6B
_INPUT_TYPE = 0x45
_CLOSE = 0
_FD_AT = 588  # offset of `fd` in struct gpio_v2_line_request
_ANSWER = 65536


class Node:
    """One opened descriptor: the connection that answers its ioctls and what the driver remembers of it."""

    __slots__ = ("address", "connection", "inode", "lock", "path", "spi_bits", "spi_mode", "spi_speed_hz")

    def __init__(self, path: str, descriptor: int, connection: socket.socket) -> None:
        self.path = path
        self.connection = connection
        self.inode = os.fstat(descriptor).st_ino
        self.lock = _thread.allocate_lock()
        self.address = 0  # I2C_SLAVE
        self.spi_mode, self.spi_bits, self.spi_speed_hz = 0, 8, 125_000_000

    def ask(self, packet: bytes) -> tuple[bytes, list[int]]:
        """One question and its answer: (bytes written back, descriptors). Raises OSError with the chip's errno."""
        with self.lock:
            try:
                self.connection.send(packet)
                answer, ancillary, _, _ = self.connection.recvmsg(
                    _ANSWER, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
                )
            except OSError as error:
                raise _os_error(errno.ENODEV) from error
        if len(answer) < 4:
            raise _os_error(errno.ENODEV)
        (code,) = struct.unpack_from("<i", answer)
        if code:
            raise _os_error(code)
        return answer[4:], [number for _, _, data in ancillary for number in array.array("i", data)]


class Machine:
    """The device nodes this process has open, by descriptor, and the system calls as they were."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._prefixes = tuple({self.root + "/", os.path.abspath(root) + "/"})
        self._nodes: dict[int, Node] = {}
        self._open, self._close, self._ioctl = os.open, os.close, fcntl.ioctl

    def install(self) -> None:
        """Replace the three calls, also where a library has imported `ioctl` by name."""
        os.open, os.close, fcntl.ioctl = self.open, self.close, self.ioctl  # type: ignore[assignment]  # same shape
        for module in tuple(sys.modules.values()):
            if getattr(module, "__dict__", {}).get("ioctl") is self._ioctl:
                module.ioctl = self.ioctl  # type: ignore[attr-defined]  # found in its namespace just before

    def uninstall(self) -> None:
        """Put the three calls back."""
        os.open, os.close, fcntl.ioctl = self._open, self._close, self._ioctl
        for module in tuple(sys.modules.values()):
            if getattr(module, "__dict__", {}).get("ioctl") == self.ioctl:
                module.ioctl = self._ioctl  # type: ignore[attr-defined]  # as above

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """os.open, and a connection when the path is a simulated node."""
        try:
            return self._open(path, flags, mode, dir_fd=dir_fd)
        except OSError as error:
            if error.errno == errno.ENOENT and self._is_ours(path):
                raise _shown(os.fspath(path)) or error from None
            if error.errno != errno.ENXIO or not self._is_ours(path):  # ENXIO: what open(2) says of any socket
                raise
        return self._adopt(os.fspath(path))

    def close(self, descriptor: int) -> None:
        """os.close; a line request's lines are free when it returns."""
        node = self._nodes.get(descriptor)
        if node is None or not self._is_current(descriptor, node):
            self._close(descriptor)
            return
        del self._nodes[descriptor]
        if node.connection.fileno() == descriptor:
            node.connection.close()
            return
        try:
            node.ask(struct.pack("<I", _CLOSE))
        except OSError:
            pass  # the chip is gone and so are its requests
        finally:
            node.connection.close()
            self._close(descriptor)

    def ioctl(self, descriptor: Any, request: int, argument: Any = 0, mutate_flag: bool = True) -> Any:
        """fcntl.ioctl, answered by the simulator for its own descriptors."""
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        node = self._nodes.get(number)
        if node is None or not self._is_current(number, node):
            return self._ioctl(descriptor, request, argument, mutate_flag)
        kind = request >> 8 & 0xFF
        if kind == _I2C_TYPE:
            from fake_hw.inject import i2c

            return i2c.ioctl(node, request, argument)
        if kind == _SPI_TYPE:
            from fake_hw.inject import spi

            answer = spi.ioctl(node, request & 0xFFFFFFFF, argument)
            return answer if isinstance(answer, int) else _handed_back(argument, answer, mutate_flag)
        if kind == _GPIO_TYPE:
            return self._gpio(node, request & 0xFFFFFFFF, argument, mutate_flag)
        if kind == _INPUT_TYPE:  # its one request, EVIOCGRAB, takes a number
            node.ask(struct.pack("<Ii", request & 0xFFFFFFFF, int(argument)))
            return 0
        raise _os_error(errno.ENOTTY)

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.abspath(os.fspath(path)).startswith(self._prefixes)

    def _adopt(self, path: str) -> int:
        try:
            connection = connect(path)
        except ConnectionRefusedError:
            raise _os_error(errno.ENODEV, path) from None
        descriptor = connection.fileno()
        self._forget(descriptor)
        self._nodes[descriptor] = Node(path, descriptor, connection)
        return descriptor

    def _is_current(self, descriptor: int, node: Node) -> bool:
        """False when the descriptor was closed behind our back and its number given to something else."""
        try:
            current = os.fstat(descriptor).st_ino == node.inode
        except OSError:
            current = False
        if not current:
            self._forget(descriptor)
        return current

    def _forget(self, descriptor: int) -> None:
        """Drop a node whose descriptor somebody else closed: the number may belong to another file by now."""
        node = self._nodes.pop(descriptor, None)
        if node is None:
            return
        if node.connection.fileno() == descriptor:
            node.connection.detach()
        else:
            node.connection.close()

    def _gpio(self, node: Node, request: int, argument: Any, mutate: bool) -> Any:
        payload = bytes(argument)
        packet = struct.pack("<I", request) + payload
        answer = self._claim(node, packet) if request == _GPIO_GET_LINE else node.ask(packet)[0]
        return _handed_back(argument, answer, mutate)

    def _claim(self, chip: Node, packet: bytes) -> bytes:
        """Open a connection of its own for the request; its descriptor is the socket that carries the events."""
        try:
            connection = connect(chip.path)
        except OSError as error:
            raise _os_error(errno.ENODEV) from error
        asking = Node(chip.path, connection.fileno(), connection)
        try:
            answer, descriptors = asking.ask(packet)
        except OSError:
            connection.close()
            raise
        descriptor = descriptors[0]
        self._forget(descriptor)
        asking.inode = os.fstat(descriptor).st_ino
        self._nodes[descriptor] = asking
        return answer[:_FD_AT] + struct.pack("=i", descriptor)


class _Blinka(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules below adafruit_dht that exist on a Pi's board only."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in {"board", "digitalio", "microcontroller", "pulseio"} else None

    def exec_module(self, module: ModuleType) -> None:
        from fake_hw.inject import blinka

        blinka.fill(module, self._root)


def _handed_back(argument: Any, answer: bytes, mutate: bool) -> Any:
    """What fcntl.ioctl does with an answer: into the caller's buffer, or returned when that can't be changed."""
    if not mutate or memoryview(argument).readonly:
        return answer
    _write_back(argument, answer)
    return 0


def _write_back(argument: Any, answer: bytes) -> None:
    """Copy an answer into the caller's buffer: a bytearray, an array or a ctypes structure."""
    try:
        memoryview(argument).cast("B")[: len(answer)] = answer
    except TypeError:  # a structure's layout cannot be cast; whoever made one has ctypes loaded
        import ctypes

        ctypes.memmove(ctypes.addressof(argument), answer, len(answer))


def _shown(path: str) -> OSError | None:
    """The error that a file of sysfs stands for: a link to nowhere, such as `errno:110`."""
    try:
        kind, _, code = os.readlink(path).partition(":")
    except OSError:
        return None
    return _os_error(int(code), path) if kind == "errno" else None


def _os_error(code: int, path: str | None = None) -> OSError:
    return OSError(code, os.strerror(code), path) if path else OSError(code, os.strerror(code))


def install(root: str) -> Callable[[], None]:
    """Let this process find the simulated machine below `root`; returns a function that undoes it. Call it early."""
    machine = Machine(root)
    machine.install()
    forget_hosts = network.install(root)
    finder = _Blinka(machine.root)
    sys.meta_path.insert(0, finder)

    def undo() -> None:
        machine.uninstall()
        forget_hosts()
        sys.meta_path.remove(finder)

    return undo
