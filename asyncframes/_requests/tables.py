"""The frame table of a video: passed by the caller, read from the table cache, or built from the source."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from asyncframes._media.first_look import FirstLook
from asyncframes._media.table.cache import TableCache, cache_key
from asyncframes._media.table.scan import MADE_BY, read_head
from asyncframes._model.table import FrameTable, SourceIdentity
from asyncframes._requests.decoder_session import DecoderSession
from asyncframes._requests.inputs import VideoInput
from asyncframes._requests.jobs.approximate import nominal_table
from asyncframes._requests.jobs.job import Evidence
from asyncframes._requests.pool import DecoderPool
from asyncframes._requests.shared_table import SharedTable
from asyncframes._runtime.threads import in_thread, wait_until_done
from asyncframes.errors import SourceChangedError


class VideoTable:
    """The frame table of a video, obtained once and updated with what requests learn.

    Parameters
    ----------
    video_input
        What the decoders read.
    pool
        Provides decoders.
    executor
        Runs blocking calls.
    given
        The caller's table, which makes a scan unnecessary.
    cache
        Where tables are stored, ``None`` for nowhere.
    """

    def __init__(
        self,
        video_input: VideoInput,
        pool: DecoderPool,
        executor: Executor,
        *,
        given: FrameTable | None,
        cache: TableCache | None,
    ) -> None:
        self._shared: SharedTable | None = None
        self._input = video_input
        self._pool = pool
        self._executor = executor
        self._given = given
        self._cache = cache
        self._nominal: FrameTable | None = None
        self._key: str | None = None
        self._saved: tuple[bool, int] | None = None
        self._must_rebuild = False
        self._frames: int | None = None
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def table(self) -> FrameTable | None:
        """The table, ``None`` until a request needs it."""
        return None if self._shared is None else self._shared.table

    def shared(self, table: FrameTable) -> SharedTable:
        """Return the shared table in which a request that uses `table` records what it learns."""
        shared = self._shared
        return shared if shared is not None and shared.is_of(table) else SharedTable(table)

    def accept(self, look: FirstLook) -> None:
        """Check the caller's table against the open source, and use it.

        Raises
        ------
        SourceChangedError
            The table belongs to other bytes.
        ValueError
            The table belongs to another stream.
        """
        if self._given is None:
            return
        described, found = self._given.identity, self._identity(look)
        if described is not None and described.stream_index != found.stream_index:
            raise ValueError(
                f"frame_table is for stream {described.stream_index}, but stream "
                f"{found.stream_index} is decoded: pass the table of that stream, or omit it"
            )
        if described is not None and not described.may_be(found):
            raise SourceChangedError(
                "frame_table is for other bytes (another size or validator): "
                "pass the table of this source, or omit it",
                source=self._input.name,
            )
        self._input.headers.add(self._given.headers)
        self._shared = SharedTable(self._given)

    async def get(self, look: FirstLook) -> FrameTable:
        """Return the table, obtained in the cheapest way."""
        while (table := self.table) is None or self._is_refuted(table):
            if self._is_idle.is_set():
                return await self._search(look)
            await self._is_idle.wait()
        return table

    async def _search(self, look: FirstLook) -> FrameTable:
        self._is_idle.clear()
        session = self._pool.unopened()
        try:
            table = await self._find(session, look)
            # Not confirmed yet, even if a decode of the head agreed: fields may begin later in the stream. So
            # the first request checks the pictures where it reads before it skips any.
            self._shared = SharedTable(table)
        finally:
            # All waiters resume in one iteration of the loop, so requests for near frames form one group.
            self._is_idle.set()
            await session.aclose()
        return table

    def _is_refuted(self, table: FrameTable) -> bool:
        """Whether decoding has shown that a table built from packets is wrong."""
        if table.is_verified:
            return False
        return self._must_rebuild or self._frames not in {None, len(table)}

    async def nominal(self, look: FirstLook) -> FrameTable:
        """Return a table computed from the header's claims."""
        if self._nominal is None:
            self._nominal = await in_thread(
                self._executor, nominal_table, look.info, look.first_pts, self._input.name
            )
        return self._nominal

    def learn(self, evidence: Evidence) -> None:
        """Record what a request learnt about the stream."""
        self._must_rebuild |= evidence.must_rebuild
        if evidence.frames is not None:
            self._frames = evidence.frames

    async def note(self, shared: SharedTable) -> None:
        """Adopt and store the table that a request used, if the request learnt more about it."""
        table, known = shared.table, self.table
        if shared is not self._shared:
            if known is None or not table.is_verified:
                return
            table = table.of_source(known.identity, known.headers)
            self._shared = SharedTable(table)
        if self._cache is not None and self._key is not None and _learnt(table) != self._saved:
            self._saved = _learnt(table)
            await wait_until_done(in_thread(self._executor, self._cache.save, self._key, table))

    async def _find(self, session: DecoderSession, look: FirstLook) -> FrameTable:
        if self._cache is not None:
            await session.open_file()
            head = await session.worker.run(read_head, session.file)
            identity = self._identity(look)
            self._key = cache_key(self._input.name, identity, head=head, made_by=MADE_BY)
        if self._cache is None or self._key is None:
            return await self._scan(session, look)
        table = await session.worker.run(self._cache.load, self._key)
        if table is None or self._is_refuted(table):
            table = await self._scan(session, look)
            await session.worker.run(self._cache.save, self._key, table)
        self._input.headers.add(table.headers)
        self._saved = _learnt(table)
        return table

    async def _scan(self, session: DecoderSession, look: FirstLook) -> FrameTable:
        table = None
        if look.has_picture and not self._must_rebuild:
            table = await self._scan_packets(session, look)
        if table is None or self._is_refuted(table):
            await session.open_file()
            table = await session.scan_by_decoding()
        return table.of_source(self._identity(look), self._input.headers.items())

    async def _scan_packets(self, session: DecoderSession, look: FirstLook) -> FrameTable:
        """List the packets with an idle decoder, if there is one, instead of opening the container again."""
        listed, idle = None, self._pool.take_idle()
        if idle is not None:
            try:
                if idle.reads_directly:
                    return await session.scan_beside(look, idle)
                listed = await idle.list_packets(look.first_packets)
            finally:
                await self._pool.give_back(idle)
        await session.open_file()
        return await session.scan(look, listed)

    def _identity(self, look: FirstLook) -> SourceIdentity:
        return SourceIdentity(self._input.size, self._input.validator, look.info.stream_index)


def _learnt(table: FrameTable) -> tuple[bool, int]:
    return table.is_verified, len(table.false_keyframes)
