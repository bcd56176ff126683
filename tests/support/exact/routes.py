"""Every way to the frames of a video, judged by a decode of the whole stream with one codec thread."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from asyncframes import Frame, FrameTable, Video
from asyncframes.errors import (
    AsyncFramesError,
    CorruptMediaError,
    MediaError,
    SourceError,
    UnsupportedMediaError,
)
from tests.support.exact.one_thread import Digest, OneThread, digest

OpenVideo: TypeAlias = Callable[[], Any]
"""Opens the video anew, as `asyncframes.open_video` does."""

SAMPLE = 48
"""Frames up to which each is asked for by index; of longer videos, as many as this."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How many requests of each kind are made.

    Attributes
    ----------
    by_index
        Frames up to which each is asked for by index; of longer videos, as many as this.
    ranges
        Ranges of one video.
    steps
        Single frames that follow each other backward, and then twice as many forward.
    alone
        Single frames, each of a video that was just opened.
    """

    by_index: int = SAMPLE
    ranges: int = 4
    steps: int = 6
    alone: int = 6


@dataclass(frozen=True, slots=True)
class Got:
    """A frame, as much of it as is compared."""

    index: int
    image: Digest
    is_corrupt: bool


@dataclass(slots=True)
class Seen:
    """What one request came to.

    Attributes
    ----------
    route
        How the frames were asked for, for people.
    asked
        Indices in the order of the request.
    is_passage
        Whether it leads through all frames between its first and its last.
    is_whole
        Whether it is one from the first packet to the end of the source.
    """

    route: str
    asked: Sequence[int]
    is_passage: bool = False
    is_whole: bool = False
    got: list[Got] = field(default_factory=list)
    error: Exception | None = None


async def collect(route: str, asked: Sequence[int], frames: AsyncIterator[Frame], **more: Any) -> Seen:
    """Take the frames of a request up to its end or its error."""
    seen = Seen(route, asked, **more)
    try:
        async with aclosing(frames):  # type: ignore[type-var]
            async for frame in frames:
                seen.got.append(Got(frame.index, digest(frame.image), frame.is_corrupt))
                del frame
    except Exception as exc:  # noqa: BLE001 - an error of any kind is judged later
        # A traceback leads back to here, and to the decoder: both would wait for the garbage collector.
        seen.error = exc.with_traceback(None)
    return seen


async def _one(frame: Any) -> AsyncIterator[Frame]:
    yield await frame


async def _each(batch: Any) -> AsyncIterator[Frame]:
    for frame in await batch:
        yield frame


def _is_of_two_sizes(error: BaseException | None) -> bool:
    """Whether a batch was refused because its frames differ in size, which is no fault."""
    return isinstance(error, UnsupportedMediaError) and "frames of a batch have one size" in str(error)


class Judge:
    """Says where what a request came to is not what one codec thread gives.

    Parameters
    ----------
    truth
        The stream, decoded by one thread.
    on_corrupt
        How the video was opened.
    """

    def __init__(self, truth: OneThread, on_corrupt: str) -> None:
        self._truth = truth
        self._mode = on_corrupt
        self._places = truth.damaged_places()

    def differences(self, seen: Seen) -> list[str]:
        """Return every difference, none where all is right."""
        due = self._due(seen.asked)
        found = [self._frame(place, got, due) for place, got in enumerate(seen.got)]
        found.append(self._end(seen, due))
        return [f"{seen.route}: {text}" for text in found if text]

    def count(self, route: str, count: int | Exception, *, is_provisional: bool) -> list[str]:
        """Judge a number of frames."""
        truth = len(self._truth)
        if count == truth or (is_provisional and isinstance(count, int)):
            return []
        if isinstance(count, SourceError):
            return []  # bytes that came once have passed
        if isinstance(count, Exception):
            return [] if isinstance(count, MediaError) and not truth else [f"{route}: {_text(count)}"]
        return [f"{route}: {count} where {truth} decode"]

    def _due(self, asked: Sequence[int]) -> list[int]:
        if self._mode != "skip":
            return list(asked)
        return [index for index in asked if not self._truth.shown[index].is_corrupt]

    def _frame(self, place: int, got: Got, due: list[int]) -> str | None:
        if place >= len(due):
            return f"frame {got.index} comes after all that were due"
        if got.index != due[place]:
            return f"frame {got.index} comes where {due[place]} is due"
        truth = self._truth.shown[got.index]
        if not truth.is_determinate:
            return None
        if got.image != truth.image:
            others = [i for i, one in enumerate(self._truth.shown) if one.image == got.image]
            what = f"is frame {others[0]}" if len(others) == 1 else "has other pixels"
            return f"frame {got.index} {what}, silently"
        if got.is_corrupt != truth.is_corrupt:
            return f"frame {got.index} has is_corrupt={got.is_corrupt}"
        if truth.is_corrupt and self._mode == "raise":
            return f"frame {got.index} is damaged, and there is no error"
        return None

    def _end(self, seen: Seen, due: list[int]) -> str | None:
        if seen.error is not None:
            return self._error(seen, seen.error)
        if len(seen.got) < len(due):
            return f"{len(seen.got)} frames of {len(due)}, without an error"
        if not self._truth.shown:
            return "no frames, without an error"
        if self._mode == "raise" and (hit := self._refused_between(seen)):
            return f"passes the refused packet at {hit} without an error"
        return None

    def _refused_between(self, seen: Seen) -> list[int]:
        """Places of a refused packet that a request should have met: between its first and its last frame."""
        hit = (sorted(self._truth.places_of(one)) for one in self._truth.refusals)
        if seen.is_whole:
            return next(hit, [])
        inner = range(seen.asked[0] + 1, seen.asked[-1] + 1) if seen.is_passage else ()
        return next((places for places in hit if all(place in inner for place in places)), [])

    def _error(self, seen: Seen, error: Exception) -> str | None:
        if not isinstance(error, AsyncFramesError):
            return f"foreign {_text(error)}"
        if not self._truth.shown:
            return None if isinstance(error, MediaError) else _text(error)
        nearest = seen.asked[len(seen.got)] if len(seen.got) < len(seen.asked) else None
        if isinstance(error, CorruptMediaError) and self._mode != "keep":
            return self._corrupt(seen, error, nearest)
        if nearest is not None and nearest < len(self._truth) and self._truth.shown[nearest].image is None:
            return None
        return f"unjustified {_text(error)}"

    def _corrupt(self, seen: Seen, error: CorruptMediaError, nearest: int | None) -> str | None:
        if self._mode == "skip":
            single = len(seen.asked) == 1 and self._truth.shown[seen.asked[0]].is_corrupt
            return None if single else f"unjustified {_text(error)}"
        if error.index not in self._places:
            return f"damage at {sorted(self._places)[:8]}, not: {_text(error)}"
        if seen.is_whole:
            return self._first(seen, error)
        return None

    def _first(self, seen: Seen, error: CorruptMediaError) -> str | None:
        """Hold the error of a passage from the start to the first damage that one thread meets.

        Where a packet is refused, pictures may come out that are shown before its own, up to one that is
        marked.
        """
        shown, truth = len(seen.got), self._truth
        flagged = next((index for index, one in enumerate(truth.shown) if one.is_corrupt), len(truth))
        if shown == error.index == flagged and not self._was_refused_before(flagged):
            return None
        if error.index == shown and shown <= flagged and shown in truth.places_of_the_end():
            return None
        refused = truth.refusals[0] if truth.refusals else None
        places = {flagged} if refused is None else truth.places_of(refused)
        if refused is not None and error.index in places and refused.shown_before <= shown <= max(places):
            return None
        return f"{shown} frames, then {_text(error)}: first damage is at {sorted({*places, flagged})}"

    def _was_refused_before(self, flagged: int) -> bool:
        """Whether a packet was refused whose place is before a picture that is marked, in every respect."""
        return any(max(self._truth.places_of(one)) <= flagged for one in self._truth.refusals)


def _text(error: Exception) -> str:
    index = getattr(error, "index", None)
    where = "" if index is None else f" of frame {index}"
    return f"{type(error).__name__}{where} ({str(error)[:90]})"


async def count_of(video: Video) -> tuple[int | Exception, bool]:
    """Return the number of frames, and whether it is said to be provisional; the table can be saved."""
    try:
        table: FrameTable = await video.frame_table()
        assert len(FrameTable.from_bytes(table.to_bytes())) == await video.count()
        return await video.count(), bool(getattr(table, "is_provisional", False))
    except Exception as exc:  # noqa: BLE001 - judged by the caller
        return exc.with_traceback(None), False


def sample(length: int, generator: random.Random, most: int) -> list[int]:
    """Indices in an order that jumps about, with the ends of a long video among them."""
    chosen = generator.sample(range(length), min(length, most))
    if length > most >= 2:
        chosen[:2] = [0, length - 1]
        generator.shuffle(chosen)
    return chosen


class Routes:
    """Asks for the frames of a video in every way.

    Parameters
    ----------
    open_video
        Opens it.
    truth
        Its frames.
    on_corrupt
        How it is opened.
    seed
        What is asked for by index depends on it.
    effort
        How many requests are made.

    Attributes
    ----------
    was_provisional
        Whether a number of frames was said to be provisional.
    """

    def __init__(
        self,
        open_video: OpenVideo,
        truth: OneThread,
        on_corrupt: str,
        seed: str,
        *,
        effort: Effort = Effort(),
    ) -> None:
        self._open = open_video
        self._length = len(truth)
        self._judge = Judge(truth, on_corrupt)
        self._is_whole = on_corrupt != "raise" or not truth.is_damaged
        self._generator = random.Random(seed)
        self._effort = effort
        self.was_provisional = False

    async def all(self) -> list[str]:
        """Take every way."""
        return [
            *await self.counted(),
            *await self.in_sequence(),
            *await self.by_index(),
            *await self.ranges(),
            *await self.stepping(),
            *await self.batched(),
            *await self.alone(),
        ]

    async def counted(self) -> list[str]:
        """Count, decode from start to end, and count again."""
        async with self._open() as video:
            count, is_provisional = await count_of(video)
            self.was_provisional |= is_provisional
            found = self._judge.count("count before", count, is_provisional=is_provisional)
            found += await self._ask("in sequence", range(self._length), video.frames(), is_whole=True)
            if self._is_whole:
                count, _ = await count_of(video)
                found += self._judge.count("count after", count, is_provisional=False)
        return found

    async def in_sequence(self) -> list[str]:
        """Decode a video that was just opened from start to end, and count then."""
        async with self._open() as video:
            found = await self._ask(
                "in sequence, uncounted", range(self._length), video.frames(), is_whole=True
            )
            if self._is_whole:
                count, _ = await count_of(video)
                found += self._judge.count("count after", count, is_provisional=False)
        return found

    async def by_index(self) -> list[str]:
        """Ask for frames in an order that jumps about, in one request."""
        if not self._length:
            return []
        asked = sample(self._length, self._generator, self._effort.by_index)
        asked += asked[:2]
        async with self._open() as video:
            return await self._ask("by index", asked, video.frames(indices=asked))

    async def ranges(self) -> list[str]:
        """Ask for ranges, one after the other."""
        found: list[str] = []
        async with self._open() as video:
            for _ in range(self._effort.ranges if self._length else 0):
                start = self._generator.randrange(self._length)
                end = min(self._length - 1, start + self._generator.randrange(self._effort.by_index))
                step = self._generator.choice([1, 1, 2, 5])
                asked = range(start, end + 1, step)
                frames = video.frames(start, end, step)
                found += await self._ask(f"range {start}-{end}, {step}", asked, frames, is_passage=step == 1)
        return found

    async def batched(self) -> list[str]:
        """Ask for frames in an order that jumps about, in one array."""
        if not self._length:
            return []
        asked = sample(self._length, self._generator, self._effort.by_index)
        async with self._open() as video:
            seen = await collect("batch", asked, _each(video.batch(indices=asked)))
        return [] if _is_of_two_sizes(seen.error) else self._judge.differences(seen)

    async def stepping(self) -> list[str]:
        """Step backward and forward from some frame, and backward from the last one."""
        found: list[str] = []
        if not self._length:
            return found
        start = self._generator.randrange(self._length)
        steps = min(self._effort.steps, self._length)
        async with self._open() as video:
            backward = range(start, max(-1, start - steps), -1)
            forward = range(backward[-1], min(backward[-1] + 2 * steps, self._length))
            for index in [*backward, *forward]:
                found += await self._ask(f"step to {index}", [index], _one(video.frame(index)))
            for back in range(1, steps + 1):
                index = self._length - back
                found += await self._ask(f"frame({-back})", [index], _one(video.frame(-back)))
        return found

    async def alone(self) -> list[str]:
        """Ask for one frame of a video that was just opened."""
        found: list[str] = []
        for index in sample(self._length, self._generator, self._effort.alone):
            async with self._open() as video:
                found += await self._ask(f"frame({index})", [index], _one(video.frame(index)))
        return found

    async def _ask(
        self, route: str, asked: Sequence[int], frames: AsyncIterator[Frame], **more: bool
    ) -> list[str]:
        return self._judge.differences(await collect(route, asked, frames, **more))
