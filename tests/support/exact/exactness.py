"""Whether a file of the corpus comes out exactly, as counts that a test asserts and a table prints."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import av

import asyncframes as af
from asyncframes import Frame
from asyncframes._types import OnCorrupt
from asyncframes.errors import AsyncFramesError
from tests.support.exact.corpus import SHARED, CorpusFile
from tests.support.exact.one_thread import OneThread, decode_by_one_thread, determined
from tests.support.exact.pictures import picture_md5, sequential_pictures
from tests.support.exact.routes import SAMPLE, Effort, Routes

EVERY_FRAME_UP_TO = 64
"""Frames of a file up to which each is asked for; of longer files, as many as this."""

CONCEALED = {"corrupted.mp4"}
"""Damaged files, whose pictures differ with the version of FFmpeg that conceals the damage."""

EXPLAINED = {
    "corrupted.mp4": "damaged: versions of FFmpeg conceal it differently, and its 50th packet is no frame",
    "comment_after_last_frame.gif": "its last packet is no frame, which only a decode shows",
    "sample-with-large-length.avi": "AVI has no pts, and FFmpeg 8 puts the packets' dts in their place",
}
"""Files on which the truth's FFmpeg and ours may differ, or packets and frames do."""

_GUESSED = "{} pts are not in the file or run backwards: compared without ffprobe's guesses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactness:
    """How one file came out.

    Attributes
    ----------
    frames
        How many a sequential decode gave.
    same_pictures
        How many of them are, in the decoder's own pixel format, bit for bit the truth's at their place.
    same_pts
        How many have the truth's pts, as the decoder gives them: without the guesses that ffprobe adds.
    asked, same_by_index
        How many frames were asked for by index, in shuffled order, and how many were the sequential ones.
    count
        What `Video.count` said before anything was decoded.
    """

    frames: int
    same_pictures: int
    same_pts: int
    asked: int
    same_by_index: int
    count: int

    def is_exact(self, file: CorpusFile) -> bool:
        """Whether everything agrees with the truth and with itself."""
        return (
            self.frames == self.same_pictures == self.same_pts == self.count == file.frame_count
            and self.same_by_index == self.asked
        )


def fingerprint(frame: Frame) -> tuple[int, int | None, bool, tuple[int, ...], int]:
    """Everything that must be the same however a frame was reached."""
    return frame.index, frame.pts, frame.is_keyframe, frame.image.shape, zlib.crc32(frame.image.data)


def shuffled_sample(length: int, seed: str, most: int = EVERY_FRAME_UP_TO) -> list[int]:
    """Every index of a short file, and some of a long one, in an order that jumps about."""
    return random.Random(seed).sample(range(length), length)[:most]


async def measure(file: CorpusFile) -> Exactness:
    """Decode a file from the start and by index, and compare."""
    async with af.open_video(file.path, on_corrupt="keep") as video:
        count = await video.count()
    async with af.open_video(file.path, on_corrupt="keep") as video:
        sequential = [fingerprint(frame) async for frame in video.frames()]
    asked = shuffled_sample(len(sequential), file.path.name)
    async with af.open_video(file.path, on_corrupt="keep") as video:
        found = [fingerprint(frame) async for frame in video.frames(indices=asked)]
    return Exactness(
        frames=len(sequential),
        same_pictures=same_pictures(file),
        same_pts=_agreeing(
            [pts for _, pts, *_ in sequential], _truth(file, "pts_without_guess") or _truth(file, "pts")
        ),
        asked=len(asked),
        same_by_index=_agreeing(found, [sequential[index] for index in asked]),
        count=count,
    )


def same_pictures(file: CorpusFile) -> int:
    """Count the pictures of a sequential decode that have the truth's MD5 at their place.

    Some decoders of the truth's version gave other bits without its ``bitexact`` flag; either is right.
    """
    found = [picture_md5(picture) for picture in sequential_pictures(file.path)]
    return max(_agreeing(found, _truth(file, key)) for key in ("md5", "md5_without_bitexact"))


def note(file: CorpusFile) -> str:
    """Say why a file may disagree with the truth or is compared with less, or nothing."""
    issues = file.truth["pts_issues"]
    guessed = issues["none_without_guess"] or issues["backwards"]
    return "; ".join(
        filter(None, [EXPLAINED.get(file.path.name), _GUESSED.format(guessed) if guessed else ""])
    )


