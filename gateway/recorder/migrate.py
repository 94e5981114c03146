"""`python -m gateway.recorder.migrate FILE…` brings files to the newest schema. The recorder never imports this."""

import sys
from pathlib import Path

from sqlite_utils import Database, Migrations

from gateway.recorder.schema import VERSION

PAGE_BYTES = 1024
"""A deflated second of readings is some 450 bytes. Bytes written to the disk per reading, measured by bench/store.py,
at 1 s and 5 s commits: 401 and 105 with pages of 1024, 458 and 110 with 2048, 565 and 133 with SQLite's usual 4096."""


migrations = Migrations("recorder")


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils is skipped by mypy
def record_and_gap(db: Database) -> None:
    """One row per batch, its ledger in the newest row; gaps that must be told."""
    # No AUTOINCREMENT and no index: each costs a page more per commit (docs/adr on the store).
    db.execute(
        "CREATE TABLE record (id INTEGER PRIMARY KEY, run TEXT, kind TEXT, first INTEGER, count INTEGER, boot TEXT,"
        " mono INTEGER, ts INTEGER, flags INTEGER, crc INTEGER, state TEXT, body BLOB)"
    )
    db.execute(
        "CREATE TABLE gap (id INTEGER PRIMARY KEY, run TEXT, kind TEXT, first INTEGER, last INTEGER, cause TEXT,"
        " told INTEGER)"
    )
    db.execute("CREATE TABLE warm (id INTEGER PRIMARY KEY, turn INTEGER)")


def migrate(path: Path) -> None:
    """Apply what is missing to one file; creates it. Raises sqlite3.Error."""
    db = Database(str(path))
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file; without effect on any other
    db.enable_wal()
    migrations.apply(db)
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.close()


def main(files: list[str]) -> int:
    """0 when every file has the newest schema."""
    for name in files:
        migrate(Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
