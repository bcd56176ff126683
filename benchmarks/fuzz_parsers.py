"""Feed each parser of untrusted bytes with what reaches new code in it, by atheris.

Arguments go to libFuzzer.

A parser returns, or raises the one error that says its bytes are malformed; anything else ends the run, and
libFuzzer leaves the bytes in a file. ``-max_total_time=60`` bounds a run in seconds.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

# Behind the installed package, which is what is tried.
sys.path.append(str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["asyncframes._media", "asyncframes.sources._http.reply"]):
    from asyncframes._media.checked import MalformedError
    from asyncframes.errors import AsyncFramesError
    from tests.unit.test_parsers import PARSERS

_NAMES = sorted(PARSERS)


def parse(data: bytes) -> None:
    """Give bytes to the parser that the first of them names."""
    if data:
        with suppress(MalformedError, AsyncFramesError):
            PARSERS[_NAMES[data[0] % len(_NAMES)]][0](data[1:])


def write_seeds(folder: Path) -> None:
    """Write well-formed bytes for each parser, from which damage begins."""
    for number, name in enumerate(_NAMES):
        (folder / name.replace(" ", "-")).write_bytes(bytes([number]) + PARSERS[name][1])


def main() -> None:
    """Run until a fault, or as long as the arguments say."""
    with tempfile.TemporaryDirectory() as folder:
        write_seeds(Path(folder))
        atheris.Setup([sys.argv[0], folder, *sys.argv[1:]], parse)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
