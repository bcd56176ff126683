"""The requests of one video that are being decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable
from asyncframes._requests.jobs.job import JobOptions
from asyncframes._requests.jobs.table_job import TableJob
from asyncframes._requests.pool import SessionPool
from asyncframes._requests.pump import Pump
from asyncframes._requests.route import make_job
from asyncframes._requests.session import Session
from asyncframes._requests.shared_table import SharedTable
from asyncframes._requests.tables import VideoTable
from asyncframes._types import SeekMode


class Decodings:
    """Decodes requests, each by a decoder of the pool.

    Parameters
    ----------
    sessions
        The pool.
    tables
        Learns what decoding shows.
    threads
        Codec threads of a request.
    seek_mode
        How frames are found.
    """

    def __init__(self, sessions: SessionPool, tables: VideoTable, threads: int, seek_mode: SeekMode) -> None:
        self._sessions = sessions
        self._tables = tables
        self._threads = threads
        self._seek_mode: SeekMode = seek_mode
        self.running: dict[Pump, Session] = {}
        """What decodes now, and where."""

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
        keeps_turn: bool = False,
    ) -> AsyncIterator[Pump]:
        """Wait for a turn, and decode a request, or one lane of it, while the context is open.

        Parameters
        ----------
        selection
            Says what is wanted, when the turn has come.
        table
            Names the frames; ``None`` decodes from the start.
        options
            How frames are made.
        queue_maxsize
            How many frames may be decoded ahead, by all lanes together.
        lanes
            How many decoders the request is dealt out to.
        delivered
            How many frames of the selection are not wanted any more.
        may_rebuild
            Whether to replace a table that proves wrong; otherwise that is a
            `TableMismatchError`.
        keeps_turn
            Whether to keep the turn to the end, for a consumer that is never behind.
        """
        self._sessions.refuse_if_closed()
        session = await self._sessions.take(max(1, self._threads // lanes))
        try:
            await session.use_up()
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
                may_rebuild=may_rebuild,
            )
            size = max(1, queue_maxsize // lanes)
            pump = Pump(session.worker, session.turn, job, size, keeps_turn=keeps_turn)
            self.running[pump] = session
            try:
                yield pump
            finally:
                self.running.pop(pump, None)
                await pump.aclose()
                job.close()
                self._tables.learn(job.evidence)
                if isinstance(job, TableJob):
                    await self._tables.note(job.shared)
        finally:
            await self._sessions.give_back(session)

    def _shared(self, table: FrameTable | None) -> FrameTable | SharedTable | None:
        return table if table is None or self._seek_mode == "approximate" else self._tables.shared(table)

    async def aclose(self) -> None:
        """End every request."""
        while self.running:
            pump, session = self.running.popitem()
            await pump.aclose()
            await session.aclose()
