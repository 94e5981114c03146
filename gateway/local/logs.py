"""Logs that never make the caller wait: loggers put into a bounded queue, a side thread writes."""

import atexit
import logging
import os
import sys
import threading
import time
from queue import SimpleQueue
from types import TracebackType

QUEUE_LIMIT = 2000
"""Records that may wait for a reader that does not keep up; more are dropped and counted."""

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))


class Logs(logging.Handler):
    """The root logger's only handler. `emit` costs microseconds and takes no lock that a writer may hold."""

    def __init__(self, process: str, descriptor: int = 2) -> None:
        super().__init__()
        self.dropped = 0
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._writer = _writer(process, descriptor)
        self._thread = threading.Thread(target=self._drain, name="log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue the record. The standard handler's lock is left out on purpose: nothing here needs it."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record, its message made now: its arguments may change later."""
        if self._queue.qsize() >= QUEUE_LIMIT:
            self.dropped += 1
            return
        try:
            record.msg, record.args = record.getMessage(), None
        except Exception as error:
            record.msg, record.args = f"{record.msg!r} {record.args!r} (a broken log call: {error})", None
        self._queue.put(record)

    def stop(self, timeout_s: float = 0.5) -> None:
        """Write what waits, for at most `timeout_s`: whoever reads the log may be stopped."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _drain(self) -> None:
        told = 0
        while True:
            record = self._queue.get()
            if record is not None:
                self._write(record)
            if self.dropped != told and self._queue.empty():
                lost, told = self.dropped - told, self.dropped
                self._write(_record(f"{lost} log lines were dropped: whoever reads the log did not keep up"))
            if record is None:
                return

    def _write(self, record: logging.LogRecord) -> None:
        try:
            self._writer.emit(record)  # not `handle`: a stopped reader must not hold a lock that exit takes
        except Exception:  # a log that can't be written must not end the thread that writes the next
            self.dropped += 1


class _Lines(logging.Handler):
    """Readable lines, or lines with a `<priority>` when the journal reads them."""

    def __init__(self, process: str, descriptor: int, priorities: bool) -> None:
        super().__init__()
        self._process = process
        self._descriptor = descriptor
        self._priorities = priorities
        self._exceptions = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the lines; blocks as long as the reader does not read."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self._exceptions.formatException(record.exc_info)
        head = self._head(record)
        data = "".join(f"{head}{line}\n" for line in text.splitlines() or [""]).encode("utf-8", "backslashreplace")
        while data:  # os.write, not sys.stderr, whose lock the exit of the interpreter takes
            data = data[os.write(self._descriptor, data) :]

    def _head(self, record: logging.LogRecord) -> str:
        if self._priorities:
            return f"<{_priority(record.levelno)}>{record.name}: "
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        return f"{stamp} {self._process:<8} {record.levelname.lower():<8} {record.name}: "


def configure(process: str, descriptor: int = 2) -> Logs:
    """Send every logger of this process through one queue; uncaught errors of threads and warnings too.

    Level: $KITCHEN_GATEWAY_LOG (debug, info, warning, error), else info. Call once, early, from `main`.
    """
    logs = Logs(process, descriptor)
    logs.start()
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(logs)
    root.setLevel(logging.getLevelNamesMapping().get(os.environ.get("KITCHEN_GATEWAY_LOG", "").upper(), logging.INFO))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda failed: _log_uncaught(
        failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback
    )
    atexit.register(logs.stop)
    return logs


def _writer(process: str, descriptor: int) -> logging.Handler:
    if not _is_journal(descriptor):
        return _Lines(process, descriptor, priorities=False)
    try:
        from systemd import journal  # the library; a folder of that name without it raises ImportError as well
    except ImportError:
        return _Lines(process, descriptor, priorities=True)
    handler: logging.Handler = journal.JournalHandler(SYSLOG_IDENTIFIER=f"gateway-{process}")
    return handler


def _is_journal(descriptor: int) -> bool:
    """Whether this descriptor is the very stream systemd connected; a shell may only have inherited the variable."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _priority(level: int) -> int:
    return next(priority for floor, priority in _PRIORITIES if level >= floor)


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("uncaught").critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))
