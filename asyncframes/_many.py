"""Frames of many videos: `extract_many`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from asyncframes._streaming import stream_frames_to_dir
from asyncframes._threads import finished
from asyncframes.sources import SourceLike


@dataclass(frozen=True, slots=True, eq=False)
class Extraction:
    """What became of one video.

    Attributes
    ----------
    source, output_dir
        As they were given.
    paths
        Absolute paths of its files in frame order; empty after an error.
    error
        What ended it, ``None`` if all is well.
    """

    source: SourceLike
    output_dir: str
    paths: list[str]
    error: Exception | None = None


async def extract_many(
    videos: Iterable[tuple[SourceLike, str | os.PathLike[str]]],
    *,
    concurrency: int = 4,
    **options: Any,
) -> AsyncGenerator[Extraction, None]:
    """Write frames of many videos, some at a time.

    A video that fails does not stop the others. A run that was killed is
    resumed with ``overwrite="skip"``.

    Parameters
    ----------
    videos
        Pairs of a source and the directory for its frames; read as places
        become free, so it may be long.
    concurrency
        How many videos are worked on at once. They share one bounded thread
        pool, so more of them help where sources are slow, not where the CPU is.
    **options
        As for `stream_frames_to_dir`.

    Yields
    ------
    Extraction
        One a video, in the order in which they end.

    Raises
    ------
    ValueError
        `concurrency` is less than 1.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency={concurrency}: expected 1 or more")
    waiting = iter(videos)
    running: set[asyncio.Task[Extraction]] = set()
    try:
        _start(running, waiting, concurrency, options)
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            running -= done
            _start(running, waiting, concurrency, options)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        for task in running:
            await finished(task)


def _start(
    running: set[asyncio.Task[Extraction]],
    waiting: Iterator[tuple[SourceLike, str | os.PathLike[str]]],
    concurrency: int,
    options: dict[str, Any],
) -> None:
    """Fill the free places."""
    while len(running) < concurrency and (video := next(waiting, None)) is not None:
        running.add(asyncio.create_task(_extract(*video, options), name="asyncframes extract"))


async def _extract(
    source: SourceLike, output_dir: str | os.PathLike[str], options: dict[str, Any]
) -> Extraction:
    directory = os.fspath(output_dir)
    try:
        return Extraction(source, directory, await stream_frames_to_dir(source, directory, **options))
    except Exception as exc:  # noqa: BLE001 - it is the result of this video, and must not end the others
        return Extraction(source, directory, [], exc)
