"""The list for the safe-state program."""

import errno
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.control.safe_list import safe_list, write_safe_list
from gateway.settings.model import Bus, Configuration, Site
from rules.definition import Rulebook
from tests.control.fakes import output


def test_the_list_holds_the_physical_safe_level_of_every_output() -> None:
    """Polarity and safe value give the level on the line; the last line seals all before it."""
    outputs = (
        output("a"),
        output("b", safe=True),
        output("c", active="low"),
        output("d", safe=True, active="low"),
    )
    numbered = tuple(
        replace(each, options={**each.options, "line": line}) for line, each in enumerate(outputs, start=17)
    )
    header = Bus("header", "gpio", "/dev/gpiochip0")
    data = safe_list(Configuration(1, Site("t"), (header,), (), numbered, Rulebook({}, (), (), ())))
    *lines, seal = data.splitlines(keepends=True)
    assert lines == [
        b"gpio /dev/gpiochip0 17 0\n",
        b"gpio /dev/gpiochip0 18 1\n",
        b"gpio /dev/gpiochip0 19 1\n",
        b"gpio /dev/gpiochip0 20 0\n",
    ]
    assert seal == b"crc32 %08x\n" % zlib.crc32(b"".join(lines))


def test_no_outputs_is_a_valid_list() -> None:
    """A site that only measures has nothing to make safe."""
    assert safe_list(Configuration(1, Site("t"), (), (), (), Rulebook({}, (), (), ()))) == b"crc32 00000000\n"


def test_a_list_that_is_there_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk control starts again with the outputs it had; other outputs need a list that can be written."""
    nothing = Configuration(1, Site("t"), (), (), (), Rulebook({}, (), (), ()))
    header = Bus("header", "gpio", "/dev/gpiochip0")
    path = tmp_path / "safe-state.list"
    write_safe_list(path, nothing)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gateway.control.safe_list.write_atomically", full)
    write_safe_list(path, nothing)
    with pytest.raises(OSError, match="No space"):
        write_safe_list(path, replace(nothing, buses=(header,), outputs=(output("a"),)))
