"""The `modbus` driver and the meters on it: every type over the wire, on a line and on the network."""

import dataclasses
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from drivers import pages, registry, sdm120, sdm630
from drivers.buses import modbus as bus_module
from drivers.buses import open_bus
from drivers.decoding.registers import Register
from drivers.modbus import SPEC, Options, decode, plan
from fake_hw.inject import install
from fake_hw.machine import Machine, Quantity, Wiring
from gateway.core.driver import Bus, BusKind
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, WrongOption
from gateway.core.options import plain
from gateway.core.quality import Reason

NODE, URL = "/dev/serial/by-id/usb-RS485", "tcp://192.168.1.50:502"
METERS = ("sdm120", "sdm630", "pzem004t")
KINDS: tuple[BusKind, ...] = ("modbus_rtu", "modbus_tcp")
REGISTERS = {
    "u16": Register(0x10, type="u16", scale=0.1, unit="Cel", low=-20, high=350, invalid=(0x8000,)),
    "s16": Register(0x11, "input", "s16", "BADC", scale=0.1, unit="Cel", low=-50, high=90),
    "u32": Register(0x20, "input", "u32", "CDAB", scale=0.01, unit="kW.h"),
    "s32": Register(0x30, type="s32", order="DCBA", offset=-5, unit="W"),
    "u64": Register(0x40, type="u64", order="BADC", scale=0.001, unit="kW.h", low=0, high=1e9),
    "f32": Register(0x50, "input", "f32", unit="V", low=0, high=500),
    "f64": Register(0x52, "input", "f64", "CDAB", unit="V", low=0, high=500),
    "bcd": Register(0x60, type="bcd32", scale=0.01, unit="kg", low=0, high=5000),
    "flag": Register(0x61 + 9, type="bit", bit=5),
    "other": Register(0x61 + 9, type="bit", bit=6),
    "lamp": Register(3, "coil"),
    "door": Register(9, "discrete"),
    "mode": Register(0x70, values={0: 0.0, 3: 1.0, 5: 2.0}),
    "run": Register(0x71, values={0: False, 4: True}),
}


class Rig:
    """One part on a machine, and its driver above the production bus."""

    def __init__(
        self, machine: Machine, driver: str, kind: BusKind, options: Any, *, as_snapshot: bool = False
    ) -> None:
        self.machine, self.kind, self.driver, self.options = machine, kind, driver, options
        given = plain(options) if as_snapshot else {name: getattr(options, name) for name in options.__slots__}
        device, url = (NODE, "") if kind == "modbus_rtu" else ("", URL)
        wiring = Wiring(kind, device, given, url, baud=115200)
        self.quantities = machine.place(driver, "part", wiring).quantities(wiring)
        machine.start()
        self.bus: Any = open_bus(Bus("bus", kind, device, url=url, baud=115200), machine.root)
        self.unit = registry.load(driver).open(self.bus, options)

    def read(self) -> dict[str, Any]:
        return {sample.channel: sample.value for sample in self.unit.read()}

    def set(self, **truths: float) -> None:
        self.machine.set(**{f"part__{name}": value for name, value in truths.items()})

    def pymodbus(self) -> Any:
        """An independent master on the same wire."""
        self.bus.close()
        if self.kind == "modbus_rtu":
            return ModbusSerialClient(self.machine.path(NODE), baudrate=115200, timeout=0.5, retries=0)
        host = self.machine.bus(self.kind, URL)
        return ModbusTcpClient("127.0.0.1", port=int(host.url.rpartition(":")[2]), timeout=0.5, retries=0)


@pytest.fixture
def rig(root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Rig]]:
    """Makes one."""
    monkeypatch.setattr(bus_module, "LATE_S", 0.3)
    machine = Machine(root)
    undo = install(root)
    made: list[Rig] = []

    def make(driver: str, kind: BusKind, options: Any = None, **more: Any) -> Rig:
        made.append(Rig(machine, driver, kind, options or pages.sample_options(registry.load(driver)), **more))
        return made[0]

    yield make
    for each in made:
        each.bus.close()
    undo()
    machine.stop()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_snapshot", [False, True])
