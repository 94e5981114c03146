"""What devices of the network publish, taken apart: usual, damaged and hostile messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.messages import LONGEST, number, parsed, picked, truth
from drivers.mqtt import Availability, Options, Quantity, decode
from gateway.core.driver import Message
from gateway.core.errors import InvalidData, WrongOption
from gateway.core.quality import Quality, Reason

CELSIUS = Quantity(path="AM2301.Temperature", unit="Cel", low=-40, high=80)
HUMIDITY = Quantity(path="AM2301.Humidity", unit="%{RH}", low=0, high=100)
# as Tasmota's, ESPHome's and zigbee2mqtt's own documentation prints them
TASMOTA_SENSOR = (
    '{"Time":"2026-02-11T09:03:08","AM2301":{"Temperature":15.5,"Humidity":50.6,"DewPoint":5.3},"TempUnit":"C"}'
)
TASMOTA_ENERGY = (
    '{"Time":"2026-02-11T09:03:08","ENERGY":{"TotalStartTime":"2024-10-02T18:41:57","Total":42.174,"Yesterday":0.107,'
    '"Today":0.041,"Period":0,"Power":12,"ApparentPower":23,"ReactivePower":20,"Factor":0.52,"Voltage":233,"Current":0.1}}'
)
TASMOTA_STATE = (
    '{"Time":"2026-02-11T09:03:08","Uptime":"1T20:12:10","Vcc":3.121,"POWER":"ON","Wifi":{"AP":1,"SSId":"k","RSSI":68}}'
)
ZIGBEE_CLIMATE = '{"battery":97,"humidity":51.2,"linkquality":156,"pressure":1003,"temperature":-18.4,"voltage":3005}'
ZIGBEE_CONTACT = '{"battery":100,"contact":false,"linkquality":78,"tamper":false}'


def message(payload: str | bytes, topic: str = "t", time_ns: int = 7) -> Message:
    return Message(topic, payload.encode() if isinstance(payload, str) else payload, time_ns, False)


def options(**channels: Quantity) -> Options:
    return Options(topic="t", stale_after_s=30.0, channels=channels or {"temperature": CELSIUS})


def values(samples: Any) -> dict[str, Any]:
    return {sample.channel: sample.value for sample in samples}


@pytest.mark.parametrize(
    ("payload", "channels", "expected"),
    [
        (TASMOTA_SENSOR, {"temperature": CELSIUS, "humidity": HUMIDITY}, {"temperature": 15.5, "humidity": 50.6}),
        (TASMOTA_ENERGY, {"power": Quantity("ENERGY.Power", "W")}, {"power": 12.0}),
        (
            TASMOTA_STATE,
            {"on": Quantity("POWER"), "rssi": Quantity("Wifi.RSSI", "%")},
            {"on": True, "rssi": 68.0},
        ),
        ("23.4", {"temperature": Quantity(unit="Cel")}, {"temperature": 23.4}),
        ("-0", {"temperature": Quantity(unit="Cel")}, {"temperature": 0.0}),
        ("OFF", {"pump": Quantity()}, {"pump": False}),
        (ZIGBEE_CLIMATE, {"t": Quantity("temperature", "Cel"), "b": Quantity("battery", "%")}, {"t": -18.4, "b": 97.0}),
        (ZIGBEE_CONTACT, {"open": Quantity("contact", on="false", off="true")}, {"open": True}),
        (ZIGBEE_CONTACT, {"tamper": Quantity("tamper")}, {"tamper": False}),
        ('{"phases":[{"a":1},{"a":2.5}]}', {"second": Quantity("phases.1.a", "A")}, {"second": 2.5}),
        ('"17"', {"n": Quantity(unit="1")}, {"n": 17.0}),
    ],
)
def test_messages_of_the_usual_firmwares(
    payload: str, channels: dict[str, Quantity], expected: dict[str, float | bool]
) -> None:
    """Tasmota, ESPHome and zigbee2mqtt as they document themselves; the time is the message's."""
    samples = decode(message(payload), options(**channels))
    assert values(samples) == expected
    assert {sample.time_ns for sample in samples} == {7}


@pytest.mark.parametrize(
    "payload", ['{"AM2301":{"Temperature":null,"Humidity":50}}', '{"AM2301":{"Temperature":"nan","Humidity":50}}']
)
def test_a_sensor_without_a_value_is_missing_by_itself(payload: str) -> None:
    """null and nan are the device's word for a broken sensor; its other channels still count."""
    temperature, humidity = decode(message(payload), options(temperature=CELSIUS, humidity=HUMIDITY))
    assert temperature.reason is Reason.BAD_SENSOR_FAILURE
    assert humidity.value == 50.0
    (bare,) = decode(message("nan"), options(temperature=Quantity(unit="Cel")))
    assert bare.reason is Reason.BAD_SENSOR_FAILURE


