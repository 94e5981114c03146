"""Every error the project raises by name. Each inherits from ours and from the built-in a reader would expect."""

from gateway.core.quality import Reason


class GatewayError(Exception):
    """Something the gateway can explain: what was observed, where, and what to do."""


class DeviceError(GatewayError, OSError):
    """A device did not give a usable value; `reason` is the quality its channels get."""

    reason = Reason.BAD_COMMUNICATION_ERROR

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class NotConnected(DeviceError):
    """Nothing answers: the address does not acknowledge, the file or port is not there."""

    reason = Reason.BAD_NOT_CONNECTED


class DeviceTimeout(DeviceError, TimeoutError):
    """The device began or was asked, and did not finish in time."""

    reason = Reason.BAD_TIMEOUT


class InvalidData(DeviceError, ValueError):
    """Bytes came, but a checksum, a frame or a plausibility test refuses them."""

    reason = Reason.BAD_DATA_ENCODING_INVALID


class SensorFailure(DeviceError):
    """The device answers and itself says that its sensor is broken (open probe, fault bit, live zero lost)."""

    reason = Reason.BAD_SENSOR_FAILURE


class WrongOption(GatewayError, ValueError):
    """Options that contradict each other; `at` leads to the one to correct, e.g. ("registers", "pressure")."""

    def __init__(self, message: str, at: tuple[str, ...]) -> None:
        super().__init__(message)
        self.at = at


class ConfigurationError(GatewayError, ValueError):
    """A configuration that must not run; `problems` holds every fault found, each `file:line: what; cure`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Refused(GatewayError, PermissionError):
    """A command that this role, this state or this configuration does not allow; the message says which."""


class AlreadyRunning(GatewayError, RuntimeError):
    """Another process of this kind holds the state directory."""
