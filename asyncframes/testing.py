"""Helpers for tests of your own sources: the contract as tests, and a source that fails on demand.

No pytest plugin is needed, because each test is a plain method that runs its own event loop::

    class TestMySource(SourceContract):
        @asynccontextmanager
        async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
            with my_server(data) as address:
                yield MySource(address, token="secret")

        secrets = ("secret",)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import wraps
from typing import Any, BinaryIO, ClassVar, TypeVar

from asyncframes._model.quoting import a_kind
from asyncframes.abc import SourceAround, StreamSource
from asyncframes.errors import ClosedError, ShortReadError, SourceUnavailableError

E = TypeVar("E", bound=Exception)
C = TypeVar("C", bound="SourceContract")

__all__ = ["FaultySource", "SourceContract"]

_DATA = bytes((7 * i + i // 251) % 256 for i in range(300_000))


def _on_own_loop(test: Callable[[C], Coroutine[Any, Any, None]]) -> Callable[[C], None]:
    @wraps(test)
    def run(self: C) -> None:
        asyncio.run(test(self))

    return run


class SourceContract:
    """Tests of what every `StreamSource` promises. Inherit them, and implement `serving`.

    Without `serving`, every test fails. In `secrets`, list every text that the name and the
    representation of the source must not contain.
    """

    secrets: ClassVar[tuple[str, ...]] = ()

    def serving(self, data: bytes) -> AbstractAsyncContextManager[StreamSource]:
        """Yield an unopened source that contains `data`, and clean up afterwards.

        The test closes the source.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no serving(): implement it as an asynchronous context manager that "
            "yields an unopened source with the given bytes"
        )

    @_on_own_loop
    async def test_reads_are_exact(self) -> None:
        """Every range returns exactly its bytes, whatever was read before."""
        ranges = [(0, 1), (5, 5), (0, 70_000), (65_535, 65_537), (131_072, 300_000), (299_999, 300_000)]
        async with self.serving(_DATA) as source, source:
            for start, stop in ranges:
                data = await source.read_range(start, stop)
                assert type(data) is bytes, (
                    f"read_range({start}, {stop}) returned {a_kind(data)}: return bytes"
                )
                assert data == _DATA[start:stop], (
                    f"read_range({start}, {stop}) returned {len(data)} bytes that differ from the source's: "
                    f"return exactly the {stop - start} bytes from {start} up to, but not including, {stop}"
                )

    @_on_own_loop
    async def test_concurrent_reads(self) -> None:
        """Concurrent reads do not disturb each other."""
        ranges = [(start, start + 10_007) for start in range(0, 280_000, 9_001)]
        async with self.serving(_DATA) as source, source:
            results = await asyncio.gather(*(source.read_range(start, stop) for start, stop in ranges))
        for (start, stop), data in zip(ranges, results, strict=True):
            assert data == _DATA[start:stop], (
                f"read_range({start}, {stop}) returned wrong bytes during other reads: "
                "share no position between reads, or hold a lock from seek to read"
            )

    @_on_own_loop
    async def test_size(self) -> None:
        """Once the source is open, its size is the number of bytes, or unknown until the end is read."""
        async with self.serving(_DATA) as source, source:
            _check_size(source, len(_DATA), "once open")
            await source.read_range(len(_DATA) - 1, len(_DATA))
            _check_size(source, len(_DATA), "after the last byte was read")

    @_on_own_loop
    async def test_past_the_end(self) -> None:
        """A range past the end is an error if the size is known, and returns fewer bytes if it is not."""
        end = len(_DATA)
        async with self.serving(_DATA) as source, source:
            beyond = [(end, end + 1), (end + 100, end + 200), (2**40, 2**40 + 1), (2**62, 2**62 + 1)]
            for start, stop in [(end - 5, end + 5), *beyond, (2**64, 2**65), (end - 1, 2**64)]:
                if source.size is None:
                    assert await source.read_range(start, stop) == _DATA[start:stop], (
                        f"read_range({start}, {stop}) of a source of unknown size did not return the bytes "
                        f"up to the end at {end}: return those, or b'' past the end"
                    )
                    continue
                what = f"read_range({start}, {stop}) reaches past the size {end}"
                with _raises(ShortReadError, f"{what}: call check_range(start, stop) first") as caught:
                    await source.read_range(start, stop)
                error = caught[0]
                assert (error.start, error.stop, error.received) == (start, stop, max(0, end - start)), (
                    f"{what}, and the ShortReadError says {error.start}-{error.stop} with {error.received} "
                    f"bytes received: expected {start}-{stop} with {max(0, end - start)} bytes received"
                )

    @_on_own_loop
    async def test_nonsense_is_refused(self) -> None:
        """A negative start, or a stop before the start, raises `ValueError`."""
        async with self.serving(_DATA) as source, source:
            for start, stop in [(-1, 5), (5, 4)]:
                rule = f"read_range({start}, {stop}) is an invalid range: call check_range(start, stop) first"
                with _raises(ValueError, rule):
                    await source.read_range(start, stop)

    @_on_own_loop
    async def test_empty(self) -> None:
        """A source without bytes can be opened, and reads as empty."""
        async with self.serving(b"") as source, source:
            _check_size(source, 0, "once open")
            assert await source.read_range(0, 0) == b"", (
                "read_range(0, 0) of an empty source returned bytes: return b''"
            )

    @_on_own_loop
    async def test_open_twice(self) -> None:
        """Opening a source again, even concurrently, changes nothing."""
        async with self.serving(_DATA) as source:
            await asyncio.gather(source.open(), source.open())
            before = source.size, source.validator
            await source.open()
            after = source.size, source.validator
            assert after == before, (
                f"opening again changed size and validator from {before} to {after}: do nothing in "
                "open() if the source is open"
            )
            assert await source.read_range(10, 20) == _DATA[10:20], (
                "read_range(10, 20) returned wrong bytes after open() was called again: do nothing in open() "
                "if the source is open"
            )
            await source.aclose()

    @_on_own_loop
    async def test_closed(self) -> None:
        """Closing twice is harmless, even before opening. A closed source cannot be read or opened."""
        async with self.serving(_DATA) as source:
            await source.aclose()
            await source.aclose()
        async with self.serving(_DATA) as source:
            await source.open()
            await source.aclose()
            await source.aclose()
            with _raises(ClosedError, "read_range() after aclose(): remember that the source is closed"):
                await source.read_range(0, 1)
            with _raises(ClosedError, "open() after aclose(): a closed source stays closed"):
                await source.open()
            await self._check_no_local_file(source)

    async def _check_no_local_file(self, source: StreamSource) -> None:
        try:
            file = await asyncio.to_thread(source.local_file)
        except ClosedError:
            return
        if file is not None:
            file.close()
        assert file is None, "local_file() after aclose() returned a file: raise ClosedError, or return None"

    @_on_own_loop
    async def test_closing_during_reads(self) -> None:
        """A read during which the source is closed returns its bytes, or raises `ClosedError`."""
        async with self.serving(_DATA) as source, source:
            starts = (0, 240_000)
            reads = [asyncio.create_task(source.read_range(start, start + 50_000)) for start in starts]
            await asyncio.sleep(0)
            await asyncio.gather(source.aclose(), source.aclose())
            outcomes = await asyncio.gather(*reads, return_exceptions=True)
            for start, outcome in zip(starts, outcomes, strict=True):
                if not isinstance(outcome, ClosedError):
                    assert outcome == _DATA[start : start + 50_000], (
                        f"read_range({start}, {start + 50_000}) ended in {_described(outcome)} when the "
                        "source was closed during the read: return the bytes, or raise ClosedError"
                    )

    @_on_own_loop
    async def test_validator_is_stable(self) -> None:
        """The validator does not change while the bytes do not."""
        async with self.serving(_DATA) as source, source:
            before = source.validator
            await source.read_range(0, 100_000)
            assert source.validator == before, (
                f"the validator changed from {before!r} to {source.validator!r}, but the bytes did not: "
                "derive it from the version of the bytes, or return None"
            )

    @_on_own_loop
    async def test_name_tells_no_secret(self) -> None:
        """Neither the name nor the representation contains a secret."""
        async with self.serving(_DATA) as source, source:
            assert source.name, "the name is empty: return a name for errors and logs"
            for number, secret in enumerate(self.secrets):
                assert secret not in source.name, f"the name shows secrets[{number}]: leave credentials out"
                assert secret not in repr(source), f"repr() shows secrets[{number}]: leave credentials out"

    @_on_own_loop
    async def test_local_file(self) -> None:
        """A local file has the same bytes, its own position and no name, and the caller closes it."""
        async with self.serving(_DATA) as source, source:
            file = await asyncio.to_thread(source.local_file)
            if file is None:
                return
            with file:
                assert not hasattr(file, "name"), (
                    "local_file() has a name, from which FFmpeg would guess the format: "
                    "return a file without a name"
                )
                assert file.seekable(), "local_file() cannot seek: return a seekable file, or None"
                assert file.seek(100_000) == file.tell() == 100_000, (
                    "local_file().seek(100000) and tell() disagree: return a file that starts at byte 0"
                )
                assert file.read(10) == _DATA[100_000:100_010], (
                    "local_file() returned other bytes at 100000 than the source: open the same bytes"
                )
                assert file.seek(0, 2) == len(_DATA), (
                    "local_file() differs in length from the source: open the same bytes"
                )
                assert file.read(10) == b"", "local_file() returned bytes past its end: return b'' there"
            assert await source.read_range(0, 10) == _DATA[:10], (
                "read_range(0, 10) returned wrong bytes after local_file() was read: share no position"
            )


