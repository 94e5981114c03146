"""The only maker of Readings: from polls, from edges, from silence and from our own processes' health."""

import math
from collections.abc import Iterable, Mapping

from gateway.control.plausibility import Pace
from gateway.core.driver import Channel
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Reading, Sample, Value
from gateway.local.polling import Outcome
from gateway.settings.model import Device


class ReadingMaker:
    """Turns outcomes into exactly one Reading per channel of their device.

    Any thread, but one at a time per device. It remembers only how fast values of channels with `max_per_s` changed.
    """

    __slots__ = ("_channels", "_paces")

    def __init__(self, devices: Iterable[Device]) -> None:
        self._channels = {
            device.name: tuple(
                (channel, f"{device.name}.{channel.name}", device.offsets.get(channel.name, 0.0))
                for channel in device.channels
            )
            for device in devices
        }
        self._paces = {
            point: Pace(channel.max_per_s, 10.0**-channel.digits)
            for channels in self._channels.values()
            for channel, point, _ in channels
            if channel.max_per_s < math.inf and not channel.is_binary
        }

    def make(self, outcome: Outcome) -> list[Reading]:
        """One Reading per channel; none for a device that is not ours."""
        channels = self._channels.get(outcome.device, ())
        if outcome.samples is None:
            return [Reading(point, None, outcome.reason, outcome.time_ns, outcome.detail) for _, point, _ in channels]
        measured = {sample.channel: sample for sample in outcome.samples}
        readings = []
        for channel, point, offset in channels:
            sample = measured.get(channel.name)
            if sample is None:
                detail = f"the driver gave no {channel.name}: report this as a fault of the driver"
                readings.append(Reading(point, None, Reason.BAD_INTERNAL_ERROR, outcome.time_ns, detail))
            else:
                value, reason, detail = _judge(channel, sample, offset)
                pace = self._paces.get(point)
                if pace is not None and value is not None and reason is Reason.GOOD:
                    reason, detail = _paced(pace, channel, value, outcome.time_ns)
                readings.append(Reading(point, value, reason, outcome.time_ns, detail))
        return readings


def edge_reading(device: Device, active: bool, time_ns: int) -> Reading:
    """A contact that has just changed."""
    return Reading(f"{device.name}.{device.channels[0].name}", active, Reason.GOOD, time_ns)


def health_readings(values: Mapping[str, Value | None], time_ns: int) -> list[Reading]:
    """Points of our own processes; None means that the process has fallen silent."""
    return [
        Reading(point, value, Reason.GOOD, time_ns)
        if value is not None
        else Reading(point, None, Reason.BAD_NO_COMMUNICATION, time_ns, f"{point.partition('.')[0]} is silent")
        for point, value in values.items()
    ]


def _paced(pace: Pace, channel: Channel, value: Value, time_ns: int) -> tuple[Reason, str]:
    """How far a good value may be trusted after the values before it."""
    doubted = pace.doubt(value, time_ns)
    if doubted is None:
        return Reason.GOOD, ""
    before, ago_s = doubted
    detail = (
        f"from {before:g} to {value:g} {channel.unit} in {ago_s:.3g} s, faster than {channel.max_per_s:g} "
        f"{channel.unit} per second: believed if it stays so; check the wires if it happens often"
    )
    return Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, detail


def _judge(channel: Channel, sample: Sample, offset: float) -> tuple[Value | None, Reason, str]:
    """The value with its calibration, at the part's resolution, and how far it may be trusted."""
    value, reason = sample.value, sample.reason
    if reason.quality is Quality.BAD:
        return None, reason, sample.detail
    if channel.is_binary or isinstance(value, bool):
        if channel.is_binary and isinstance(value, bool):
            return value, reason, sample.detail
        kind = "true or false" if channel.is_binary else "a number"
        return None, Reason.BAD_INTERNAL_ERROR, f"the driver gave {value!r} where {kind} is needed"
    if not math.isfinite(value):
        return None, Reason.BAD_OUT_OF_RANGE, f"{value} is no measurement: check the sensor and its wires"
    value = round(value + offset, channel.digits)
    if channel.low <= value <= channel.high:
        return value, reason, sample.detail
    detail = f"{value} {channel.unit} is outside the part's {channel.low:g} to {channel.high:g} {channel.unit}"
    return value, Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, detail