def _truth(file: CorpusFile, key: str) -> list[Any]:
    return list(file.truth["frames"].get(key) or [])


def _agreeing(found: list[Any], expected: list[Any]) -> int:
    return sum(one == other for one, other in zip(found, expected, strict=False))


MODES: tuple[OnCorrupt, ...] = ("raise", "keep", "skip")

THREADS = (None, 1, 2, 4, 8)
"""Codec threads; ``None`` is the default."""

UNBOUNDED = {"stsz_50000000.mp4", "elst_10000x1000.mp4", "gif_16000.gif"}
"""Files on which PyAV alone takes gigabytes or minutes."""

ALLOWED = {"ft_fixture.swf": ("swf",)}
"""Containers of files that are opened only where they are asked for."""


def files_beside(folders: Iterable[str] = ("corpus", "found", "hostile")) -> list[Path]:
    """Return the files that lie beside the checkout, none where there are none."""
    return sorted(
        path
        for folder in folders
        for path in (SHARED / folder).glob("*")
        if path.suffix not in {".json", ".md", ".py"} and path.name not in UNBOUNDED
    )


@dataclass(slots=True)
class Routed:
    """How a file comes out by every route.

    Attributes
    ----------
    truth
        Its decode by one thread, ``None`` where PyAV cannot open it.
    differences
        By mode and threads, and then as texts.
    """

    truth: OneThread | None
    differences: dict[tuple[OnCorrupt, int | None], list[str]] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        return not any(self.differences.values())


async def compare_routes(
    path: Path,
    *,
    modes: Iterable[OnCorrupt] = MODES,
    threads: Iterable[int | None] = THREADS,
    most: int = SAMPLE,
) -> Routed:
    """Ask for the frames of a file in every way, with each number of threads, and judge them by one thread.

    With the default number and one all ways are taken, with others those that differ most.
    """
    truth, refusal = await _truth_as_opened(path)
    found = await _compare(path, truth, refusal, modes, threads, most)
    if truth is None or found.is_exact or not _mark_undetermined(path, truth):
        return found
    return await _compare(path, truth, refusal, modes, threads, most)


async def _compare(
    path: Path,
    truth: OneThread | None,
    refusal: str | None,
    modes: Iterable[OnCorrupt],
    threads: Iterable[int | None],
    most: int,
) -> Routed:
    found = Routed(truth)
    for mode in modes:
        for count in threads:
            if refusal is not None or truth is None:
                shown = len(truth or ())
                found.differences[mode, count] = [f"{shown} frames, and {refusal}"] if shown else []
                continue
            opener = partial(_open(path), on_corrupt=mode, threads=count)
            routes = Routes(opener, truth, mode, path.name, effort=Effort(by_index=most))
            wide = count in {None, 1}
            found.differences[mode, count] = (
                await routes.all() if wide else [*await routes.counted(), *await routes.by_index()]
            )
    return found


def _open(path: Path) -> Callable[..., Any]:
    return partial(af.open_video, path, allow_containers=ALLOWED.get(path.name, ()))


async def _truth_as_opened(path: Path) -> tuple[OneThread | None, str | None]:
    """Decode by one thread the stream that is opened here, and say why none is."""
    try:
        async with _open(path)(on_corrupt="keep") as video:
            return _truth_of(path, video.info.stream_index, video.info.container), None
    except AsyncFramesError as exc:
        refusal = f"{type(exc).__name__}: {exc}"
    try:
        return _truth_of(path, None, None), refusal
    except (av.FFmpegError, ValueError, LookupError):
        return None, refusal


@cache
def _truth_of(path: Path, stream_index: int | None, container_format: str | None) -> OneThread:
    return decode_by_one_thread(path, stream_index=stream_index, container_format=container_format)


def _mark_undetermined(path: Path, truth: OneThread) -> bool:
    """Mark pictures that do not follow from the stream; whether there are any."""
    if not truth.shown or len(truth) > EVERY_FRAME_UP_TO * 10:
        return False
    determined(truth, path, stream_index=truth.stream_index, container_format=truth.container)
    return not all(one.is_determinate for one in truth.shown)
