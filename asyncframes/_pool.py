"""The decoders of one video, kept open between requests."""

from __future__ import annotations

from dataclasses import replace

from asyncframes._session import ReadOptions, Session
from asyncframes.abc import StreamSource
from asyncframes.sources import CachedSource


class SessionPool:
    """Opens sessions, and keeps those that are done with a request for the next one."""

    def __init__(self, source: StreamSource, cached: CachedSource, options: ReadOptions) -> None:
        self._source = source
        self._cached = cached
        self._options = options
        self._idle: list[Session] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def unopened(self) -> Session:
        """Return a session that nothing is open in."""
        return Session(self._source, self._cached, self._options)

    async def take(self, threads: int) -> Session:
        """Return a session with a decoder of so many threads, an idle one if there is any."""
        for session in self._idle:
            if session.threads == threads:
                self._idle.remove(session)
                return session
        return await self._open(threads)

    def take_idle(self) -> Session | None:
        """Return a session whose decoder waits for a request, if there is any."""
        return self._idle.pop() if self._idle else None

    async def _open(self, threads: int) -> Session:
        container = replace(self._options.container, threads=threads)
        session = Session(self._source, self._cached, replace(self._options, container=container))
        try:
            await session.open_file()
            await session.open_decoder()
        except BaseException:
            await session.aclose()
            raise
        return session

    async def give_back(self, session: Session) -> None:
        """Keep a session for the next request, or close it."""
        if session.is_reusable and not self._closed and len(self._idle) <= self._options.container.threads:
            self._idle.append(session)
        else:
            await session.aclose()

    async def aclose(self) -> None:
        """Close the idle sessions; those that are given back later are closed then."""
        self._closed = True
        await self.close_idle()

    async def close_idle(self) -> None:
        """Close the sessions that wait for a request."""
        while self._idle:
            await self._idle.pop().aclose()
