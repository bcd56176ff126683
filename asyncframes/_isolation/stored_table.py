"""The stored frame table of a video whose decoding process may be hostile."""

from __future__ import annotations

from concurrent.futures import Executor

from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._media.table.cache import TableCache, cache_key
from asyncframes._media.table.scan import HEAD_BYTES, MADE_BY
from asyncframes._model.table import FrameTable, SourceIdentity
from asyncframes._model.table_file import unpack_table
from asyncframes._requests.inputs import VideoInput
from asyncframes._runtime.threads import in_thread
from asyncframes.sources import CachedSource


def table_from(data: bytes, most_bytes: int) -> FrameTable:
    """Return the frame table that the decoding process turned into bytes.

    Parameters
    ----------
    data
        The bytes.
    most_bytes
        Most bytes of its columns together.

    Raises
    ------
    MalformedError
        They are no frame table, or one that is too long.
    """
    try:
        return FrameTable(**unpack_table(data, most_bytes=most_bytes))
    except (ValueError, TypeError, ArithmeticError, IndexError) as exc:
        raise MalformedError("a frame table is malformed") from exc


class StoredTable:
    """Loads and stores the frame table of one video in the table cache.

    The key is determined here. The decoding process could otherwise store a wrong table for
    another video.

    Parameters
    ----------
    cache
        Where tables are stored.
    video_input, cached
        The source, and the source behind its limits.
    executor
        Runs blocking calls.
    most_bytes
        Most bytes of the columns of a table together.

    Attributes
    ----------
    stream_index
        Which stream of the container is decoded, once that is known.
    """

    def __init__(
        self,
        cache: TableCache,
        video_input: VideoInput,
        cached: CachedSource,
        executor: Executor,
        *,
        most_bytes: int,
    ) -> None:
        self._cache = cache
        self._input = video_input
        self._cached = cached
        self._executor = executor
        self._most_bytes = most_bytes
        self.stream_index: int | None = None

    async def load(self) -> bytes:
        """Return the stored table as bytes, ``b""`` if there is none."""
        key = await self._key()
        table = None if key is None else await in_thread(self._executor, self._cache.load, key)
        return b"" if table is None else await in_thread(self._executor, table.to_bytes)

    async def save(self, data: bytes) -> None:
        """Store a table that the decoding process made.

        Raises
        ------
        MalformedError
            It is no frame table.
        """
        key = await self._key()
        if key is not None:
            await in_thread(self._executor, self._save, key, data)

    def _save(self, key: str, data: bytes) -> None:
        self._cache.save(key, table_from(data, self._most_bytes))

    async def _key(self) -> str | None:
        size = self._input.size
        if self.stream_index is None or size is None:
            return None
        [head] = await self._cached.read_ranges([(0, min(HEAD_BYTES, size))])
        identity = SourceIdentity(size, self._input.validator, self.stream_index)
        return cache_key(self._input.name, identity, head=head, made_by=MADE_BY)