def test_every_type_comes_over_the_wire(rig: Callable[..., Rig], kind: BusKind, as_snapshot: bool) -> None:
    """All types, orders, tables and meanings, corners included, within the part's resolution."""
    part = rig("modbus", kind, Options(5, REGISTERS), as_snapshot=as_snapshot)
    for truths in (
        {
            "u16": 12.3,
            "s16": -49.9,
            "u32": 42_949_672.95,
            "s32": -2_000_000_000,
            "u64": 1e9,
            "f32": 0.0,
            "f64": 499.125,
        },
        {"u16": 350.0, "s16": 90.0, "u32": 0.0, "s32": 2_000_000_000, "u64": 0.0, "f32": 230.45, "f64": 1e-3},
        {"bcd": 0.0, "flag": 0, "other": 1, "lamp": 0, "door": 1, "mode": 0, "run": 0},
        {"bcd": 4999.99, "flag": 1, "other": 0, "lamp": 1, "door": 0, "mode": 2, "run": 1},
    ):
        part.set(**truths)
        values = part.read()
        assert list(values) == list(REGISTERS)
        for name, truth in truths.items():
            tolerance = part.quantities[name].tolerance + abs(truth) * 1e-6
            assert values[name] == pytest.approx(truth, abs=tolerance), name
            assert isinstance(values[name], bool) is REGISTERS[name].is_binary


@given(st.lists(st.integers(0, 0xFFFF), min_size=200, max_size=200), st.integers(0, 2**16 - 1))
@settings(max_examples=50)
def test_any_registers_give_values_within_limits_or_a_reason(raw: list[int], bits: int) -> None:
    """Whatever a part holds, each channel has a value of its kind or says why it has none."""
    options = Options(5, REGISTERS)
    replies = []
    for block in plan(options):
        if block.kind in {"coil", "discrete"}:
            replies.append(bytes([block.request[0], 1, bits & 0xFF]))
        else:
            words = raw[block.at : block.at + block.count]
            replies.append(bytes([block.request[0], 2 * len(words)]) + b"".join(w.to_bytes(2, "big") for w in words))
    samples = decode(replies, options)
    assert [sample.channel for sample in samples] == list(REGISTERS)
    for sample in samples:
        if sample.reason is not Reason.GOOD:
            assert sample.reason in {Reason.BAD_SENSOR_FAILURE, Reason.BAD_DATA_ENCODING_INVALID}
            assert sample.detail
        elif not REGISTERS[sample.channel].is_binary:
            assert abs(sample.value) < float("inf")


@given(st.data(), st.sampled_from([sdm120, sdm630]))
def test_any_floats_of_a_meter_are_numbers_or_a_broken_meter(data: st.DataObject, meter: Any) -> None:
    """Each quantity is what the float at its address says, by itself; what is no number is none."""
    (block,) = meter.BLOCKS
    content = data.draw(st.binary(min_size=2 * block.count, max_size=2 * block.count))
    samples = meter.decode([bytes([4, 2 * block.count]) + content])
    assert [sample.channel for sample in samples] == list(meter.REGISTERS)
    for sample, register in zip(samples, meter.REGISTERS.values(), strict=True):
        (expected,) = struct.unpack_from(">f", content, 2 * (register.at - block.at))
        assert (sample.reason is Reason.GOOD) is math.isfinite(expected)
        assert sample.value == expected or sample.reason is Reason.BAD_SENSOR_FAILURE


def test_one_broken_probe_spoils_no_other_channel(rig: Callable[..., Rig]) -> None:
    """The part's mark makes its channel Bad alone."""
    part = rig("modbus", "modbus_rtu", Options(5, REGISTERS))
    part.machine.fault("part", "no_value")
    bad = {sample.channel: sample.reason for sample in part.unit.read() if sample.reason is not Reason.GOOD}
    assert bad == dict.fromkeys(("u16", "f32", "f64"), Reason.BAD_SENSOR_FAILURE)


