"""The decoders of one video, reused between requests."""

from __future__ import annotations

from dataclasses import replace

from asyncframes._requests.decoder_session import DecoderSession, ReadOptions
from asyncframes._requests.inputs import VideoInput
from asyncframes._requests.pump import Turn, Turns
from asyncframes._runtime.life import ForkGuard
from asyncframes.errors import ClosedError


class DecoderPool:
    """Opens decoder sessions, and reuses idle ones for later requests."""

    def __init__(self, video_input: VideoInput, options: ReadOptions) -> None:
        self._input = video_input
        self._options = options
        self._idle: list[DecoderSession] = []
        self._turns = Turns()
        self._in_use = 0
        self._closed = False
        self._guard = ForkGuard(f"the video {video_input.name}")

    def __len__(self) -> int:
        return len(self._idle)

    @property
    def are_busy(self) -> bool:
        """Whether another request would have to wait for its turn."""
        return self._turns.are_all_taken

    def unopened(self) -> DecoderSession:
        """Return a session with neither file nor decoder open."""
        return DecoderSession(self._input, self._options, Turn(self._turns))

    async def take(self, threads: int, *, looks: bool = False) -> DecoderSession:
        """Wait for a turn, then return a session with an open decoder, an idle one if possible.

        While more requests are open than may decode at once, new decoders get one thread
        instead of `threads`. With `looks`, a new decoder takes a quick look as it opens.

        Raises
        ------
        ClosedError
            The video is closed.
        """
        turn = Turn(self._turns)
        await turn.take()
        self._in_use += 1
        try:
            self.refuse_if_closed()
            threads = threads if self._in_use <= self._turns.at_once else 1
            session = await self._idle_or_new(threads, turn, looks=looks)
        except BaseException:
            self._in_use -= 1
            turn.end()
            raise
        session.turn = turn
        session.charge()
        return session

    async def _idle_or_new(self, threads: int, turn: Turn, *, looks: bool) -> DecoderSession:
        for session in self._idle:
            if session.threads == threads:
                self._idle.remove(session)
                return session
        return await self._open(threads, turn, looks=looks)

    def refuse_if_closed(self) -> None:
        """Raise `ClosedError` once the video starts to close, and `ForkedError` in a forked child."""
        self._guard.check()
        if self._closed:
            raise ClosedError(f"the video is closed [{self._input.name}]")

    def take_idle(self) -> DecoderSession | None:
        """Return an idle session, ``None`` if there is none."""
        if not self._idle:
            return None
        self._in_use += 1
        session = self._idle.pop()
        session.charge()
        return session

    async def _open(self, threads: int, turn: Turn, *, looks: bool) -> DecoderSession:
        options = self._options
        if options.container.threads != threads:
            options = replace(options, container=replace(options.container, threads=threads))
        session = DecoderSession(self._input, options, turn)
        try:
            await session.open(looks=looks)
        except BaseException:
            await session.aclose()
            raise
        return session

    async def give_back(self, session: DecoderSession) -> None:
        """Take a session back: reuse it for the next request, or close it."""
        self._in_use -= 1
        try:
            if session.is_reusable and not self._closed and len(self._idle) <= self._turns.at_once:
                self._idle.append(session)
            else:
                await session.aclose()
        finally:
            session.turn.end()

    def refuse_more(self) -> None:
        """Refuse new requests, and close sessions as they are given back."""
        self._closed = True

    async def aclose(self) -> None:
        """Close the idle sessions now, and the others when they are given back."""
        self.refuse_more()
        await self.close_idle()

    async def close_idle(self) -> None:
        """Close the idle sessions."""
        while self._idle:
            await self._idle.pop().aclose()
