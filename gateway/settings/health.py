"""The gateway's own points and alarms: how it says that a part of itself is not well.

Other processes and the documentation take these names from here, so a health point exists exactly once.
"""

from collections.abc import Iterable
from typing import Literal

from rules.definition import Alarm, BadInput

PREFIX = "gateway/"

POINTS: dict[str, str] = {
    "gateway/recorder.connected": "",
    "gateway/recorder.store_ok": "",
    "gateway/recorder.disk_ok": "",
    "gateway/recorder.uplink_connected": "",
    "gateway/recorder.backlog": "1",
    "gateway/field.connected": "",
    "gateway/control.ring_fill": "%",
    "gateway/control.log_dropped": "1",
    "gateway/control.state_ok": "",
    "gateway/control.outputs_ok": "",
}
"""Health points every configuration has, with their UCUM units ("" = two-state)."""


def bus_point(bus: str) -> str:
    """The two-state point that is true while the bus's worker works and the bus answers."""
    return f"{PREFIX}buses.{bus}"


def health_points(buses: Iterable[str]) -> dict[str, str]:
    """Every health point of a configuration with these buses, with its unit."""
    return POINTS | {bus_point(bus): "" for bus in buses}


def health_alarms(buses: Iterable[str], *, has_field: bool, has_cloud: bool) -> tuple[Alarm, ...]:
    """The alarms a configuration gets unless the site defines the same names."""
    alarms = [_RECORDER_SILENT, _STORE_FAILING, _DISK_FULL, _STATE_NOT_DURABLE, _OUTPUTS_FAILING]
    if has_field:
        alarms.append(_FIELD_SILENT)
    if has_cloud:
        alarms.append(_UPLINK_DOWN)
    return (*alarms, *(_bus_dead(bus) for bus in buses))


def _alarm(
    name: str, point: str, priority: Literal["low", "medium", "high"], en: str, ko: str, *, for_s: float = 0.0
) -> Alarm:
    # A health point that is not known is no fault of what it speaks of: the silence has an alarm of its own.
    return Alarm(
        name=PREFIX + name,
        condition=f"not {point}",
        for_s=for_s,
        priority=priority,
        group="gateway",
        on_bad_input=BadInput("off"),
        text={"en": en, "ko": ko},
    )


def _bus_dead(bus: str) -> Alarm:
    return _alarm(
        f"bus_dead_{bus}",
        bus_point(bus),
        "medium",
        f"Bus {bus} is dead: check its wires and its supply",
        f"버스 {bus}이(가) 응답하지 않습니다. 배선과 전원을 확인하세요",
        for_s=10.0,
    )


_RECORDER_SILENT = _alarm(
    "recorder_silent",
    "gateway/recorder.connected",
    "high",
    "The recorder is silent: readings wait in memory",
    "기록기가 응답하지 않아 측정값이 메모리에만 있습니다",
    for_s=10.0,
)
_STORE_FAILING = _alarm(
    "store_failing",
    "gateway/recorder.store_ok",
    "high",
    "Readings can't be stored: check the disk",
    "측정값을 저장할 수 없습니다. 디스크를 확인하세요",
)
_DISK_FULL = _alarm(
    "disk_full",
    "gateway/recorder.disk_ok",
    "high",
    "The disk is full: readings use up the reserve, make room",
    "디스크가 가득 찼습니다. 예비 공간을 쓰고 있으니 공간을 확보하세요",
)
_STATE_NOT_DURABLE = _alarm(
    "state_not_durable",
    "gateway/control.state_ok",
    "high",
    "Timers and latches can't be saved: check the disk",
    "타이머와 래치 상태를 저장할 수 없습니다. 디스크를 확인하세요",
)
_OUTPUTS_FAILING = _alarm(
    "outputs_failing",
    "gateway/control.outputs_ok",
    "high",
    "An output can't be driven: check its board, its wires and its bus",
    "출력을 구동할 수 없습니다. 출력 보드와 배선, 버스를 확인하세요",
    for_s=2.0,
)
_FIELD_SILENT = _alarm(
    "field_silent",
    "gateway/field.connected",
    "high",
    "The field process is silent: its devices are not read",
    "필드 프로세스가 응답하지 않아 장치를 읽지 못합니다",
    for_s=10.0,
)
_UPLINK_DOWN = _alarm(
    "uplink_down",
    "gateway/recorder.uplink_connected",
    "low",
    "No connection to the cloud for 5 minutes",
    "5분 동안 클라우드에 연결되지 않았습니다",
    for_s=300.0,
)
