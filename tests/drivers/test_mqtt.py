"""Devices on a real Mosquitto: who may speak for them, and how their silence shows."""

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.buses.mqtt import MqttBroker
from drivers.mqtt import Availability, MqttDevice, Options, Quantity
from gateway.core.driver import Bus, Message
from gateway.core.errors import DeviceTimeout, NotConnected, WrongOption
from tests.drivers.mqtt_site import PASSWORDS, Failing, Reading, Site, values

CELSIUS = Quantity(path="AM2301.Temperature", unit="Cel", low=-40, high=80)
PLAIN = Options(topic="t", stale_after_s=30.0, channels={"temperature": CELSIUS})


def message(payload: str, topic: str = "t", time_ns: int = 7) -> Message:
    return Message(topic, payload.encode(), time_ns, False)


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
        read_of(PLAIN, old)
    assert read_of(PLAIN, old, fresh) == {"temperature": -1.0}
    assert read_of(PLAIN, fresh, old) == {"temperature": -1.0}


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
            MqttDevice(bus, PLAIN).read()
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


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"username": "a", "password_file": "../../etc/shadow"}, ("password_file",)),
        ({"username": "a", "password_file": "/etc/shadow"}, ("password_file",)),
        ({"password_file": "a"}, ("password_file",)),
        ({"topic": "tele/+/SENSOR"}, ("topic",)),
        ({"availability": Availability("tele/#")}, ("availability", "topic")),
        ({"channels": {}}, ("channels",)),
        ({"channels": {"t": Quantity(unit="Cel", low=5.0, high=5.0)}}, ("channels", "t", "low")),
        ({"channels": {"t": Quantity(on="1", off="1")}}, ("channels", "t")),
    ],
)
def test_options_that_can_not_work_are_refused_at_their_place(changes: dict[str, Any], at: tuple[str, ...]) -> None:
    """No file outside the credentials directory, no range without an inside, no topic that is everybody's."""
    whole = {"topic": "t", "channels": {"t": CELSIUS}, "stale_after_s": 5.0, **changes}
    with pytest.raises(WrongOption) as caught:
        Options(**whole)
    assert caught.value.at == at
