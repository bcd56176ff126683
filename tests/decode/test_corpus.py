"""Real files against what independent programs say of them."""

from __future__ import annotations

import random

import numpy as np
import pytest

import asyncframes as af
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.exact.exactness import fingerprint, same_pictures
from tests.support.marks import BOTH_ISOLATIONS

pytestmark = BOTH_ISOLATIONS

EVERY_FRAME_UP_TO = 60
SAMPLES = 24

# The truth has the size of the last frame, `info` that of the first.
CROPPED_ANEW = {"CVFC1_Sony_C.jsv"}


def sample(length: int, keyframes: list[int], seed: str) -> list[int]:
    """Pick indices in random order, with repeats: the ends, around keyframes, and more; all of a few."""
    chosen = set(range(length))
    if length > EVERY_FRAME_UP_TO:
        generator = random.Random(seed)
        near = [
            key + offset
            for key in generator.sample(keyframes, min(6, len(keyframes)))
            for offset in (-1, 0, 1)
        ]
        chosen = {
            0,
            length - 1,
            *generator.sample(range(length), SAMPLES),
            *(i for i in near if 0 <= i < length),
        }
    order = sorted(chosen)
    random.Random(seed).shuffle(order)
    return order + order[:2]


@pytest.mark.anyio
@pytest.mark.timeout(120)
@pytest.mark.parametrize("file", parameters())
async def test_frames_by_index_are_the_frames_of_a_sequential_decode(file: CorpusFile) -> None:
    """A sequence has the truth's count, order and times; an index gives the same frame, bit for bit."""
    async with af.open_video(file.path, on_corrupt="keep") as video:
        sequential = [fingerprint(frame) async for frame in video.frames()]
    assert [index for index, *_ in sequential] == list(range(file.frame_count))
    if not file.truth["pts_issues"]["none_without_guess"] and not file.truth["pts_issues"]["backwards"]:
        assert [pts for _, pts, *_ in sequential] == file.truth["frames"]["pts"]
        assert [int(key) for _, _, key, *_ in sequential] == file.truth["frames"]["key_frame"]

    keyframes = [index for index, _, is_keyframe, *_ in sequential if is_keyframe]
    asked = sample(len(sequential), keyframes, file.path.name)
    async with af.open_video(file.path, on_corrupt="keep") as video:
        found = [fingerprint(frame) async for frame in video.frames(indices=asked)]
        assert found == [sequential[index] for index in asked]
        # What was learnt on the way serves single frames as well.
        for index in asked[:3]:
            assert fingerprint(await video.frame(index)) == sequential[index]


@pytest.mark.parametrize("file", parameters())
def test_pictures_are_those_of_ffmpeg(file: CorpusFile) -> None:
    """Before any conversion, each picture of a sequence has the MD5 that ffmpeg found."""
    assert same_pictures(file) == file.frame_count


@pytest.mark.anyio
@pytest.mark.parametrize("file", parameters())
async def test_count_is_the_number_of_frames(file: CorpusFile) -> None:
    """`count` says how many frames a decode outputs, without decoding where packets tell."""
    async with af.open_video(file.path, on_corrupt="keep") as video:
        assert await video.count() == file.frame_count


@pytest.mark.anyio
@pytest.mark.parametrize("file", parameters(playable=False))
async def test_what_is_no_video_is_a_named_error_or_empty(file: CorpusFile) -> None:
    """A file without frames opens as a video of no frames, or says why it cannot be opened or decoded."""
    try:
        async with af.open_video(file.path) as video:
            assert [frame async for frame in video.frames()] == []
    except af.errors.MediaError as exc:
        assert len(str(exc)) > 20  # noqa: PT017 - an empty video is as good


@pytest.mark.anyio
@pytest.mark.parametrize("file", parameters())
async def test_size_and_rotation_are_those_of_the_truth(file: CorpusFile) -> None:
    """`info` gives the upright size, and frames have it."""
    truth = file.truth
    async with af.open_video(file.path, on_corrupt="keep") as video:
        info = video.info
        frame = await anext(aiter(video.frames(end=0)))
    assert frame.image.shape == (info.height, info.width, 3)
    if file.path.name not in CROPPED_ANEW:
        assert (info.width, info.height) == (truth["width_after_rotation"], truth["height_after_rotation"])
    assert (-info.rotation) % 360 == (truth["rotate_clockwise"] or 0)
    assert info.mirrored == bool(truth["mirrored"])
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
