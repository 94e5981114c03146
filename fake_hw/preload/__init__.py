"""Tier T1: lets programs that know nothing of the simulated machine find it, in any language. What it does: shim.h."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

_SOURCES = Path(__file__).parent
_COMPILE = ("cc", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")


def build(directory: Path) -> Path:
    """The compiled shim in `directory`, made there (1 s) unless it is there for these sources. Any number at a time.

    Raises RuntimeError with the compiler's words, or when there is no compiler.
    """
    sources = sorted(_SOURCES.glob("*.[ch]"))
    mark = hashlib.sha256(b"\0".join([*(source.read_bytes() for source in sources), *map(str.encode, _COMPILE)]))
    library = directory / f"kg-shim-{mark.hexdigest()[:12]}.so"
    if library.exists():
        return library
    with tempfile.TemporaryDirectory(dir=directory, prefix="kg-shim-") as place:
        made = Path(place, library.name)
        command = [*_COMPILE, *(str(source) for source in sources if source.suffix == ".c"), "-o", str(made), "-ldl"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise RuntimeError("there is no C compiler `cc`: install gcc and libc6-dev") from None
        if done.returncode:
            raise RuntimeError(f"the preload shim does not compile:\n{done.stderr}")
        made.replace(library)
    return library


def environment(library: Path, root: str, others: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which a program, and every one it starts, finds the machine below `root`."""
    preloaded = [str(library), *others.get("LD_PRELOAD", "").split()]
    return {**others, "LD_PRELOAD": " ".join(preloaded), "KG_SHIM_ROOT": root}
