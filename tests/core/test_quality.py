"""Quality speaks OPC UA: each reason we use is a status code of the standard, with its severity."""

import csv
from pathlib import Path

import pytest

from gateway.core.errors import (
    DeviceError,
    DeviceTimeout,
    InvalidData,
    NotConnected,
    SensorFailure,
)
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Reading

ORACLE = {
    row["name"]: row
    for row in csv.DictReader((Path(__file__).parent.parent / "oracles" / "opcua_status_codes.csv").open())
}


@pytest.mark.parametrize("reason", Reason)
def test_reason_is_a_status_code(reason: Reason) -> None:
    """The name is in the standard, and our severity is the one in the code's top two bits."""
    row = ORACLE[reason.value]
    severity = [Quality.GOOD, Quality.UNCERTAIN, Quality.BAD][int(row["code_hex"], 16) >> 30]
    assert reason.quality is severity
    assert severity.value == row["severity"]
    assert Reading("a.b", None, reason, 0).quality is severity


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeviceError("x"), Reason.BAD_COMMUNICATION_ERROR),
        (NotConnected("x"), Reason.BAD_NOT_CONNECTED),
        (DeviceTimeout("x"), Reason.BAD_TIMEOUT),
        (InvalidData("x"), Reason.BAD_DATA_ENCODING_INVALID),
        (SensorFailure("x"), Reason.BAD_SENSOR_FAILURE),
        (SensorFailure("x", Reason.BAD_OUT_OF_RANGE), Reason.BAD_OUT_OF_RANGE),
    ],
)
def test_every_device_error_gives_a_bad_reason(error: DeviceError, reason: Reason) -> None:
    """What a driver raises becomes a Bad quality, and is an OSError to those who expect one."""
    assert error.reason is reason
    assert reason.quality is Quality.BAD
    assert isinstance(error, OSError)