def test_a_dead_part_costs_one_timeout_however_long_its_map(rig: Callable[..., Rig]) -> None:
    """The first silent request ends the poll."""
    asked = []

    class Silent:
        def request(self, unit: int, pdu: bytes, timeout_s: float = 0.5) -> bytes:
            asked.append((unit, timeout_s))
            raise DeviceTimeout("silence")

    options = Options(5, REGISTERS, timeout_s=0.2)
    with pytest.raises(DeviceTimeout):
        SPEC.open(Silent(), options).read()
    assert asked == [(5, 0.2)]
    assert len(plan(options)) > 3
    assert SPEC.deadline_of(options) >= len(plan(options)) * 0.2


def test_an_empty_map_is_refused() -> None:
    """Nothing to read is a mistake of the file."""
    with pytest.raises(WrongOption, match="no registers") as refused:
        Options(1, {})
    assert refused.value.at == ("registers",)


def test_requests_are_joined_as_the_site_allows() -> None:
    """`gap` and `most` of the options."""
    registers = {"a": Register(0), "b": Register(3), "c": Register(5)}
    for options, expected in (
        (Options(1, registers), [(0, 1), (3, 1), (5, 1)]),
        (Options(1, registers, gap=2), [(0, 6)]),
        (Options(1, registers, gap=2, most=5), [(0, 4), (5, 1)]),
    ):
        assert [(block.at, block.count) for block in plan(options)] == expected


@pytest.mark.parametrize(("meter", "opened"), [(sdm120, sdm120.Sdm120), (sdm630, sdm630.Sdm630)])
def test_a_meter_is_asked_once_for_everything(meter: Any, opened: Any) -> None:
    """Input registers from 0 to the exported energy, in one request of its unit."""
    asked = []

    class Bus:
        def request(self, unit: int, pdu: bytes, timeout_s: float = 0.0) -> bytes:
            asked.append((unit, pdu, timeout_s))
            return bytes([4, 0x98, *bytes(0x98)])

    opened(Bus(), meter.Options(7)).read()
    assert asked == [(7, bytes.fromhex("04 0000 004c"), 0.5)]


