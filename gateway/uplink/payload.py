"""What is in the messages (docs/mqtt.md). A body of rows goes out as the very bytes control encoded."""

import json
import math
from typing import Any

import gateway
from gateway.core.clock import Clock
from gateway.core.driver import Channel
from gateway.core.record import Batch
from gateway.settings.model import Configuration, Output
from gateway.uplink.topics import CONTRACT

CONTENT_TYPE = "application/json; charset=utf-8"


def rows(batch: Batch) -> bytes:
    """A telemetry or event message: the identity of its first row, its times, and the stored rows unparsed."""
    head = (
        f'{{"v":{CONTRACT},"run":{_text(batch.run)},"lane":"{batch.lane}","n":{batch.first},"ts":{batch.ts},'
        f'"boot":{_text(batch.boot)},"mono":{batch.mono},"sync":{_flag(batch.trusted)},"sim":{_flag(batch.sim)},"r":'
    )
    return head.encode() + batch.body + b"}"


def status(clock: Clock, sim: bool, accounts: dict[str, Any]) -> bytes:
    """The gateway is online: version, boot, clock, and the accounts that prove completeness."""
    return _encode(_status(clock, sim) | {"online": True, "version": gateway.__version__, "classes": accounts})


def offline(clock: Clock, sim: bool, why: str) -> bytes:
    """The gateway is offline; as a will, `ts` is when the connection was made."""
    return _encode(_status(clock, sim) | {"online": False, "why": why})


def birth(configuration: Configuration, clock: Clock, sim: bool) -> bytes:
    """Devices with their channels, units and ranges; outputs with their safe values, and a unit if not two-state."""
    devices = {
        device.name: {
            "driver": device.driver,
            "every_ms": round(device.every_s * 1000),
            "m": {channel.name: _channel(channel) for channel in device.channels},
        }
        for device in configuration.devices
    }
    outputs = {output.name: _output(output) for output in configuration.outputs}
    return _encode(
        {
            "v": CONTRACT,
            "ts": clock.wall().ms,
            "sim": sim,
            "version": gateway.__version__,
            "site": {"id": configuration.site.id, "name": configuration.site.name},
            "timezone": configuration.site.timezone,
            "configuration": configuration.hash,
            "devices": devices,
            "outputs": outputs,
        }
    )


def reported(configuration: Configuration, clock: Clock) -> bytes:
    """Which configuration is in force."""
    return _encode({"v": CONTRACT, "ts": clock.wall().ms, "version": configuration.version, "hash": configuration.hash})


def state(ts: int, sync: bool, sim: bool, values: dict[str, dict[str, Any]]) -> bytes:
    """The last values of one device, one row per channel, each with its own time."""
    return _encode({"v": CONTRACT, "ts": ts, "sync": sync, "sim": sim, "r": list(values.values())})


def reply(clock: Clock, request: str, ok: bool, message: str) -> bytes:
    """What became of a command."""
    return _encode({"v": CONTRACT, "ts": clock.wall().ms, "id": request, "ok": ok, "message": message})


def _status(clock: Clock, sim: bool) -> dict[str, Any]:
    wall = clock.wall()
    return {"v": CONTRACT, "ts": wall.ms, "sync": wall.trusted, "boot": clock.boot_id, "sim": sim}


def _channel(channel: Channel) -> dict[str, Any]:
    known: dict[str, Any] = {"unit": channel.unit} if channel.unit else {"binary": True}
    if math.isfinite(channel.low):
        known["low"] = channel.low
    if math.isfinite(channel.high):
        known["high"] = channel.high
    return known


def _output(output: Output) -> dict[str, Any]:
    known: dict[str, Any] = {"driver": output.driver, "safe": output.policy.safe}
    return known | {"unit": output.policy.unit} if output.policy.unit else known


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _flag(flag: bool) -> str:
    return "true" if flag else "false"
