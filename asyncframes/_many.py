"""`extract_many`: writes frames of many videos."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from asyncframes._model.entries import Unread, read_indices, read_times
from asyncframes._model.options import (
    OpenOptions,
    SaveOptions,
    StreamToDirOptions,
    option,
    part_of,
    with_options,
)
from asyncframes._model.quoting import a_kind, quoted
from asyncframes._opening import open_video
from asyncframes._runtime.generators import in_turns
from asyncframes._runtime.life import GuardedFrames
from asyncframes._runtime.tasks import begin, check_event_loop
from asyncframes._runtime.threads import threads_per_decoder, wait_until_done
from asyncframes._saving.progress import AnyBar, ManyBars, bar_class
from asyncframes._saving.save import Saving
from asyncframes._streaming import stream_frames_to_dir
from asyncframes._types import ProgressCallback
from asyncframes.sources import SourceLike
from asyncframes.sources._names import name_of


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Extraction:
    """The result for one video.

    Attributes
    ----------
    source, output_dir
        The arguments. To print the source, use `name`.
    paths
        Absolute paths of the video's files, in frame order; empty after an error.
    error
        The error that ended the extraction; ``None`` after success.
    """

    source: SourceLike
    output_dir: str
    paths: list[str]
    error: Exception | None = None

    def __repr__(self) -> str:
        outcome = f"error={quoted(self.error)}" if self.error else f"paths=[{len(self.paths)} files]"
        return f"Extraction({quoted(self.name)}, output_dir={quoted(self.output_dir)}, {outcome})"

    @property
    def name(self) -> str:
        """Printable name of the source, without the credentials that `source` may contain."""
        return name_of(self.source)


class ManyOptions(StreamToDirOptions, total=False):
    """Options of `extract_many`, which apply to every video: those of `stream_frames_to_dir`, and bounds.

    Attributes
    ----------
    start, end, step
        As for `Video.frames`.
    """

    start: int | None
    end: int | None
    step: int


@with_options(ManyOptions)
def extract_many(
    videos: Iterable[tuple[SourceLike, str | os.PathLike[str]]],
    *,
    concurrency: int = 4,
    show_progress: bool = False,
    **options: Unpack[ManyOptions],
) -> AsyncGenerator[Extraction, None]:
    """Write frames of many videos, several at a time.

    A video that fails does not stop the others. To resume a run that was interrupted, pass
    ``overwrite="skip"``.

    Parameters
    ----------
    videos
        Pairs of a source and the directory for its frames. They are read one at a time as
        videos finish, so the iterable may be long or endless.
    concurrency
        How many videos to process at once. They share one bounded thread pool, so a higher
        value helps if sources are slow, but not if the CPU is busy.
    show_progress
        Show tqdm bars on stderr: one that counts finished videos, with a total if `videos`
        has a length, and one for the frames of each video in progress.
    **options
        As for `stream_frames_to_dir`. By default, concurrent videos share the CPUs: each gets
        the number of CPUs divided by the number of videos, but 1 to 4, as its `threads`.

    Yields
    ------
    Extraction
        One for each video, in the order in which they finish.

    Raises
    ------
    ValueError
        `concurrency` is less than 1.
    TypeError
        `videos` does not consist of pairs: it is a single path, for example.
    """
    if isinstance(videos, (str, bytes, os.PathLike)):
        raise _no_pairs(videos)
    if concurrency < 1:
        raise ValueError(f"concurrency={concurrency}: expected 1 or more")
    extractions = _extract(videos, concurrency, dict(options), show_progress=show_progress)
    return GuardedFrames(extractions, "the iterator of extract_many")


async def _extract(
    videos: Iterable[tuple[SourceLike, str | os.PathLike[str]]],
    concurrency: int,
    options: dict[str, Any],
    *,
    show_progress: bool,
) -> AsyncGenerator[Extraction, None]:
    check_event_loop()
    bar = await asyncio.to_thread(bar_class) if show_progress else None
    run = _Run(videos, concurrency, await _for_each(options), bar)
    try:
        run.start_next()
        while run.is_busy:
            ended = await run.wait_for_some()
            run.start_next()
            for extraction in ended:
                yield extraction
    finally:
        await run.aclose()


class _Run:
    """One call of `extract_many`."""

    def __init__(
        self,
        videos: Iterable[tuple[SourceLike, str | os.PathLike[str]]],
        concurrency: int,
        options: dict[str, Any],
        bar: type[AnyBar] | None,
    ) -> None:
        total = len(videos) if isinstance(videos, Sized) else None
        self._options = options
        if self._options.get("threads") is None:
            self._options["threads"] = threads_per_decoder(min(concurrency, total or concurrency))
        self._waiting = iter(videos)
        self._concurrency = concurrency
        self._running: set[asyncio.Task[Extraction]] = set()
        self._bars = None if bar is None else ManyBars(total, bar)
        self._exhausted = False

    @property
    def is_busy(self) -> bool:
        """Whether any video is in progress."""
        return bool(self._running)

    def start_next(self) -> None:
        """Start videos until `concurrency` of them are in progress."""
        while len(self._running) < self._concurrency and not self._exhausted:
            if (video := next(self._waiting, None)) is None:
                self._exhausted = True
                return
            source, directory = _pair(video)
            self._running.add(begin(self._extract(source, directory), "asyncframes extract"))

    async def wait_for_some(self) -> list[Extraction]:
        """Wait until a video has ended, and return all that have."""
        done, self._running = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        return [task.result() for task in done]

    async def _extract(self, source: SourceLike, output_dir: str | os.PathLike[str]) -> Extraction:
        directory = os.fspath(output_dir)
        try:
            extraction = Extraction(source, directory, await self._write(source, directory))
        except Exception as exc:  # noqa: BLE001 - the error is this video's result and must not stop the others
            extraction = Extraction(source, directory, [], exc)
        if self._bars is not None:
            self._bars.advance()
        return extraction

    async def _write(self, source: SourceLike, directory: str) -> list[str]:
        if self._bars is None:
            return await stream_frames_to_dir(source, directory, **self._options)
        with self._bars.of(Path(directory).name) as bar:
            progress_cb = _counting(bar, self._options.get("progress_cb"))
            opening = part_of(self._options, OpenOptions)
            saving = _saving(directory, self._options | {"progress_cb": progress_cb}, opening)
            if (paths := await saving.finished(source)) is not None:
                return paths
            async with open_video(source, **opening) as video:
                bar.reset(await saving.missing(video._requests))
                return await saving.run(video._requests)

    async def aclose(self) -> None:
        """Stop the videos that are still in progress."""
        early = self.is_busy or not self._exhausted
        for task in self._running:
            task.cancel()
        for task in self._running:
            await wait_until_done(task)
        if self._bars is not None:
            self._bars.close(early=early)


def _pair(video: object) -> tuple[SourceLike, str | os.PathLike[str]]:
    if not isinstance(video, (tuple, list)) or len(video) != 2:
        raise _no_pairs(video)
    source, directory = video
    return source, directory


def _no_pairs(given: object) -> TypeError:
    what = name_of(given) if isinstance(given, (str, bytes, os.PathLike)) else a_kind(given)
    return TypeError(
        f"videos: expected pairs of a source and a directory, [(source, directory), ...], not {what}"
    )


async def _for_each(options: dict[str, Any]) -> dict[str, Any]:
    """Read `indices` and `times` into arrays once, because an iterator would serve only the first video."""
    named = {
        name: read(options[name])
        for name, read in (("indices", read_indices), ("times", read_times))
        if options.get(name) is not None
    }
    for name, entries in named.items():
        named[name] = await in_turns(entries.read()) if isinstance(entries, Unread) else entries
    return options | named


def _saving(directory: str, options: Mapping[str, Any], opening: OpenOptions) -> Saving:
    start, end, step = (option(options, name) for name in ("start", "end", "step"))
    return Saving(directory, start, end, step, part_of(options, SaveOptions), opening)


def _counting(bar: AnyBar, progress_cb: ProgressCallback | None) -> ProgressCallback:
    """Return a callback that advances a bar, and then calls the user's own."""

    def count(step: int) -> Awaitable[None] | None:
        bar.update(step)
        return None if progress_cb is None else progress_cb(step)

    return count
