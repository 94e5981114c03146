"""Modbus TCP: real sockets to a simulated host and to pymodbus's server; late, lost and foreign answers."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from drivers.buses import modbus_frames, open_bus
from drivers.buses.modbus_tcp import PAUSES_S, TcpConnection
from drivers.decoding import modbus_pdu as pdu
from fake_hw.inject import install
from fake_hw.machine import Machine
from fake_hw.parts.modbus_slave import RegisterSlave
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected
from tests import modbus_server

URL = "tcp://192.168.1.50:502"
FAULTS = frozenset({"nack", "hang", "slow", "ones", "garbage", "short", "exception"})
TIMEOUT_S = 0.1
READ = pdu.read("holding", 0, 2)


@pytest.fixture
def host(root: str) -> Iterator[Machine]:
    """A host with two units behind it, under the address of the site file."""
    machine = Machine(root)
    for unit, name in ((1, "one"), (2, "two")):
        slave = RegisterSlave(holdings={at: 100 * unit + at for at in range(130)})
        machine.bus("modbus_tcp", URL).attach(unit, slave, machine.condition(name, FAULTS))
    machine.start()
    undo = install(root)
    yield machine
    undo()
    machine.stop()


def connected(url: str = URL) -> TcpConnection:
    opened = open_bus(Bus("lan", "modbus_tcp", url=url))
    assert isinstance(opened, TcpConnection)
    return opened


@pytest.fixture
def master(host: Machine) -> Iterator[TcpConnection]:
    """Ours."""
    opened = connected()
    yield opened
    opened.close()


def words(master: TcpConnection, unit: int, request: bytes = READ, timeout_s: float = TIMEOUT_S) -> tuple[int, ...]:
    return pdu.words(master.request(unit, request, timeout_s))


def test_units_behind_one_host(master: TcpConnection) -> None:
    """One connection serves several units; the longest reply comes whole; writes are acknowledged."""
    assert words(master, 1) == (100, 101)
    assert words(master, 2, pdu.read("holding", 5, 125)) == tuple(range(205, 330))
    request = pdu.write_registers(3, [7, 8])
    assert master.request(1, request, TIMEOUT_S) == request[:5]
    assert words(master, 1, pdu.read("holding", 3, 2)) == (7, 8)


@pytest.mark.parametrize("fault", ["ones", "garbage", "short", "nack", "hang"])
def test_a_broken_unit_gives_no_value_and_recovers(host: Machine, master: TcpConnection, fault: str) -> None:
    """No bytes of it are a value; healed, it answers at the next request."""
    words(master, 1)
    host.fault("one", fault)
    for _ in range(3):
        with pytest.raises((InvalidData, DeviceTimeout, NotConnected)):
            words(master, 1)
    host.fault("one", "none")
    assert words(master, 1) == (100, 101)


def test_late_replies_are_dropped(host: Machine, master: TcpConnection) -> None:
    """A reply to a request that was given up is not the answer to another one, however often."""
    host.fault("one", "slow")
    with pytest.raises(DeviceTimeout, match=r"unit 1 at 192\.168\.1\.50:502 does not answer"):
        words(master, 1)
    host.fault("one", "none")
    assert words(master, 1, pdu.read("holding", 50, 2), 1.0) == (150, 151)
    assert words(master, 2, timeout_s=1.0) == (200, 201)


def test_a_refusal_is_told_in_words(host: Machine, master: TcpConnection) -> None:
    """Exception replies come through with their meaning, and the connection stays."""
    with pytest.raises(DeviceError, match="unit 2 refuses: illegal address"):
        words(master, 2, pdu.read("holding", 500, 1))
    host.fault("one", "exception")
    with pytest.raises(DeviceError, match="unit 1 refuses: slave error"):
        words(master, 1)
    assert words(master, 2) == (200, 201)


def test_off_the_network_and_back(host: Machine, master: TcpConnection) -> None:
    """A host that goes is NotConnected with words; after the second failure its address is left alone for a pause."""
    words(master, 1)
    host.plug(URL, False)
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(NotConnected, match=r"192\.168\.1\.50:502"):
            words(master, 1)
    assert time.monotonic() - began < PAUSES_S[1], "no attempt after the second until the pause is over"
    host.plug(URL, True)
    with pytest.raises(NotConnected):
        words(master, 1)
    master.close()
    assert words(master, 1) == (100, 101), "a bus that is opened afresh tries at once"


def test_an_idle_connection_that_the_host_ended(host: Machine, master: TcpConnection) -> None:
    """Many devices hang up after a while: the next request connects again without a word."""
    words(master, 1)
    host.plug(URL, False)
    host.plug(URL, True)
    assert words(master, 1) == (100, 101)


class Scripted:
    """A server whose every answer a test writes: `answer(request message) → bytes`, None for silence."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):  # ours hung up in the middle of an answer
            while message := connection.recv(300):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in self._answer(message) or b"":
                    connection.sendall(bytes([byte]))

    def close(self) -> None:
        """Accept nobody any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def good(message: bytes) -> bytes:
    return modbus_frames.mbap(int.from_bytes(message[:2], "big"), message[6], b"\x03\x04\x00\x01\x00\x02")


@pytest.mark.parametrize(
    ("answer", "words_"),
    [
        (lambda message: good(message)[:6] + b"\x63" + good(message)[7:], "unit 99 at .* answered instead of 1"),
        (lambda message: good(message)[:7] + b"\x04" + good(message)[8:], "another answer"),
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "is another service on this port"),
    ],
)
def test_foreign_answers_are_refused(answer: Callable[[bytes], bytes], words_: str) -> None:
    """Another unit, another function, another protocol: errors with a cure, never a value."""
    server = Scripted(answer)
    master = connected(server.url)
    with pytest.raises(InvalidData, match=words_):
        words(master, 1)
    master.close()
    server.close()


def test_replies_in_pieces_the_late_one_before_ours() -> None:
    """TCP has no message borders: every byte comes by itself, and an older request's reply before ours is dropped."""
    kept: list[bytes] = []

    def answer(message: bytes) -> bytes | None:
        kept.append(good(message))
        return None if len(kept) == 1 else kept[0].replace(b"\x01\x00\x02", b"\x09\x00\x09") + kept[1]

    server = Scripted(answer)
    master = connected(server.url)
    with pytest.raises(DeviceTimeout):
        words(master, 1)
    assert words(master, 1) == (1, 2)
    assert server.connections == 1
    master.close()
    server.close()


