"""A site with a valve on GPIO, a siren on an I2C board and a fan on a Modbus board: whole processes, real signals."""

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.system.kitchen import Kitchen, wait_for

SITE = """
version: 1
site: {id: boards, name: Boards}
buses:
  header: {type: gpio, device: /dev/gpiochip0}
  sensors: {type: i2c, device: /dev/i2c-1}
  machines: {type: modbus_rtu, device: /dev/serial/by-id/usb-RS485-1, baud: 9600}
outputs:
  gas_valve: {driver: relay, bus: header, line: GPIO17, active: high, safe: off}
  siren: {driver: mcp23017, bus: sensors, address: 0x20, pin: 3, active: low, safe: off}
  hood_fan: {driver: modbus_output, bus: machines, unit: 6, at: 0, kind: coil, safe: off}
"""
NAMES = ("gas_valve", "siren", "hood_fan")


@pytest.fixture
def boards() -> Iterator[Kitchen]:
    """The site runs, and everything has been switched on."""
    with Kitchen(edit=lambda _: SITE) as made:
        for name in NAMES:
            made.command("set", name, value=True, for_s=600.0, reason="test")
        wait_for("all loads have power", partial(loads, made, set(NAMES)))
        yield made


def loads(boards: Kitchen, wanted: set[str]) -> bool:
    """Whether exactly these have power."""
    quantities = boards.sim("status")["status"]["quantities"]
    return {name for name in NAMES if quantities[f"{name}.on"]} == wanted


def driven(boards: Kitchen, **wanted: bool | None) -> bool:
    """Whether control says so."""
    return all(boards.output(name)["driven"] is level for name, level in wanted.items())


def test_control_killed_every_board_is_safe(boards: Kitchen) -> None:
    """The boards keep their levels when control dies: the safe-state program switches them off."""
    os.kill(boards.pid("control"), signal.SIGKILL)
    wait_for("the safe-state program has spoken", lambda: "coil 0x0000 = 0x0000" in safe_state_log(boards))
    log = safe_state_log(boards)
    assert "GPIO17 on /dev/gpiochip0: 0" in log
    assert "0x20 on /dev/i2c-1: register 0x14 & 0x08 = 0x08" in log
    assert "NOT" not in log
    wait_for("control again", partial(driven, boards, gas_valve=True))  # its state is restored: the command holds


def safe_state_log(boards: Kitchen) -> str:
    """What the safe-state program has said."""
    return next(boards.state.rglob("safe-state.log")).read_text()


def test_a_board_that_hangs_is_told_and_the_valve_follows(boards: Kitchen) -> None:
    """The siren's bus hangs: its level is unknown, an alarm stands, control lives on and the valve obeys."""
    control = boards.pid("control")
    boards.sim("fault siren hang")
    wait_for("the siren is lost", partial(driven, boards, siren=None))
    for level in (False, True):
        boards.command("set", "gas_valve", value=level, for_s=600.0, reason="test")
        wait_for("the valve follows", partial(driven, boards, gas_valve=level), 1.0)
    wait_for("the health point", lambda: boards.point("gateway/control.outputs_ok")["value"] is False)
    boards.sim("fault siren none")
    wait_for("the siren is back", partial(driven, boards, siren=True))
    wait_for("all loads have power", partial(loads, boards, set(NAMES)))
    assert boards.pid("control") == control


def test_a_board_that_was_reset_is_set_up_again(boards: Kitchen) -> None:
    """A dip of its supply switches everything off: noticed and mended, the I2C one within two seconds."""
    boards.sim("fault siren brownout")
    wait_for("all loads have power again", partial(loads, boards, set(NAMES)), 5.0)
    boards.sim("fault hood_fan brownout")
    wait_for("all loads have power again", partial(loads, boards, set(NAMES)), 10.0)


def test_a_clean_stop_leaves_every_board_safe(boards: Kitchen) -> None:
    """Ctrl-C: what the simulator's parts do at the end is off, and control says that all is safe."""
    os.kill(boards.pid("control"), signal.SIGTERM)
    wait_for("control has said so", lambda: "every output is safe" in boards.log.read_text())
