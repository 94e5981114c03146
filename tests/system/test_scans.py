"""What is scanned is kept: once, in order, whoever was away or died meanwhile, within the bound the documents give."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_hw.machine import Machine, Wiring
from fake_hw.parts.barcode import check_digit
from gateway.local.client import Client, Connection
from gateway.local.paths import StatePaths
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files
from tests.system.kitchen import REPOSITORY, wait_for

SCANNER = "/dev/serial/by-id/usb-SCANNER-if00"
READER = "/dev/serial/by-id/usb-READER-if00"
SITE = f"""
version: 1
site: {{id: goods-in}}
buses:
  scanner: {{type: serial, device: {SCANNER}}}
  reader: {{type: serial, device: {READER}}}
devices:
  goods_in: {{driver: barcode, bus: scanner, every: 200 ms, sends_separators: on}}
  staff_reader: {{driver: rdm6300, bus: reader, every: 200 ms}}
"""
UNCOMMITTED_S = 1.5
"""What a kill of control may cost (docs/local-protocol.md): the recorder's commit interval, and the way there."""
SOAK = os.environ.get("KG_SOAK") == "1"


class GoodsIn:
    """A scanner and a card reader on simulated wires, and the gateway's processes."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
        self.state = self.home / "s"
        self.paths = StatePaths(self.state)
        self.state.mkdir()
        self.machine = Machine(str(self.home / "sim"))
        self.machine.place("barcode", "goods_in", Wiring("serial", SCANNER))
        self.machine.place("rdm6300", "staff_reader", Wiring("serial", READER))
        self.machine.start()
        self.machine.set(staff_reader__present=0.0)
        (self.home / "site.yaml").write_text(SITE)
        snapshot.write(self.paths.snapshot, compile_files(self.home / "site.yaml"))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.scanned = 0
        for name in ("control", "field", "recorder"):
            self.start(name)
        wait_for("the scanner is read", self.is_reading)

    def start(self, name: str) -> None:
        sim = ("--sim",) if name == "recorder" else ("--sim", self.machine.root)
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "gateway", name, "--state", str(self.state), *sim],
            stdout=(self.home / "log").open("ab"),
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
        )

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait(10)

    def is_reading(self) -> bool:
        with Client(Connection(self.paths.control_sock, "test")) as client:
            points = {str(row["point"]): str(row["quality"]) for row in client.query("points")}
        return points["goods_in.scans"] == "Good"

    def scan(self) -> str:
        """Another label, never the same; its lot."""
        self.scanned += 1
        gtin = f"{self.scanned:013}"
        lot = f"L{self.scanned}"
        label = f"]C101{gtin}{check_digit(gtin)}10{lot}\r"
        self.machine.do(lambda: self.machine.bus("serial", SCANNER).send(label.encode()))
        return lot

    def kept(self, device: str = "goods_in") -> list[dict[str, Any]]:
        """What the recorder has committed about a device, oldest first."""
        with Client(Connection(self.paths.recorder_sock, "test")) as client:
            return list(reversed(client.query("why", target=device, limit=1000)))

    def lots(self) -> list[str]:
        return [event["data"].get("lot", event["what"]) for event in self.kept()]

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(10)
        self.machine.stop()
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def goods_in() -> Iterator[GoodsIn]:
    site = GoodsIn()
    yield site
    site.close()


def test_every_scan_is_kept_once(goods_in: GoodsIn) -> None:
    """Scans while all is well, while control is dead and while the recorder is: each arrives once, in order."""
    site = goods_in
    lots = [site.scan() for _ in range(5)]
    wait_for("five scans are kept", lambda: site.lots() == lots)
    assert {(event["class"], event["what"]) for event in site.kept()} == {("device", "scanned")}

    site.kill("control")
    for _ in range(3):
        lots.append(site.scan())
        time.sleep(0.25)  # each is read by itself
    site.start("control")
    lots.append(site.scan())
    wait_for("scans made while control was dead are kept", lambda: site.lots() == lots)

    site.kill("recorder")
    lots += [site.scan(), site.scan()]
    time.sleep(0.5)
    site.start("recorder")
    wait_for("scans made while the recorder was dead are kept", lambda: site.lots() == lots)


def test_a_card_is_kept_too(goods_in: GoodsIn) -> None:
    """A reader on control's own wires takes the short way: one event for a card that stays."""
    goods_in.machine.set(staff_reader__present=1.0)
    wait_for("the card is kept", lambda: goods_in.kept("staff_reader"))
    time.sleep(0.5)
    (event,) = goods_in.kept("staff_reader")
    assert (event["class"], event["what"], event["data"]["number"]) == ("device", "presented", "0010597059")


@pytest.mark.timeout(600 if SOAK else 60)
def test_a_kill_of_control_costs_at_most_what_was_not_committed(goods_in: GoodsIn) -> None:
    """kill -9 at random instants among scans: nothing twice, order kept, lost only what came just before."""
    site, chance = goods_in, random.Random(7)
    scanned: dict[str, float] = {}
    kills: list[float] = []
    for _ in range(20 if SOAK else 2):
        for _ in range(8):
            scanned[site.scan()] = time.monotonic()
            time.sleep(chance.uniform(0.02, 0.3))
        kills.append(time.monotonic())
        site.kill("control")
        scanned[site.scan()] = time.monotonic()
        site.start("control")
        wait_for("control is back", site.is_reading)
    last = site.scan()
    wait_for("the last scan is kept", lambda: last in site.lots())
    lots = site.lots()
    assert len(set(lots)) == len(lots)
    assert lots == sorted(lots, key=lambda lot: int(lot[1:]))
    for lot in set(scanned) - set(lots):
        assert any(0 <= kill - scanned[lot] < UNCOMMITTED_S for kill in kills), f"{lot} was lost without a reason"
