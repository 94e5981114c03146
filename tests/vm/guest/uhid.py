"""USB HID devices made in user space (linux/uhid.h): the kernel's own driver for that product takes them for real."""

import contextlib
import os
import select
import struct
import threading
from collections.abc import Callable

DESTROY, OUTPUT, GET_REPORT, GET_REPORT_REPLY, CREATE2, INPUT2 = 1, 6, 9, 10, 11, 12
BUS_USB = 3
EVENT_SIZE = 4380  # struct uhid_event, packed
DATA_SIZE = 4096


class UserHid:
    """One device. answer: takes an output report and returns the input report that follows it, b"" for none."""

    def __init__(
        self, name: str, product: tuple[int, int], descriptor: bytes, answer: Callable[[bytes], bytes]
    ) -> None:
        self._answer = answer
        self._file = os.open("/dev/uhid", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._leaving = False
        self._gone = threading.Event()
        identity = struct.pack("=HHIIII", len(descriptor), BUS_USB, *product, 0, 0)
        self._write(CREATE2, struct.pack("=128s64s64s", name.encode(), b"", b"") + identity + descriptor)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """The device leaves; harmless when repeated. The kernel is not done with it before its holders let go."""
        if not self._leaving:
            self._leaving = True
            threading.Thread(target=self._destroy, daemon=True).start()

    def _destroy(self) -> None:
        self._write(DESTROY, b"")
        self._gone.set()

    def _write(self, kind: int, payload: bytes) -> None:
        os.write(self._file, (struct.pack("=I", kind) + payload).ljust(EVENT_SIZE, b"\0"))

    def _serve(self) -> None:
        while not self._gone.is_set():
            select.select([self._file], [], [], 0.2)
            with contextlib.suppress(BlockingIOError):
                self._take(os.read(self._file, EVENT_SIZE))

    def _take(self, event: bytes) -> None:
        (kind,) = struct.unpack_from("=I", event)
        if kind == OUTPUT:
            (size,) = struct.unpack_from("=H", event, 4 + DATA_SIZE)
            report = self._answer(event[4 : 4 + size])
            if report:
                self._write(INPUT2, struct.pack("=H", len(report)) + report)
        elif kind == GET_REPORT:
            (number,) = struct.unpack_from("=I", event, 4)
            self._write(GET_REPORT_REPLY, struct.pack("=IHH", number, 5, 0))  # EIO: it has none