class FaultySource(SourceAround):
    """Wraps a source, and fails where you tell it to.

    Parameters
    ----------
    source
        The source to read from. It is closed together with this one.
    delay_seconds
        Delay of every read.
    error_at
        A read that reaches this byte raises `error`.
    error
        The error to raise; by default a `SourceUnavailableError`.
    errors
        How many reads fail; ``None`` for all.
    short_at
        A read that reaches past this byte returns fewer bytes without an error, which
        breaks the contract.
    stall_at
        A read that reaches this byte waits for `release`.

    Attributes
    ----------
    reads
        Every requested range, in order.
    stalled
        Set while a read waits for `release`.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        delay_seconds: float = 0.0,
        error_at: int | None = None,
        error: Exception | None = None,
        errors: int | None = None,
        short_at: int | None = None,
        stall_at: int | None = None,
    ) -> None:
        self._source = source
        self._delay_seconds = delay_seconds
        self._error_at = error_at
        self._error = error or SourceUnavailableError(
            "a FaultySource failed as requested", source=source.name
        )
        self._errors = errors
        self._short_at = short_at
        self._stall_at = stall_at
        self._released = asyncio.Event()
        self.reads: list[tuple[int, int]] = []
        self.stalled: asyncio.Event = asyncio.Event()

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def size(self) -> int | None:
        return self._source.size

    @property
    def validator(self) -> str | None:
        return self._source.validator

    async def open(self) -> None:
        await self._source.open()

    async def read_range(self, start: int, stop: int) -> bytes:
        self.reads.append((start, stop))
        await asyncio.sleep(self._delay_seconds)
        if _reaches(stop, self._stall_at):
            await self._stall()
        if _reaches(stop, self._error_at) and self._errors != 0:
            self._errors = None if self._errors is None else self._errors - 1
            raise self._error
        if self._short_at is not None:
            stop = max(start, min(stop, self._short_at))
        return await self._source.read_range(start, stop)

    def release(self) -> None:
        """Let stalled reads continue, and never stall again."""
        self._released.set()

    def local_file(self) -> BinaryIO | None:
        """Return ``None``, because direct reads would not fail."""
        return None

    async def aclose(self) -> None:
        await self._source.aclose()

    async def _stall(self) -> None:
        if not self._released.is_set():
            self.stalled.set()
            try:
                await self._released.wait()
            finally:
                self.stalled.clear()


def _reaches(stop: int, byte: int | None) -> bool:
    return byte is not None and stop > byte


def _check_size(source: StreamSource, expected: int, when: str) -> None:
    assert source.size in {None, expected}, (
        f"size is {source.size!r} {when}: return {expected}, the number of bytes, or None if it is unknown"
    )


def _described(outcome: object) -> str:
    return repr(outcome) if isinstance(outcome, BaseException) else "bytes that differ from the source's"


@contextmanager
def _raises(kind: type[E], rule: str) -> Iterator[list[E]]:
    caught: list[E] = []
    try:
        yield caught
    except kind as exc:
        caught.append(exc)
    except Exception as exc:
        raise AssertionError(f"{rule}; expected {kind.__name__}, not {type(exc).__name__}") from exc
    assert caught, f"{rule}; expected {kind.__name__}, but nothing was raised"
