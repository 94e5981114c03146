"""The shape of a recorder file, for the hot path: plain sqlite3 and nothing else."""

import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

from gateway.core.record import Batch, Lane, RecordClass

VERSION = 1
"""`PRAGMA user_version` of the newest schema: how many migrations gateway.recorder.migrate knows."""

COLUMNS = "id, run, kind, first, count, boot, mono, ts, flags, crc, body"
_TRUSTED, _SIM, _DEFLATED = 1, 2, 4
_RAW = -15  # zlib's wbits for deflate without a header: our own checksum covers the body
_MIGRATE_S = 300.0

RecordRow = tuple[int, str, str, int, int, str, int, int, int, int, bytes]


def migrate(files: list[Path]) -> None:
    """Bring these files to the newest schema in a process of their own, which needs 28 MB we do not want to keep.

    Blocks until it is done. Raises OSError with its last words when it failed.
    """
    flags = ["-I"] if sys.flags.isolated else []
    command = [sys.executable, *flags, "-m", "gateway.recorder.migrate", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_MIGRATE_S, check=False)
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["no message"]
        raise OSError(f"the database could not be brought to schema {VERSION}: {words[-1]}")


def version(connection: sqlite3.Connection) -> int:
    """The schema the file has; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def encode(row: int, batch: Batch) -> RecordRow:
    """The columns of one stored batch. The body is deflated: a third of the bytes, so fewer pages for 6 µs."""
    packed = zlib.compress(batch.body, 6, _RAW)
    deflate = len(packed) < len(batch.body)
    flags = _TRUSTED * batch.trusted | _SIM * batch.sim | _DEFLATED * deflate
    return (
        row,
        batch.run,
        batch.kind.value,
        batch.first,
        batch.count,
        batch.boot,
        batch.mono,
        batch.ts,
        flags,
        checksum(batch),
        packed if deflate else batch.body,
    )


def decode(columns: RecordRow) -> Batch | None:
    """The batch in a row; None when the row does not match its checksum."""
    try:
        _, run, kind_text, first, count, boot, mono, ts, flags, crc, body = columns
        kind = RecordClass(kind_text)
        body = zlib.decompress(body, _RAW) if flags & _DEFLATED else body
        batch = Batch(
            run, kind.lane, kind, first, count, boot, mono, ts, bool(flags & _TRUSTED), bool(flags & _SIM), body
        )
        return batch if checksum(batch) == crc else None
    except (TypeError, ValueError, zlib.error):
        return None


def checksum(batch: Batch) -> int:
    """CRC-32 over the identity, the times and the body: finds flips that SQLite's own structure does not show."""
    head = f"{batch.run}/{batch.kind}/{batch.first}/{batch.count}/{batch.boot}/{batch.mono}/{batch.ts}"
    return zlib.crc32(batch.body, zlib.crc32(f"{head}/{batch.trusted:d}{batch.sim:d}".encode()))


def file_name(lane: Lane) -> str:
    """The lane's database file."""
    return "outbox.db" if lane is Lane.TELEMETRY else "critical.db"
