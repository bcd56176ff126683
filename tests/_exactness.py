"""Whether a file of the corpus comes out exactly, as counts that a test asserts and a table prints."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import Any

import asyncframes as af
from asyncframes import Frame
from tests._corpus import CorpusFile
from tests._pictures import picture_md5, sequential_pictures

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
