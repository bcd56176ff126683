"""A source that breaks a rule fails that rule's test, which says what to do."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from asyncframes.abc import StreamSource
from asyncframes.errors import ShortReadError
from asyncframes.sources import MemorySource
from asyncframes.testing import SourceContract
from tests.support.marks import BOTH_ISOLATIONS

pytestmark = BOTH_ISOLATIONS


def over_memory(**members: Any) -> Callable[[bytes], StreamSource]:
    """Break members of a source that keeps the contract."""
    return cast("Callable[[bytes], StreamSource]", type("Broken", (MemorySource,), members))


def contract_of(make: Callable[[bytes], StreamSource]) -> SourceContract:
    class Contract(SourceContract):
        secrets = ("hush",)

        @asynccontextmanager
        async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
            yield make(data)

    return Contract()


async def _views(self: Any, start: int, stop: int) -> Any:
    return memoryview(await MemorySource.read_range(self, start, stop))


async def _shifted(self: Any, start: int, stop: int) -> bytes:
    return (await MemorySource.read_range(self, start, stop))[::-1]


async def _unchecked(self: Any, start: int, stop: int) -> bytes:
    self.check_open()
    return cast("bytes", self._data[start:stop])


async def _misreported(self: Any, start: int, stop: int) -> bytes:
    if stop > self.size:
        raise ShortReadError("short", source=self.name, start=0, stop=1, received=1)
    return await MemorySource.read_range(self, start, stop)


async def _cut_when_closed(self: Any, start: int, stop: int) -> bytes:
    await asyncio.sleep(0.01)
    if self._closed:
        raise OSError("bad file descriptor")
    return await MemorySource.read_range(self, start, stop)


async def _empty(_self: Any, _start: int, _stop: int) -> bytes:
    return b""


async def _nothing(self: Any) -> None:
    pass


def _named(self: Any) -> BinaryIO:
    file = io.BytesIO(self._data)
    named = type("Named", (io.BytesIO,), {"name": "x.mp4"})
    return cast("BinaryIO", named(file.getvalue()))


_versions = count()

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("reads_are_exact", {"read_range": _views}, r"read_range\(0, 1\) returned a memoryview: return bytes"),
    (
        "reads_are_exact",
        {"read_range": _shifted},
        r"read_range\(0, 70000\) returned 70000 bytes that differ .* return exactly",
    ),
    ("concurrent_reads", {"read_range": _shifted}, "wrong bytes during other reads: share no"),
    ("size", {"size": property(lambda _: 7)}, "size is 7 once open: return 300000"),
    (
        "past_the_end",
        {"read_range": _unchecked},
        "past the size 300000: call.*nothing was raised",
    ),
    ("past_the_end", {"read_range": _misreported}, "says 0-1 with 1 bytes received: expected 299995-3"),
    ("past_the_end", {"size": None, "read_range": _empty}, "of unknown size did not return"),
    (
        "nonsense_is_refused",
        {"read_range": _unchecked},
        r"read_range\(-1, 5\) is an invalid range: .*nothing was raised",
    ),
    ("empty", {"size": property(lambda _: 7)}, "size is 7 once open: return 0"),
    ("open_twice", {"validator": property(lambda _: str(next(_versions)))}, "opening again changed size and"),
    ("closed", {"aclose": _nothing}, r"read_range\(\) after aclose\(\): remember that the source is closed"),
    (
        "closed",
        {"open": _nothing, "read_range": _unchecked},
        r"open\(\) after aclose\(\): a closed source stays closed",
    ),
    (
        "closed",
        {"local_file": lambda _: io.BytesIO(b"")},
        r"local_file\(\) after aclose\(\) returned",
    ),
    ("closing_during_reads", {"read_range": _cut_when_closed}, "ended in OSError.*return the bytes, or"),
    (
        "validator_is_stable",
        {"validator": property(lambda _: str(next(_versions)))},
        "the validator changed",
    ),
    ("name_tells_no_secret", {"name": ""}, "the name is empty"),
    ("name_tells_no_secret", {"name": "a hush b"}, r"the name shows secrets\[0\]: leave"),
    (
        "name_tells_no_secret",
        {"__repr__": lambda _: "hush"},
        r"repr\(\) shows secrets\[0\]: leave",
    ),
    ("local_file", {"local_file": _named}, r"local_file\(\) has a name, from which FFmpeg"),
    (
        "local_file",
        {"local_file": lambda _: io.BytesIO(b"x")},
        r"local_file\(\) returned other bytes at 100000",
    ),
]


@pytest.mark.parametrize(("rule", "members", "text"), BROKEN)
def test_a_broken_rule_is_named(rule: str, members: dict[str, Any], text: str) -> None:
    contract = contract_of(over_memory(**members))
    with pytest.raises(AssertionError, match=f"(?s){text}"):
        getattr(contract, f"test_{rule}")()


def test_every_rule_is_broken_once() -> None:
    rules = {name.removeprefix("test_") for name in dir(SourceContract) if name.startswith("test_")}
    assert {rule for rule, _, _ in BROKEN} == rules


WITHOUT_PLUGINS = ("-p", "no:anyio", "-p", "no:asyncio", "-p", "no:xdist", "-p", "no:cacheprovider")

KEPT = """
from contextlib import asynccontextmanager
from asyncframes.sources import MemorySource
from asyncframes.testing import SourceContract

class TestMine(SourceContract):
    @asynccontextmanager
    async def serving(self, data):
        yield MemorySource(data)
"""


def run_alone(directory: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run tests of a user's, with no plugin that knows of event loops."""
    (directory / "test_mine.py").write_text(program)
    command = [sys.executable, "-m", "pytest", *WITHOUT_PLUGINS, "test_mine.py"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_contract_without_serving_fails(tmp_path: Path) -> None:
    """It does not vanish."""
    program = "from asyncframes.testing import SourceContract\n\nclass TestMine(SourceContract): pass\n"
    done = run_alone(tmp_path, program)
    assert done.returncode == 1
    assert "TestMine has no serving(): implement it as an asynchronous context" in done.stdout
    assert " passed" not in done.stdout


@pytest.mark.slow
def test_a_contract_needs_no_plugin(tmp_path: Path) -> None:
    done = run_alone(tmp_path, KEPT)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout
