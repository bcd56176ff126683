"""Frames of clients that step: decoded in runs, and kept as images until they are asked for."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass
from typing import TypeAlias, cast

from asyncframes._frames.frame import Frame
from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import in_thread, run_to_completion, wait_until_done
from asyncframes._types import PictureOptions
from asyncframes.errors import AsyncFramesError
from asyncframes.web._open.opened import Opened
from asyncframes.web._problems import ProblemError
from asyncframes.web._turns import Turns

LONGEST_RUN = 16
"""Most frames that are decoded together for a client that steps. The first run is shorter."""

_FIRST_RUN = 4
_MOST_ASKED = 16_384
_MOST_ENDS = 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """How a frame becomes an image.

    Attributes
    ----------
    ext
        File extension.
    quality
        For the encoder; ``None`` for its default.
    options
        Options of `Video.frame`, sorted.
    """

    ext: str
    quality: int | None
    options: tuple[tuple[str, object], ...]

    def arguments(self) -> PictureOptions:
        """Return the options as arguments."""
        return cast("PictureOptions", dict(self.options))


@dataclass(frozen=True, slots=True)
class Encoded:
    """A frame as an image file, and what headers say of it."""

    body: bytes
    headers: dict[str, str]


Key: TypeAlias = tuple[int, Picture, int]
Encode: TypeAlias = Callable[[Frame], Encoded]


class _Run:
    """Frames that are being decoded, each for those who wait for it."""

    def __init__(self, keys: dict[int, Key], turns: Turns) -> None:
        loop = asyncio.get_running_loop()
        self.keys = keys
        self._turns = turns
        self.coming: dict[int, asyncio.Future[Encoded | None]] = {
            index: loop.create_future() for index in keys
        }
        self.task: asyncio.Task[None] | None = None
        self._waiting: Counter[int] = Counter()

    def is_awaited(self, index: int) -> bool:
        """Whether somebody waits for a frame."""
        return self._waiting[index] > 0

    def is_ahead(self) -> bool:
        """Whether nobody waits for any frame."""
        return not self._waiting.total()

    async def frame(self, index: int) -> Encoded | None:
        """Wait for a frame; ``None`` if the run does not give it. If nobody waits any more, the run ends."""
        self._waiting[index] += 1
        self._turns.give()
        try:
            return await asyncio.shield(self.coming[index])
        except asyncio.CancelledError:
            if self._waiting.total() == 1 and self.task is not None:
                self.task.cancel()
            raise
        finally:
            self._waiting[index] -= 1


class _Images:
    """Images that were made ahead. Those that were asked for are dropped first: clients have caches too."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._new: OrderedDict[Key, Encoded] = OrderedDict()
        self._given: OrderedDict[Key, Encoded] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._new or key in self._given

    def __len__(self) -> int:
        return len(self._new) + len(self._given)

    def get(self, key: Key) -> Encoded | None:
        """Return an image, if it was made."""
        if (image := self._new.pop(key, None)) is not None:
            self._given[key] = image
        return self._given.get(key)

    def add(self, key: Key, image: Encoded, *, is_given: bool) -> int:
        """Keep an image, and return how many that nobody has asked for were dropped for it."""
        (self._given if is_given else self._new)[key] = image
        self._left -= len(image.body)
        lost = 0
        while self._left < 0:
            lost += not self._given
            _, old = (self._given or self._new).popitem(last=False)
            self._left += len(old.body)
        return lost


class Steps:
    """Gives frames as images. The next ones of a client that steps are made before it asks.

    Many clients at different places of a video need more pictures than can be kept, and a picture alone
    costs half a group of pictures. A run costs each picture once.

    Parameters
    ----------
    turns
        Where a run waits for its turn.
    held
        Keeps a video open for a run; tells whether it is still open.
    max_bytes
        Most bytes of images to keep.
    """

    def __init__(
        self, turns: Turns, held: Callable[[Opened], AbstractContextManager[bool]], max_bytes: int
    ) -> None:
        self._turns = turns
        self._held = held
        self._kept = _Images(max_bytes)
        self._longest = LONGEST_RUN if max_bytes else 0
        # With how many steps in a row led there, negative for those backwards.
        self._asked: OrderedDict[Key, int] = OrderedDict()
        self._runs: dict[Key, _Run] = {}
        self._ends: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def frame(self, opened: Opened, index: int, picture: Picture, encode: Encode) -> Encoded:
        """Return the frame at an index.

        Raises
        ------
        AsyncFramesError
            As `Video.frame` does.
        """
        key = (opened.serial, picture, index)
        steps = self._steps(key)
        kept = self._kept.get(key)
        if steps and self._longest:
            self._make_next(opened, index, steps, picture, encode)
        if kept is not None:
            self._longest = min(LONGEST_RUN, self._longest + 1)
            return kept
        run = self._runs.get(key)
        if run is not None and (made := await run.frame(index)) is not None:
            return made
        async with self._turns.turn():
            frame = await opened.video.frame(index, **picture.arguments())
            return await run_to_completion(in_thread(None, encode, frame))

    async def aclose(self) -> None:
        """End all runs."""
        for task in [*self._tasks]:
            task.cancel()
            await wait_until_done(task)

    def _steps(self, key: Key) -> int:
        """Note what is asked for, and return how many steps in a row led there, negative if backwards."""
        serial, picture, index = key
        steps = 0
        for way in (1, -1):
            before = self._asked.get((serial, picture, index - way))
            if before is not None and index >= 0:
                steps = way + (before if before * way > 0 else 0)
                break
        self._asked[key] = steps
        self._asked.move_to_end(key)
        if len(self._asked) > _MOST_ASKED:
            self._asked.popitem(last=False)
        return steps

    def _make_next(self, opened: Opened, index: int, steps: int, picture: Picture, encode: Encode) -> None:
        """Start a run with the first of the next frames that is not made, if that is due soon."""
        way = 1 if steps > 0 else -1
        length = min(self._longest, _FIRST_RUN * abs(steps))
        end = self._ends.get(opened.serial)
        for ahead in range(length // 2 + 1):
            first = index + way * ahead
            if first < 0 or (end is not None and first >= end):
                return
            key = (opened.serial, picture, first)
            if key not in self._kept and key not in self._runs:
                last = max(0, first + way * (length - 1))
                self._start(opened, range(min(first, last), max(first, last) + 1), picture, encode)
                return

    def _start(self, opened: Opened, indices: range, picture: Picture, encode: Encode) -> None:
        keys = {index: (opened.serial, picture, index) for index in indices}
        run = _Run(
            {index: key for index, key in keys.items() if key not in self._runs and key not in self._kept},
            self._turns,
        )
        self._runs |= dict.fromkeys(run.keys.values(), run)
        run.task = begin(self._decode(opened, run, picture, encode), "asyncframes run of frames")
        self._tasks.add(run.task)
        run.task.add_done_callback(lambda task: self._end(run, task))

    async def _decode(self, opened: Opened, run: _Run, picture: Picture, encode: Encode) -> None:
        # Whoever waits for a frame that a run does not give decodes it alone, and gets the error.
        with suppress(AsyncFramesError, ProblemError), self._held(opened) as is_open:
            if not is_open:
                return
            async with self._turns.turn(run.is_ahead):
                frames = opened.video.frames(
                    min(run.keys), max(run.keys), queue_maxsize=4, **picture.arguments()
                )
                async with aclosing(frames):
                    async for frame in frames:
                        if frame.index in run.keys:
                            made = await run_to_completion(in_thread(None, encode, frame))
                            self._give(run, frame.index, made)
                self._note_end(opened, run)

    def _give(self, run: _Run, index: int, made: Encoded) -> None:
        key = run.keys[index]
        if self._kept.add(key, made, is_given=run.is_awaited(index)):
            # There is room for fewer images, and to make one again costs more than to make it late.
            self._longest = max(1, self._longest // 2)
        run.coming[index].set_result(made)
        del self._runs[key]

    def _note_end(self, opened: Opened, run: _Run) -> None:
        """Remember where a video ends, so that no run begins after it."""
        if missing := [index for index, coming in run.coming.items() if not coming.done()]:
            self._ends[opened.serial] = min(missing)
            while len(self._ends) > _MOST_ENDS:
                del self._ends[next(iter(self._ends))]

    def _end(self, run: _Run, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for index, coming in run.coming.items():
            if not coming.done():
                coming.set_result(None)
                del self._runs[run.keys[index]]
