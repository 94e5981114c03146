"""pymodbus's server as an independent slave: on TCP, or at the end of a pair of joined pseudo-terminals."""

import asyncio
import contextlib
import os
import select
import threading
import tty
from collections.abc import Coroutine, Iterator
from typing import Any

from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

UNIT = 7
WORDS = [(index * 0x1357 + 11) & 0xFFFF for index in range(200)]
BITS = [index % 3 == 0 for index in range(64)]


def device() -> SimDevice:
    """Four tables of their own: coils, discrete inputs, holding and input registers."""
    bits = [SimData(0, values=BITS, datatype=DataType.BITS)]
    words = [SimData(0, values=WORDS, datatype=DataType.REGISTERS)]
    return SimDevice(UNIT, (bits, bits, words, words))


class Background:
    """A server in an event loop of a thread of its own."""

    def __init__(self, server: Any) -> None:
        self._make = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._wait(self._started())

    async def _started(self) -> Any:
        server = self._make()
        await server.serve_forever(background=True)
        return server

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self._server.transport.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """End server and loop."""
        self._wait(self._server.shutdown())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, task: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(5.0)


@contextlib.contextmanager
def tcp_server() -> Iterator[int]:
    """The port of a running server."""
    server = Background(lambda: ModbusTcpServer(device(), address=("127.0.0.1", 0)))
    try:
        yield server.port
    finally:
        server.stop()


@contextlib.contextmanager
def rtu_server(near: str) -> Iterator[None]:
    """A server whose line ends at the link `near`."""
    with joined_terminals(near) as far:
        server = Background(lambda: ModbusSerialServer(device(), port=far, baudrate=9600, timeout=1))
        try:
            yield
        finally:
            server.stop()


@contextlib.contextmanager
def joined_terminals(near: str) -> Iterator[str]:
    """A line between the link `near` and the terminal whose path this gives."""
    ends = [os.openpty() for _ in range(2)]
    for _, slave in ends:
        tty.setraw(slave)
    stop, stopping = os.pipe()
    (one, one_slave), (two, two_slave) = ends

    def pump() -> None:
        while True:
            ready, _, _ = select.select([one, two, stop], [], [])
            if stop in ready:
                return
            for source, target in ((one, two), (two, one)):
                if source in ready:
                    os.write(target, os.read(source, 4096))

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    os.symlink(os.ttyname(one_slave), near)
    try:
        yield os.ttyname(two_slave)
    finally:
        os.write(stopping, b"x")
        thread.join()
        for descriptor in (*ends[0], *ends[1], stop, stopping):
            os.close(descriptor)
