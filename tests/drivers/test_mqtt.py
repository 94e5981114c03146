"""Devices on a real Mosquitto: what they publish, who may publish it, and how their silence shows."""

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.buses.mqtt import MqttBroker
from drivers.decoding.messages import LONGEST, number, parsed, picked, truth
from drivers.mqtt import Availability, MqttDevice, Options, Quantity, decode
from gateway.core.driver import Bus, Message
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, WrongOption
from gateway.core.quality import Quality, Reason
from tests.uplink.broker import Mosquitto

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


# what a message says


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


def test_truths_are_words_and_numbers_are_numbers() -> None:
    """The words of the site come first; true is no 1."""
    assert truth("Open", "Open", "Closed") is True
    assert truth(0, "1", "0") is False
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


# on a broker

ACL = """
user freezer
topic readwrite tele/freezer/#
user fryer
topic readwrite tele/fryer/#
user gateway-freezer
topic read tele/freezer/#
user gateway
topic read tele/#
topic read zigbee2mqtt/#
"""
PASSWORDS = {"freezer": "f1", "fryer": "f2", "gateway-freezer": "g1", "gateway": "g2"}


class Site:
    """A broker with users and access rules, and the gateway's end of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        users = directory / "users"
        users.write_text("".join(f"{name}:{word}\n" for name, word in PASSWORDS.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(users)], check=True)
        users.chmod(0o644)
        lines = (f"password_file {users}",)
        self.mosquitto = Mosquitto(directory, *lines, acl=ACL)
        config = directory / "mosquitto.conf"
        config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
        for name, word in PASSWORDS.items():
            (directory / f"{name}.password").write_text(word + "\n")
        self.mosquitto.start()
        self.buses: list[MqttBroker] = []

    def bus(self, username: str = "gateway", password_file: str = "gateway.password", **changes: Any) -> MqttBroker:
        url = f"mqtt://127.0.0.1:{self.mosquitto.port}"
        bus = Bus("broker", "mqtt", url=url, username=username, password_file=password_file)
        self.buses.append(MqttBroker(bus, self.directory))
        return self.buses[-1]

    def publish(self, topic: str, payload: str, user: str = "freezer", *, retain: bool = False) -> None:
        """As the device does it, with its own login."""
        command = [
            "mosquitto_pub",
            "-V",
            "5",
            "-p",
            str(self.mosquitto.port),
            "-u",
            user,
            "-P",
            PASSWORDS[user],
            "-q",
            "1",
        ]
        subprocess.run(
            [*command, "-t", topic, "-m", payload, *(["-r"] if retain else [])], check=False, capture_output=True
        )

    def close(self) -> None:
        for bus in self.buses:
            bus.close()
        self.mosquitto.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    directory = Path(tempfile.mkdtemp(prefix="kg-mq-", dir="/tmp"))
    site = Site(directory)
    yield site
    site.close()
    shutil.rmtree(directory, ignore_errors=True)


FREEZER = Options(
    topic="tele/freezer/SENSOR",
    channels={"temperature": CELSIUS},
    stale_after_s=5.0,
    availability=Availability("tele/freezer/LWT"),
    username="gateway-freezer",
    password_file="gateway-freezer.password",
)
FREEZER_BY_BUS = Options(topic="tele/freezer/SENSOR", channels={"temperature": CELSIUS}, stale_after_s=5.0)
COLD = '{"AM2301":{"Temperature":-18.5}}'


class Reading:
    """A read in a thread: what it gave, or why not."""

    def __init__(self, device: MqttDevice) -> None:
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._read, args=(device,), daemon=True)
        self._thread.start()

    def _read(self, device: MqttDevice) -> None:
        try:
            self.outcome = values(device.read())
        except DeviceError as error:
            self.outcome = error

    def wait(self, within_s: float = 8.0) -> Any:
        self._thread.join(within_s)
        assert not self._thread.is_alive(), "the read still waits"
        if isinstance(self.outcome, DeviceError):
            raise self.outcome
        return self.outcome


class Failing(Reading):
    """Reads in a thread until one fails: messages may still be on their way."""

    def _read(self, device: MqttDevice) -> None:
        while not isinstance(self.outcome, DeviceError):
            super()._read(device)


def published_until_read(site: Site, device: MqttDevice, payload: str = COLD) -> Any:
    """Publish until it is heard: a subscription takes a moment."""
    reading = Reading(device)
    deadline = time.monotonic() + 8.0
    while reading.outcome is None and time.monotonic() < deadline:
        site.publish("tele/freezer/SENSOR", payload)
    return reading.wait()


def test_a_device_is_heard(site: Site) -> None:
    """The next message is the reading, with the time it came; several at once: the newest."""
    device = MqttDevice(site.bus(), FREEZER)
    assert published_until_read(site, device) == {"temperature": -18.5}
    for value in (-18.0, -17.0, -16.0):
        site.publish("tele/freezer/SENSOR", f'{{"AM2301":{{"Temperature":{value}}}}}')
    assert eventually_value(device) == -16.0


def eventually_value(device: MqttDevice) -> Any:
    """The value once messages that are on their way have come."""
    last = None
    while True:
        try:
            last = values(device.read())["temperature"]
        except DeviceTimeout:
            raise AssertionError(f"-16 never came, last {last}") from None
        if last == -16.0:
            return last


def test_a_device_can_not_speak_for_another(site: Site) -> None:
    """The fryer's login is no way to say something about the freezer: the broker's rules are per user."""
    bus = site.bus()
    published_until_read(site, MqttDevice(bus, FREEZER_BY_BUS))
    heard = bus.subscribe(["tele/freezer/SENSOR", "tele/fryer/SENSOR"])
    payloads: set[bytes] = set()
    deadline = time.monotonic() + 5.0
    while not {b"own", b"true"} <= payloads and time.monotonic() < deadline:
        site.publish("tele/freezer/SENSOR", "forged", user="fryer")
        site.publish("tele/fryer/SENSOR", "own", user="fryer")
        site.publish("tele/freezer/SENSOR", "true")
        while (came := heard.next(0.05)) is not None:
            payloads.add(came.payload)
    assert {b"own", b"true"} <= payloads
    assert b"forged" not in payloads


@pytest.mark.parametrize(
    ("username", "password_file", "words"),
    [
        (
            "gateway-freezer",
            "gateway.password",
            r"refuses user 'gateway-freezer' \(Not authorized\): check gateway.password",
        ),
        ("nobody", "gateway.password", "refuses user 'nobody'"),
        ("", "", "refuses a client without a login"),
        ("gateway", "absent.password", "the password file .*absent.password can't be read"),
    ],
)
def test_a_refused_login_is_named(site: Site, username: str, password_file: str, words: str) -> None:
    """Wrong password, unknown user, none, no file: at once, in words that lead to the cure."""
    device = MqttDevice(site.bus(username, password_file), FREEZER_BY_BUS)
    began_s = time.monotonic()
    with pytest.raises(NotConnected, match=words):
        device.read()
    assert time.monotonic() - began_s < 3.0


def test_the_password_file_is_read_again(site: Site) -> None:
    """A corrected password needs no restart."""
    (site.directory / "late.password").write_text("wrong")
    device = MqttDevice(site.bus("gateway", "late.password"), FREEZER_BY_BUS)
    with pytest.raises(NotConnected, match="refuses user 'gateway'"):
        device.read()
    (site.directory / "late.password").write_text(PASSWORDS["gateway"])
    assert until_read(site, device) == {"temperature": -18.5}


def until_read(site: Site, device: MqttDevice, within_s: float = 12.0) -> Any:
    """A value, whatever the first reads say."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return published_until_read(site, device)
        except NotConnected:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_silence_is_told_when_values_are_stale(site: Site) -> None:
    """No message for `stale_after`: BadTimeout, naming topic, time and user; messages go on counting afterwards."""
    short = Options(
        topic="tele/freezer/SENSOR",
        channels={"temperature": CELSIUS},
        stale_after_s=1.0,
        username="gateway-freezer",
        password_file="gateway-freezer.password",
    )
    device = MqttDevice(site.bus(), short)
    with pytest.raises(
        DeviceTimeout, match=r"nothing on tele/freezer/SENSOR for 1 s: .*user 'gateway-freezer' may read"
    ):
        device.read()
    assert published_until_read(site, device) == {"temperature": -18.5}


