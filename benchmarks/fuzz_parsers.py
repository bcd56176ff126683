"""Fuzz each parser of untrusted bytes with atheris, which looks for input that reaches new code.

::

    python -m benchmarks.fuzz_parsers -max_total_time=60

Arguments go to libFuzzer; the one above bounds a run in seconds. It tries the parsers of the clone.

A parser returns, or raises the one error that says its bytes are malformed. Anything else ends the run, and
libFuzzer leaves the bytes in a file.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["asyncframes._media", "asyncframes.sources._http.reply"]):
    from asyncframes._media.checked import MalformedError
    from asyncframes.errors import AsyncFramesError
    from tests.unit.test_parsers import PARSERS

_NAMES = sorted(PARSERS)


def parse(data: bytes) -> None:
    """Give bytes to the parser that the first byte chooses."""
    if data:
        with suppress(MalformedError, AsyncFramesError):
            PARSERS[_NAMES[data[0] % len(_NAMES)]][0](data[1:])


def write_seeds(folder: Path) -> None:
    """Write well-formed bytes for each parser, which the fuzzer then damages."""
    for number, name in enumerate(_NAMES):
        (folder / name.replace(" ", "-")).write_bytes(bytes([number]) + PARSERS[name][1])


def main() -> None:
    """Run until a fault occurs, or for as long as the arguments allow."""
    with tempfile.TemporaryDirectory() as folder:
        write_seeds(Path(folder))
        atheris.Setup([sys.argv[0], folder, *sys.argv[1:]], parse)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
