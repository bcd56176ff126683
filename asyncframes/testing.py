"""For tests of your own sources: the contract they keep, and a source that misbehaves on demand.

Needs no test framework by itself. `SourceContract` is written for pytest
with anyio's or pytest-asyncio's marks::

    @pytest.mark.anyio
    class TestMySource(SourceContract):
        @asynccontextmanager
        async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
            with my_server(data) as address:
                yield MySource(address, token="secret")

        secrets = ("secret",)
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import BinaryIO, ClassVar, TypeVar

from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError, ShortReadError, SourceUnavailableError

E = TypeVar("E", bound=Exception)

__all__ = ["FaultySource", "SourceContract"]

_DATA = bytes((7 * i + i // 251) % 256 for i in range(300_000))


class SourceContract(ABC):
    """What every `StreamSource` promises, as tests to inherit.

    Implement `serving`; name in `secrets` whatever may never be shown.
    """

    secrets: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def serving(self, data: bytes) -> AbstractAsyncContextManager[StreamSource]:
        """Give a source over `data` that is not open yet; afterwards clean up what it stood on.

        The test closes the source.
        """

    async def test_reads_are_exact(self) -> None:
        """Every range gives its bytes and nothing else, whatever was read before."""
        ranges = [(0, 1), (5, 5), (0, 70_000), (65_535, 65_537), (131_072, 300_000), (299_999, 300_000)]
        async with self.serving(_DATA) as source, source:
            for start, stop in ranges:
                data = await source.read_range(start, stop)
                assert type(data) is bytes, f"bytes expected, not {type(data).__name__}"
                assert data == _DATA[start:stop], f"other bytes than {start}-{stop}"

    async def test_concurrent_reads(self) -> None:
        """Reads at the same time do not disturb each other."""
        ranges = [(start, start + 10_007) for start in range(0, 280_000, 9_001)]
        async with self.serving(_DATA) as source, source:
            results = await asyncio.gather(*(source.read_range(start, stop) for start, stop in ranges))
        assert results == [_DATA[start:stop] for start, stop in ranges]

    async def test_size(self) -> None:
        """Once open, the size is the length, or unknown until the end was read."""
        async with self.serving(_DATA) as source, source:
            assert source.size in {None, len(_DATA)}
            await source.read_range(len(_DATA) - 1, len(_DATA))
            assert source.size in {None, len(_DATA)}

    async def test_past_the_end(self) -> None:
        """A range past the end is an error where the size is known and comes short where it is not."""
        end = len(_DATA)
        async with self.serving(_DATA) as source, source:
            beyond = [(end, end + 1), (end + 100, end + 200), (2**40, 2**40 + 1), (2**62, 2**62 + 1)]
            for start, stop in [(end - 5, end + 5), *beyond, (2**64, 2**65), (end - 1, 2**64)]:
                if source.size is None:
                    assert await source.read_range(start, stop) == _DATA[start:stop]
                    continue
                with _raises(ShortReadError) as caught:
                    await source.read_range(start, stop)
                assert (caught[0].start, caught[0].stop) == (start, stop)
                assert caught[0].received == max(0, end - start)

    async def test_nonsense_is_refused(self) -> None:
        """A negative start and a stop before the start are wrong arguments."""
        async with self.serving(_DATA) as source, source:
            for start, stop in [(-1, 5), (5, 4)]:
                with _raises(ValueError):
                    await source.read_range(start, stop)

    async def test_empty(self) -> None:
        """A source of no bytes opens, and reads as nothing."""
        async with self.serving(b"") as source, source:
            assert source.size in {None, 0}
            assert await source.read_range(0, 0) == b""

    async def test_open_twice(self) -> None:
        """Opening again, also at the same time, changes nothing."""
        async with self.serving(_DATA) as source:
            await asyncio.gather(source.open(), source.open())
            before = source.size, source.validator
            await source.open()
            assert (source.size, source.validator) == before
            assert await source.read_range(10, 20) == _DATA[10:20]
            await source.aclose()

    async def test_closed(self) -> None:
        """Closing twice is harmless, also unopened; afterwards nothing is read or opened."""
        async with self.serving(_DATA) as source:
            await source.aclose()
            await source.aclose()
        async with self.serving(_DATA) as source:
            await source.open()
            await source.aclose()
            await source.aclose()
            with _raises(ClosedError):
                await source.read_range(0, 1)
            with _raises(ClosedError):
                await source.open()
            await self._check_no_local_file(source)

    async def _check_no_local_file(self, source: StreamSource) -> None:
        try:
            file = await asyncio.to_thread(source.local_file)
        except ClosedError:
            return
        if file is not None:
            file.close()
        assert file is None, "a source that is closed opened its file again"

    async def test_closing_during_reads(self) -> None:
        """A read that is under way when the source is closed gives its bytes, or says that it is closed."""
        async with self.serving(_DATA) as source, source:
            starts = (0, 240_000)
            reads = [asyncio.create_task(source.read_range(start, start + 50_000)) for start in starts]
            await asyncio.sleep(0)
            await asyncio.gather(source.aclose(), source.aclose())
            outcomes = await asyncio.gather(*reads, return_exceptions=True)
            for start, outcome in zip(starts, outcomes, strict=True):
                if not isinstance(outcome, ClosedError):
                    assert outcome == _DATA[start : start + 50_000], "neither the bytes nor ClosedError"

    async def test_validator_is_stable(self) -> None:
        """As long as the bytes stay, so does the validator."""
        async with self.serving(_DATA) as source, source:
            before = source.validator
            await source.read_range(0, 100_000)
            assert source.validator == before

    async def test_name_tells_no_secret(self) -> None:
        """Neither the name nor the representation holds a secret."""
        async with self.serving(_DATA) as source, source:
            assert source.name
            for secret in self.secrets:
                assert secret not in source.name
                assert secret not in repr(source)

    async def test_local_file(self) -> None:
        """A local file holds the same bytes, has its own position and no name, and the caller closes it."""
        async with self.serving(_DATA) as source, source:
            file = await asyncio.to_thread(source.local_file)
            if file is None:
                return
            with file:
                assert not hasattr(file, "name"), "FFmpeg probes by name"
                assert file.seekable()
                assert file.seek(100_000) == file.tell() == 100_000
                assert file.read(10) == _DATA[100_000:100_010]
                assert file.seek(0, 2) == len(_DATA)
                assert file.read(10) == b""
            assert await source.read_range(0, 10) == _DATA[:10]


class FaultySource(StreamSource):
    """A source over a source that fails where it is told to.

    Parameters
    ----------
    source
        Closed with this one.
    delay_seconds
        Added to every read.
    error_at
        A read that reaches this byte raises `error`.
    error
        By default a `SourceUnavailableError`.
    errors
        How often, ``None`` for ever.
    short_at
        A read that reaches past this byte comes back short, without an error:
        the contract is broken.
    stall_at
        A read that reaches this byte waits for `release`.

    Attributes
    ----------
    reads
        Every range asked for, in order.
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
        self._error = error or SourceUnavailableError("a fault was asked for", source=source.name)
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
        """Let stalled reads go on, and never stall again."""
        self._released.set()

    def local_file(self) -> BinaryIO | None:
        """There is none: direct reads would meet no fault."""
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


@contextmanager
def _raises(kind: type[E]) -> Iterator[list[E]]:
    caught: list[E] = []
    try:
        yield caught
    except kind as exc:
        caught.append(exc)
    assert caught, f"{kind.__name__} expected"