def test_a_topic_that_may_not_be_read_is_silence_that_names_the_user(site: Site) -> None:
    """Mosquitto lets anybody subscribe and then hands out nothing: the words lead to the access rules."""
    fryer = Options(topic="tele/fryer/SENSOR", channels={"temperature": CELSIUS}, stale_after_s=1.0)
    device = MqttDevice(site.bus("gateway-freezer", "gateway-freezer.password"), fryer)
    site.publish("tele/fryer/SENSOR", COLD, user="fryer")
    with pytest.raises(DeviceTimeout, match="check that the device publishes there"):
        device.read()


def test_retained_values_are_never_new(site: Site) -> None:
    """What the broker kept may be of last week: it is no reading."""
    site.publish("tele/freezer/SENSOR", '{"AM2301":{"Temperature":4.0}}', retain=True)
    device = MqttDevice(site.bus(), FREEZER)
    assert published_until_read(site, device) == {"temperature": -18.5}


def test_the_last_will_is_believed_at_once(site: Site) -> None:
    """Offline ends a read that waits; it is retained, so it also tells a gateway that comes later."""
    device = MqttDevice(site.bus(), FREEZER)
    published_until_read(site, device)
    reading = Failing(device)
    site.publish("tele/freezer/LWT", "Offline", retain=True)
    with pytest.raises(NotConnected, match="the device is away: tele/freezer/LWT says 'Offline'"):
        reading.wait()
    device.close()
    late = MqttDevice(site.buses[-1], FREEZER)
    with pytest.raises(NotConnected, match="away"):
        Reading(late).wait()
    late.close()
    site.publish("tele/freezer/LWT", "Online", retain=True)
    again = MqttDevice(site.buses[-1], FREEZER)
    assert published_until_read(site, again) == {"temperature": -18.5}


