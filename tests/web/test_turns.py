"""Who is next: requests in their order, and work that nobody waits for after them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from asyncframes.web import WebLimits
from asyncframes.web._problems import ProblemError
from asyncframes.web._turns import Turns
from tests.web.serving import until

pytestmark = pytest.mark.anyio


class Work:
    """Pieces of work that note when each begins, and end when they are told to."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.begun: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def add(self, name: str, is_ahead: Callable[[], bool] = bool, *, is_admitted: bool = False) -> None:
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._do(name, is_ahead, is_admitted))
        await asyncio.sleep(0)

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await self.tasks[name]
        await asyncio.sleep(0)

    async def _do(self, name: str, is_ahead: Callable[[], bool], is_admitted: bool) -> None:
        async with self.turns.turn(is_ahead, is_admitted=is_admitted):
            self.begun.append(name)
            await self._ends[name].wait()


@asynccontextmanager
async def working(max_requests: int, max_queued: int = 9) -> AsyncIterator[Work]:
    work = Work(Turns(WebLimits(max_requests=max_requests, max_queued=max_queued)))
    yield work
    for task in work.tasks.values():
        task.cancel()
    await asyncio.gather(*work.tasks.values(), return_exceptions=True)
    await until(lambda: work.turns.free == max_requests and not work.turns.waiting)


async def test_requests_come_before_work_that_nobody_waits_for() -> None:
    """Each in its order, also if they came later."""
    async with working(1) as work:
        await work.add("first")
        for name in ("ahead 1", "ahead 2"):
            await work.add(name, lambda: True)
        for name in ("second", "third"):
            await work.add(name)
        assert work.turns.waiting == 2
        await work.end("first", "second", "third", "ahead 1", "ahead 2")
        assert work.begun == ["first", "second", "third", "ahead 1", "ahead 2"]


async def test_work_that_nobody_waits_for_leaves_turns_free() -> None:
    """It gets a quarter of them; once somebody waits for it, it gets any."""
    async with working(4) as work:
        awaited: set[str] = set()
        for name in ("ahead 1", "ahead 2", "ahead 3"):
            await work.add(name, lambda name=name: name not in awaited)  # type: ignore[misc]
        assert work.begun == ["ahead 1"]
        await work.add("request")
        assert work.begun == ["ahead 1", "request"]
        awaited.add("ahead 3")
        work.turns.give()
        await asyncio.sleep(0)
        assert work.begun == ["ahead 1", "request", "ahead 3"]
        await work.end("ahead 1")
        assert work.begun[-1] == "ahead 2"
        await work.end("request", "ahead 2", "ahead 3")


async def test_each_kind_has_its_own_queue() -> None:
    """Work that nobody waits for makes no request be refused."""
    async with working(1, max_queued=2) as work:
        await work.add("first")
        for name in ("ahead 1", "ahead 2"):
            await work.add(name, lambda: True)
        with pytest.raises(ProblemError, match="too many requests"):
            async with work.turns.turn(lambda: True):
                pass
        for name in ("second", "third"):
            await work.add(name)
        with pytest.raises(ProblemError, match="too many requests"):
            async with work.turns.turn():
                pass


async def test_an_answer_that_has_begun_is_not_refused() -> None:
    """A stream waits for the turn of its next frame, whoever else waits, and takes no place of theirs."""
    async with working(1, max_queued=1) as work:
        await work.add("first")
        await work.add("stream", is_admitted=True)
        await work.add("request")
        await work.add("stream again", is_admitted=True)
        await work.add("refused")
        with pytest.raises(ProblemError):
            await work.tasks["refused"]
        await work.end("first", "stream", "request", "stream again")
        assert work.begun == ["first", "stream", "request", "stream again"]


async def test_no_queue_at_all() -> None:
    """What gets its turn at once need not wait."""
    async with working(4, max_queued=0) as work:
        await work.add("ahead", lambda: True)
        with pytest.raises(ProblemError, match="too many requests"):
            async with work.turns.turn(lambda: True):
                pass
        async with work.turns.turn():
            assert work.turns.free == 2


async def test_who_leaves_gives_its_turn_on() -> None:
    """While it waits, and in the moment in which it gets its turn."""
    async with working(1) as work:
        for name in ("first", "second", "third", "fourth"):
            await work.add(name)
        work.tasks["second"].cancel()
        work.tasks["first"].cancel()
        await asyncio.sleep(0)
        work.tasks["third"].cancel()
        await until(lambda: work.begun == ["first", "fourth"])
        await work.end("fourth")