def test_claims_are_registers_so_that_two_entries_may_share_a_unit() -> None:
    """Each address once, bits of one word together."""
    claims = SPEC.claims(Options(5, {name: REGISTERS[name] for name in ("u32", "flag", "other", "lamp")}))
    assert claims == (
        "unit 5 input 0x0020",
        "unit 5 input 0x0021",
        "unit 5 holding 0x006a",
        "unit 5 coil 0x0003",
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("driver", [*METERS, "modbus"])
def test_parts_break_and_recover(rig: Callable[..., Rig], driver: str, kind: BusKind) -> None:
    """Silent, refusing and unplugged parts are errors of their kind, and come back by themselves."""
    part = rig(driver, kind)
    assert len(part.read()) == len(part.quantities)
    for fault, error in (("hang", DeviceTimeout), ("exception", DeviceError), ("short", (DeviceTimeout, InvalidData))):
        part.machine.fault("part", fault)
        with pytest.raises(error):
            part.read()
        part.machine.fault("part", "none")
        assert len(part.read()) == len(part.quantities)
    node = NODE if kind == "modbus_rtu" else URL
    part.machine.plug(node, False)
    with pytest.raises(NotConnected):
        part.read()
    part.machine.plug(node, True)
    assert len(part.read()) == len(part.quantities)


@pytest.mark.parametrize("fault", ["crc", "flip", "garbage", "ones"])
@pytest.mark.parametrize("driver", METERS)
def test_noise_on_the_line_is_never_a_value(rig: Callable[..., Rig], driver: str, fault: str) -> None:
    """Each frame's checksum refuses it."""
    part = rig(driver, "modbus_rtu")
    part.machine.fault("part", fault)
    with pytest.raises((InvalidData, DeviceTimeout)):
        part.read()


def corners(quantities: dict[str, Quantity], limits: dict[str, tuple[float, float]]) -> Iterator[dict[str, float]]:
    """Every quantity at its lowest, its highest and in between."""
    for share in (0.0, 0.37, 1.0):
        yield {name: low + share * (high - low) for name, (low, high) in limits.items() if name in quantities}


@pytest.mark.parametrize("driver", ["sdm120", "sdm630"])
@pytest.mark.parametrize("kind", KINDS)
def test_pymodbus_reads_the_same_meter_as_we(rig: Callable[..., Rig], driver: str, kind: BusKind) -> None:
    """An independent master, decoding floats its own way, sees our values over the meter's whole range."""
    part = rig(driver, kind)
    spec = registry.load(driver)
    channels = spec.channels(part.options)
    limits = {each.name: (each.low, each.high) for each in channels}
    ours = []
    for truths in corners(dict(part.quantities), limits):
        part.set(**truths)
        ours.append((truths, part.read()))
    registers = __import__(f"drivers.{driver}", fromlist=["REGISTERS"]).REGISTERS
    client = part.pymodbus()
    assert client.connect()
    for truths, values in ours:
        part.set(**truths)
        for name, register in registers.items():
            answer = client.read_input_registers(register.at, count=2, device_id=1)
            theirs = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32, word_order="big")
            assert values[name] == pytest.approx(theirs, abs=part.quantities[name].tolerance * 2, rel=1e-6), name
            assert values[name] == pytest.approx(truths[name], abs=part.quantities[name].tolerance, rel=1e-6), name
    client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_pymodbus_reads_the_same_pzem_as_we(rig: Callable[..., Rig], kind: BusKind) -> None:
    """An independent master, putting the words together its own way, sees our values over the meter's whole range."""
    part = rig("pzem004t", kind)
    limits = {each.name: (each.low, each.high) for each in registry.load("pzem004t").channels(part.options)}
    ours = []
    for truths in corners(dict(part.quantities), limits):
        part.set(**truths)
        ours.append((truths, part.read()))
    client = part.pymodbus()
    assert client.connect()
    for truths, values in ours:
        part.set(**truths)
        words = client.read_input_registers(0, count=10, device_id=1).registers
        uint32 = client.DATATYPE.UINT32
        theirs = {
            "voltage": words[0] / 10,
            "current": client.convert_from_registers(words[1:3], uint32, word_order="little") / 1000,
            "power": client.convert_from_registers(words[3:5], uint32, word_order="little") / 10,
            "energy": client.convert_from_registers(words[5:7], uint32, word_order="little"),
            "frequency": words[7] / 10,
            "power_factor": words[8] / 100,
        }
        for name, value in values.items():
            assert value == pytest.approx(theirs[name], abs=part.quantities[name].tolerance * 2), name
            assert value == pytest.approx(truths[name], abs=part.quantities[name].tolerance), name
    client.close()


def test_a_float_that_is_no_number_is_a_broken_meter(rig: Callable[..., Rig]) -> None:
    """One quantity without a value leaves the others good."""
    part = rig("sdm120", "modbus_rtu")
    part.set(power=float("nan"))
    reasons = {sample.channel: sample.reason for sample in part.unit.read()}
    assert reasons.pop("power") is Reason.BAD_SENSOR_FAILURE
    assert set(reasons.values()) == {Reason.GOOD}


def test_meters_on_one_line_keep_their_own_values(root: str) -> None:
    """Three makes share the wire, each under its unit number."""
    machine = Machine(root)
    drivers: dict[str, Any] = {}
    bus: Any = open_bus(Bus("bus", "modbus_rtu", NODE, baud=115200), root)
    for unit, driver in enumerate(METERS, start=11):
        spec = registry.load(driver)
        options = dataclasses.replace(pages.sample_options(spec), unit=unit)
        machine.place(driver, driver, Wiring("modbus_rtu", NODE, {"unit": unit}, baud=115200))
        drivers[driver] = spec.open(bus, options)
    machine.start()
    machine.set(sdm120__voltage=231.0, sdm630__voltage_l1=227.0, pzem004t__voltage=219.0)
    volts = {name: driver.read()[0].value for name, driver in drivers.items()}
    assert volts == pytest.approx({"sdm120": 231.0, "sdm630": 227.0, "pzem004t": 219.0}, abs=0.4)
    bus.close()
    machine.stop()
