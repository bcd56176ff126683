"""The decodes in progress for one video."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable
from asyncframes._requests.decoder_session import DecoderSession
from asyncframes._requests.jobs.job import JobOptions
from asyncframes._requests.jobs.table_job import TableJob
from asyncframes._requests.pool import DecoderPool
from asyncframes._requests.pump import Pump
from asyncframes._requests.route import make_job
from asyncframes._requests.shared_table import SharedTable
from asyncframes._requests.tables import VideoTable
from asyncframes._types import SeekMode


class Decodings:
    """Decodes requests, each with a decoder from the pool.

    Parameters
    ----------
    pool
        Provides the decoders.
    tables
        Records what decoding reveals about the frame table.
    threads
        Codec threads for one request.
    seek_mode
        How frames are found.
    """

    def __init__(self, pool: DecoderPool, tables: VideoTable, threads: int, seek_mode: SeekMode) -> None:
        self._pool = pool
        self._tables = tables
        self._threads = threads
        self._seek_mode: SeekMode = seek_mode
        self.running: dict[Pump, DecoderSession] = {}
        """Every pump at work, with the session that it uses."""

    @asynccontextmanager
    async def pumped(
        self,
        selection: Callable[[], Selection],
        table: FrameTable | None,
        options: JobOptions,
        *,
        queue_maxsize: int,
        lanes: int = 1,
        delivered: int = 0,
        may_rebuild: bool,
        holds_turn: bool = False,
    ) -> AsyncIterator[Pump]:
        """Wait for a turn, then decode a request, or one lane of it, while the context is open.

        Parameters
        ----------
        selection
            Returns the frames to decode. Called once the turn has come.
        table
            Locates the frames. ``None`` decodes from the start of the stream.
        options
            How frames are made.
        queue_maxsize
            How many frames all lanes together may decode ahead.
        lanes
            How many decoders share the request.
        delivered
            How many frames at the front of the selection the consumer already has.
        may_rebuild
            Whether to rebuild a table that proves wrong, rather than raise
            `TableMismatchError`.
        holds_turn
            Whether to hold the turn to the end, for a consumer that never falls behind.
        """
        self._pool.refuse_if_closed()
        session = await self._pool.take(max(1, self._threads // lanes))
        session.charge(options.budget)
        try:
            # A sequential source delivers its bytes once. A second request has it store them, if it can.
            await session.release_consumed_bytes()
            # Only a seek needs the positions of all fragments; a decode from the start does not.
            if table is not None:
                await session.load_fragment_index()
            session.report_progress("decode")
            job = make_job(
                session.decoder,
                session.converter_for(options.rendering),
                options,
                selection(),
                self._shared(table),
                delivered,
                known=self._tables.table,
                may_rebuild=may_rebuild,
            )
            # The lanes share the bound, so their number does not multiply the memory.
            size = max(1, queue_maxsize // lanes)
            image_bytes = 0 if options.images is None else options.images.image_bytes
            pump = Pump(
                session.worker, session.turn, job, size, holds_turn=holds_turn, image_bytes=image_bytes
            )
            self.running[pump] = session
            try:
                yield pump
            finally:
                self.running.pop(pump, None)
                # The pump first: until it is closed, a thread may still step the job.
                await pump.aclose()
                job.close()
                self._tables.learn(job.evidence)
                if isinstance(job, TableJob):
                    await self._tables.note(job.shared)
        finally:
            await self._pool.give_back(session)

    def _shared(self, table: FrameTable | None) -> FrameTable | SharedTable | None:
        return table if table is None or self._seek_mode == "approximate" else self._tables.shared(table)

    async def aclose(self) -> None:
        """End every request."""
        while self.running:
            pump, session = self.running.popitem()
            await pump.aclose()
            await session.aclose()