class Waiting:
    """A bus on which these messages have come already."""

    def __init__(self, *messages: Message) -> None:
        self.waiting = list(messages)

    def subscribe(self, *_: object) -> "Waiting":
        return self

    def next(self, _timeout_s: float) -> Message | None:
        return self.waiting.pop(0) if self.waiting else None


def read_of(wanted: Options, *messages: Message, now_ns: int = 10**12) -> Any:
    bus: Any = Waiting(*messages)
    return values(MqttDevice(bus, wanted, lambda: now_ns).read())


def test_what_waited_for_too_long_is_no_reading() -> None:
    """A message from before the last `stale_after` is as good as none."""
    old = message(COLD, time_ns=10**12 - 31 * 10**9)
    fresh = message('{"AM2301":{"Temperature":-1}}', time_ns=10**12 - 29 * 10**9)
    with pytest.raises(DeviceTimeout):
        read_of(options(), old)
    assert read_of(options(), old, fresh) == {"temperature": -1.0}
    assert read_of(options(), fresh, old) == {"temperature": -1.0}


def test_zigbees_availability_is_json() -> None:
    """{"state":"offline"} of zigbee2mqtt, and what is no word at all."""
    zigbee = Options(
        topic="z",
        channels={"t": Quantity("temperature", "Cel")},
        stale_after_s=1.0,
        availability=Availability("z/availability", path="state", online="online", offline="offline"),
    )

    def words(*payloads: str) -> list[Message]:
        return [message(each, "z/availability", 10**12) for each in payloads]

    with pytest.raises(NotConnected, match="away"):
        read_of(zigbee, *words('{"state":"online"}', '{"state":"offline"}'))
    with pytest.raises(DeviceTimeout):
        read_of(zigbee, *words("", "online", '{"state":"online"}'))


