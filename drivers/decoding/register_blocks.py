"""Reading many registers in few requests: neighbours are asked for together. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from drivers.decoding import modbus_pdu
from drivers.decoding.modbus_pdu import MOST_BITS, MOST_REGISTERS, READS_BITS, Kind
from drivers.decoding.registers import Register, value_of
from gateway.core.errors import DeviceError
from gateway.core.reading import Sample


@dataclass(frozen=True, slots=True)
class Block:
    """One request's worth of addresses, `at` and `count` of them, and the channels in it."""

    kind: Kind
    at: int
    count: int
    fields: tuple[tuple[str, Register], ...]

    @property
    def request(self) -> bytes:
        """The PDU that asks for it."""
        return modbus_pdu.read(self.kind, self.at, self.count)

    def samples(self, reply: bytes) -> Iterator[Sample]:
        """Every channel of a checked reply; one without a value says why, and spoils no other."""
        if modbus_pdu.FUNCTIONS[self.kind] in READS_BITS:
            states = modbus_pdu.bits(reply, self.count)
            for name, register in self.fields:
                yield Sample(name, states[register.at - self.at])
            return
        words = modbus_pdu.words(reply)
        for name, register in self.fields:
            first = register.at - self.at
            try:
                yield Sample(name, value_of(register, words[first : first + register.count]))
            except DeviceError as error:
                yield Sample.missing(name, error.reason, str(error))


def blocks(registers: Mapping[str, Register], *, gap: int = 0, most: int = MOST_REGISTERS) -> tuple[Block, ...]:
    """The fewest requests that read all of these.

    gap: how many addresses nobody wants may be read over to save a request; many parts refuse a block that holds
    addresses they don't have. most: registers of one request, where a part takes fewer than the standard's 125.
    """
    found: list[Block] = []
    for name, register in sorted(registers.items(), key=lambda item: (item[1].kind, item[1].at)):
        limit = MOST_BITS if modbus_pdu.FUNCTIONS[register.kind] in READS_BITS else most
        last = found[-1] if found else None
        count = register.at + register.count - last.at if last else 0
        if last and last.kind == register.kind and register.at <= last.at + last.count + gap and count <= limit:
            found[-1] = Block(last.kind, last.at, count, (*last.fields, (name, register)))
        else:
            found.append(Block(register.kind, register.at, register.count, ((name, register),)))
    return tuple(found)


def decoded(plan: Sequence[Block], replies: Sequence[bytes], registers: Mapping[str, Register]) -> tuple[Sample, ...]:
    """Every channel of the map, in its order, from the checked replies to the plan's requests."""
    found = {
        sample.channel: sample for block, reply in zip(plan, replies, strict=True) for sample in block.samples(reply)
    }
    return tuple(found[name] for name in registers)