def test_a_channel_that_a_message_leaves_out_is_missing_by_itself() -> None:
    """With its path in words; a message with none of the channels is refused."""
    both = options(temperature=CELSIUS, humidity=HUMIDITY)
    temperature, humidity = decode(message('{"AM2301":{"Humidity":50}}'), both)
    assert (temperature.reason.quality, humidity.value) == (Quality.BAD, 50.0)
    assert "'AM2301.Temperature'" in temperature.detail
    with pytest.raises(InvalidData, match="check the paths"):
        decode(message('{"linkquality":3}'), both)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[1,",
        b'{"AM2301":{"Temperature":NaN}}',
        b'{"AM2301":{"Temperature":Infinity}}',
        b'{"AM2301":{"Temperature":1e999}}',
        b'{"AM2301":{"Temperature":true}}',
        b'{"AM2301":{"Temperature":[15.5]}}',
        b'{"AM2301":{"Temperature":{"x":1}}}',
        b'{"AM2301":{"Temperature":"15.5 C"}}',
        b'{"AM2301":{"Temperature":"1' + 5000 * b"0" + b'"}}',
        b'{"AM2301":{"Temperature":1' + 5000 * b"0" + b"}}",
        b'{"AM2301":[]}',
        b"15.5",
        b"[" * 5000,
        b" " * LONGEST + b'{"AM2301":{"Temperature":15.5}}',
    ],
)
def test_hostile_messages_are_refused(payload: bytes) -> None:
    """Nothing anybody can write becomes a value, or ends the driver."""
    with pytest.raises(InvalidData):
        decode(message(payload), options())


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_message_is_values_or_a_refusal(payload: bytes) -> None:
    """Numbers are finite, truths are truths, everything else is InvalidData."""
    wanted = options(a=Quantity(unit="Cel"), b=Quantity(on="1", off="0"))
    try:
        samples = decode(message(payload), wanted)
    except InvalidData:
        return
    for sample in samples:
        assert sample.reason is not Reason.GOOD or isinstance(sample.value, bool) or abs(sample.value) < float("inf")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, st.text("abc.01", max_size=6))
def test_paths_lead_to_what_stands_there(content: Any, path: str) -> None:
    """JSON comes back as it was sent, and a path finds what indexing finds."""
    if isinstance(content, str):
        return
    assert parsed(json.dumps(content).encode()) == content
    try:
        found = picked(content, path)
    except LookupError:
        return
    walked = content
    for key in path.split(".") if path else ():
        walked = walked[int(key)] if isinstance(walked, list) else walked[key]
    assert found is walked


@pytest.mark.parametrize(
    "payload", ['{"a"', "[1,", '"x', '{"a":NaN,"b":1}', '{"a":Infinity}', "[-Infinity]", "[" * 5000]
)
def test_broken_json_is_no_text(payload: str) -> None:
    """What begins as JSON is JSON or nothing; NaN and infinities are none."""
    with pytest.raises(InvalidData, match="is no JSON: "):
        parsed(payload.encode())


def test_other_text_is_text() -> None:
    """Without the spaces around it, up to 16 KiB, cut short where it is shown."""
    assert [parsed(each) for each in (b" ON\n", b"NaN", b"7 kg")] == ["ON", "NaN", "7 kg"]
    assert parsed(b"15.5".rjust(16384)) == 15.5
    with pytest.raises(InvalidData, match="a message of 16385 bytes: more than 16384"):
        parsed(b"15.5".rjust(16385))
    with pytest.raises(InvalidData) as refused:
        number("x" * 100)
    assert str(refused.value) == f"'{'x' * 40}' is no number"


def test_a_place_behind_the_list_is_named() -> None:
    """A list of two has no third."""
    assert picked([1, 2], "1") == 2
    with pytest.raises(LookupError, match=r"^no '2'$"):
        picked([1, 2], "2")


def test_truths_are_words_and_numbers_are_numbers() -> None:
    """The words of the site come first; true is no 1."""
    assert truth("Open", "Open", "Closed") is True
    assert truth(0, "1", "0") is False
    assert [truth(each, "true", "false") for each in (True, False)] == [True, False]
    assert [truth(each, "false", "true") for each in (True, False)] == [False, True]
    assert [truth(each, "ON", "OFF") for each in (True, False)] == [True, False]
    with pytest.raises(InvalidData, match="neither 'ON' nor 'OFF'"):
        truth("on", "ON", "OFF")
    with pytest.raises(InvalidData):
        number(True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": {}},
        {"topic": "tele/+/SENSOR"},
        {"topic": "#"},
        {"availability": Availability("a/#")},
        {"password_file": "x"},
        {"channels": {"a": Quantity(on="x", off="x")}},
    ],
)
def test_options_that_can_not_be_meant(wrong: dict[str, Any]) -> None:
    """Each is refused with its cure before anything is connected."""
    right: dict[str, Any] = {"topic": "t", "stale_after_s": 30.0, "channels": {"t": CELSIUS}}
    Options(**right)
    with pytest.raises(WrongOption):
        Options(**(right | wrong))