def test_a_broker_that_restarts_is_found_again(site: Site) -> None:
    """Told while it is away; heard again after it, with nothing opened anew."""
    device = MqttDevice(site.bus(), FREEZER)
    published_until_read(site, device)
    reading = Failing(device)
    site.mosquitto.stop()
    with pytest.raises(NotConnected, match=r"broker|connection"):
        reading.wait()
    site.mosquitto.start()
    assert until_read(site, device) == {"temperature": -18.5}


def test_devices_with_one_login_share_a_connection(site: Site) -> None:
    """As many connections as there are logins; closing wakes every read and ends them all."""
    bus = site.bus()
    fryer = Options(topic="tele/fryer/SENSOR", channels={"temperature": CELSIUS}, stale_after_s=20.0)
    devices = [MqttDevice(bus, FREEZER), MqttDevice(bus, FREEZER_BY_BUS), MqttDevice(bus, fryer)]
    published_until_read(site, devices[0])
    published_until_read(site, devices[1])
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("mqtt ")]
    assert len(threads) == 2
    waiting = Failing(devices[2])
    bus.close()
    with pytest.raises(DeviceTimeout):
        waiting.wait(3.0)
    assert not any(thread.is_alive() for thread in threads)


def test_no_broker_at_all_is_named() -> None:
    """An address where nothing listens, and one that is none."""
    for url, words in (
        ("mqtt://127.0.0.1:1", "no connection to mqtt://127.0.0.1:1"),
        ("http://x", "no broker's address"),
    ):
        bus = MqttBroker(Bus("b", "mqtt", url=url), Path("/nonexistent"))
        with pytest.raises(NotConnected, match=words):
            MqttDevice(bus, options()).read()
        bus.close()


def test_tls_needs_the_sites_ca(site: Site, tmp_path: Path) -> None:
    """With the CA that signed it the broker is believed, with the system's it is not; a missing file is named."""
    openssl = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key, certificate = site.directory / "key.pem", site.directory / "ca.pem"
    subprocess.run([*openssl, *subject, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    key.chmod(0o644)
    site.mosquitto.stop()
    config = site.directory / "mosquitto.conf"
    port = site.mosquitto.port
    listener = f"listener {port} 127.0.0.1\n"
    config.write_text(config.read_text().replace(listener, f"{listener}certfile {certificate}\nkeyfile {key}\n"))
    site.mosquitto.start()

    def opened(ca: str) -> MqttDevice:
        url = f"mqtts://127.0.0.1:{port}"
        bus = Bus("b", "mqtt", url=url, username="gateway", password_file="gateway.password", ca=ca)
        site.buses.append(MqttBroker(bus, site.directory))
        return MqttDevice(site.buses[-1], FREEZER_BY_BUS)

    with pytest.raises(NotConnected, match=r"no connection .*[Cc]ertificate|self.signed"):
        opened("").read()
    with pytest.raises(NotConnected, match=r"the CA file .*absent\.pem can't be used"):
        opened("absent.pem").read()
    device = opened("ca.pem")
    reading = Reading(device)
    command = [
        "mosquitto_pub",
        "-V",
        "5",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-u",
        "freezer",
        "-P",
        "f1",
        "--cafile",
        str(certificate),
    ]
    deadline = time.monotonic() + 6
    while reading.outcome is None and time.monotonic() < deadline:
        subprocess.run([*command, "-q", "1", "-t", "tele/freezer/SENSOR", "-m", COLD], check=True)
    assert reading.wait() == {"temperature": -18.5}


def test_more_than_can_be_held_leaves_the_newest(site: Site) -> None:
    """A device that floods costs a bounded memory, and what is read is its last word."""
    bus = site.bus()
    device = MqttDevice(bus, FREEZER)
    published_until_read(site, device)
    lines = "\n".join(f'{{"AM2301":{{"Temperature":{n / 100}}}}}' for n in range(-1800, -1600 + 1))
    subprocess.run(
        [
            *("mosquitto_pub", "-V", "5", "-p", str(site.mosquitto.port), "-u", "freezer", "-P", "f1", "-q", "1", "-l"),
            *("-t", "tele/freezer/SENSOR"),
        ],
        input=lines.encode(),
        check=True,
    )
    assert eventually_value(device) == -16.0