def test_a_host_that_never_stops_talking_is_a_silent_one() -> None:
    """Replies that nobody asked for, faster than they can be read: the call ends in time, the next connects afresh."""
    foreign = modbus_frames.mbap(0x7777, 1, b"\x03\x04\x00\x01\x00\x02") * 5000
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stopping = threading.Event()
        thread = threading.Thread(target=flood, args=(listener, foreign, stopping), daemon=True)
        thread.start()
        master = connected(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises((DeviceTimeout, InvalidData, NotConnected)):
                words(master, 1)
            assert time.monotonic() - began < 1.0
        stopping.set()
        master.close()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5.0)


def flood(listener: socket.socket, data: bytes, stopping: threading.Event) -> None:
    """Send `data` again and again to whoever connects."""
    while not stopping.is_set():
        try:
            with listener.accept()[0] as connection:
                while not stopping.is_set():
                    connection.sendall(data)
        except OSError:
            continue


def test_half_a_message_ends_the_connection() -> None:
    """Nobody knows where the next one begins: the rest, when it comes, is not read as something else."""
    server = Scripted(lambda message: good(message)[:9] if server.connections == 1 else good(message))
    master = connected(server.url)
    with pytest.raises(DeviceTimeout):
        words(master, 1)
    assert words(master, 1) == (1, 2)
    assert server.connections == 2
    master.close()
    server.close()


def test_a_dead_connection_is_given_up_after_two_silences() -> None:
    """TCP itself would believe in a host without power for a quarter of an hour."""
    server = Scripted(lambda message: None if server.connections == 1 else good(message))
    master = connected(server.url)
    for _ in range(2):
        with pytest.raises(DeviceTimeout):
            words(master, 1)
    assert words(master, 1) == (1, 2)
    assert server.connections == 2
    master.close()
    server.close()


def test_a_connect_that_nobody_answers_ends_in_time() -> None:
    """A full backlog drops our SYN as a dead address would: the timeout counts for connecting too."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        queued = [socket.socket() for _ in range(4)]
        for each in queued:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        began = time.monotonic()
        with pytest.raises(NotConnected, match="no connection to"):
            words(connected(f"tcp://127.0.0.1:{port}"), 1)
        assert time.monotonic() - began < 1.0
        for each in queued:
            each.close()


def test_pymodbuss_server_understands_us() -> None:
    """Every function against an independent server: values, writes and refusals."""
    with modbus_server.tcp_server() as port:
        master = connected(f"tcp://127.0.0.1:{port}")
        unit = modbus_server.UNIT
        assert words(master, unit, pdu.read("holding", 0, 125), 1.0) == tuple(modbus_server.WORDS[:125])
        assert words(master, unit, pdu.read("input", 190, 10), 1.0) == tuple(modbus_server.WORDS[190:])
        assert pdu.bits(master.request(unit, pdu.read("coil", 0, 37)), 37) == tuple(modbus_server.BITS[:37])
        assert pdu.bits(master.request(unit, pdu.read("discrete", 5, 9)), 9) == tuple(modbus_server.BITS[5:14])
        for request in (pdu.write_coil(1, True), pdu.write_coils(3, [True] * 9), pdu.write_registers(4, [0xABCD, 5])):
            assert master.request(unit, request) == request[:5]
        assert words(master, unit, pdu.read("holding", 4, 2), 1.0) == (0xABCD, 5)
        with pytest.raises(DeviceError, match="refuses: illegal address"):
            words(master, unit, pdu.read("holding", 5000, 1), 1.0)
        master.close()
