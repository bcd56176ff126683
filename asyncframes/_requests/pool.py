"""The decoders of one video, kept open between requests."""

from __future__ import annotations

from dataclasses import replace

from asyncframes._requests.pump import Turn, Turns
from asyncframes._requests.session import ReadOptions, Session
from asyncframes._runtime.life import ForkGuard
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError
from asyncframes.sources import CachedSource


class SessionPool:
    """Opens sessions, and keeps those that are done with a request for the next one."""

    def __init__(self, source: StreamSource, cached: CachedSource, options: ReadOptions) -> None:
        self._source = source
        self._cached = cached
        self._options = options
        self._idle: list[Session] = []
        self._turns = Turns()
        self._in_use = 0
        self._closed = False
        self._guard = ForkGuard(f"the video {source.name}")

    def __len__(self) -> int:
        return len(self._idle)

    @property
    def are_busy(self) -> bool:
        """Whether a further request would wait for its turn."""
        return self._turns.are_all_taken

    def unopened(self) -> Session:
        """Return a session that nothing is open in."""
        return Session(self._source, self._cached, self._options, Turn(self._turns))

    async def take(self, threads: int) -> Session:
        """Wait for a turn, and return a session with a decoder, an idle one if there is any.

        Where many requests are open whose consumers are behind, further decoders get one
        thread and not `threads`.

        Raises
        ------
        ClosedError
            The video was closed meanwhile.
        """
        turn = Turn(self._turns)
        await turn.take()
        self._in_use += 1
        try:
            self.refuse_if_closed()
            session = await self._idle_or_new(threads if self._in_use <= self._turns.at_once else 1, turn)
        except BaseException:
            self._in_use -= 1
            turn.end()
            raise
        session.turn = turn
        return session

    async def _idle_or_new(self, threads: int, turn: Turn) -> Session:
        for session in self._idle:
            if session.threads == threads:
                self._idle.remove(session)
                return session
        return await self._open(threads, turn)

    def refuse_if_closed(self) -> None:
        """Raise `ClosedError` once the video is closed, or about to be; `ForkedError` in a forked child."""
        self._guard.check()
        if self._closed:
            raise ClosedError(f"the video is closed [{self._source.name}]")

    def take_idle(self) -> Session | None:
        """Return a session whose decoder waits for a request, if there is any."""
        if not self._idle:
            return None
        self._in_use += 1
        return self._idle.pop()

    async def _open(self, threads: int, turn: Turn) -> Session:
        container = replace(self._options.container, threads=threads)
        session = Session(self._source, self._cached, replace(self._options, container=container), turn)
        try:
            await session.open_file()
            await session.open_decoder()
        except BaseException:
            await session.aclose()
            raise
        return session

    async def give_back(self, session: Session) -> None:
        """Keep a session for the next request, or close it."""
        self._in_use -= 1
        try:
            if session.is_reusable and not self._closed and len(self._idle) <= self._turns.at_once:
                self._idle.append(session)
            else:
                await session.aclose()
        finally:
            session.turn.end()

    def refuse_more(self) -> None:
        """Take no request any more; sessions that are given back are closed."""
        self._closed = True

    async def aclose(self) -> None:
        """Close the idle sessions; those that are given back later are closed then."""
        self.refuse_more()
        await self.close_idle()

    async def close_idle(self) -> None:
        """Close the sessions that wait for a request."""
        while self._idle:
            await self._idle.pop().aclose()
