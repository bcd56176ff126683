"""Batches: the frames that `frames` gives, in one array."""

from __future__ import annotations

import asyncio
import pickle
import random
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._requests.pool import DecoderPool
from asyncframes.errors import ClosedError, CorruptMediaError, FrameIndexError, UnsupportedMediaError
from tests.pipeline.test_requests import damaged_clip
from tests.support.marks import BOTH_ISOLATIONS, examples
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.remux import remux

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

FRAMES = 60
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
REAL = [
    "bear-640x360.mp4",
    "bear-vp8a.webm",
    "video_with_rectangular_samples.mp4",
    "CVFC1_Sony_C.jsv",
    "flipping_a_pancake.mkv",
    "dispose_prev.gif",
    "corrupted.mp4",
]


def clip() -> bytes:
    return clip_bytes(frames=FRAMES, gop=8)


def turned() -> bytes:
    return clip_bytes(frames=FRAMES, gop=8, width=100, rotation=90)


def same(frame: af.Frame, other: af.Frame) -> bool:
    """Whether two frames are alike in everything."""
    facts = [
        (one.index, one.pts, one.time_base, one.is_keyframe, one.is_corrupt, one.duration_seconds)
        for one in (frame, other)
    ]
    return facts[0] == facts[1] and np.array_equal(frame.image, other.image)


async def one_by_one(video: af.Video, *arguments: Any, **options: Any) -> list[af.Frame]:
    return [frame async for frame in video.frames(*arguments, **options)]


def assert_same(batch: af.FrameBatch, frames: list[af.Frame]) -> None:
    """Assert that a batch holds these frames, in one array without gaps."""
    assert len(batch) == len(batch.images) == len(frames)
    assert batch.images.flags.c_contiguous
    assert batch.images.flags.writeable
    assert all(map(same, batch, frames))
    times = [None if np.isnan(seconds) else seconds for seconds in batch.pts_seconds.tolist()]
    assert times == [frame.pts_seconds for frame in frames]


selections = st.one_of(
    st.builds(lambda *bounds: {"bounds": bounds}, *[st.integers(0, FRAMES - 1)] * 2, st.integers(1, 9)),
    st.builds(lambda end: {"bounds": (0, end)}, st.integers(0, 10**9)),
    st.builds(lambda indices: {"indices": indices}, st.lists(st.integers(-FRAMES, FRAMES - 1), max_size=30)),
    st.builds(lambda times: {"times": times}, st.lists(st.integers(0, FRAMES - 1).map(lambda i: i / 25))),
    st.builds(lambda rate: {"fps": rate}, st.integers(1, 60)),
    st.just({"keyframes": True}),
)


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(selection=selections, is_turned=st.booleans(), threads=st.integers(1, 4), is_long=st.booleans())
async def test_a_batch_is_its_frames(
    selection: dict[str, Any],
    is_turned: bool,
    threads: int,
    is_long: bool,
    request: pytest.FixtureRequest,
) -> None:
    """Whatever is asked for, by however many decoders it is served."""
    if is_long:
        request.getfixturevalue("long_streams")
    bounds = selection.pop("bounds", ())
    async with af.open_video(turned() if is_turned else clip(), threads=threads) as video:
        if len(bounds) == 3 and bounds[0] > bounds[1]:
            with pytest.raises(ValueError, match="end"):
                await video.batch(*bounds)
            return
        batch = await video.batch(*bounds, **selection)
        assert_same(batch, await one_by_one(video, *bounds, **selection))
        assert [painted_index(frame.image) for frame in batch if not is_turned] == (
            [] if is_turned else batch.indices.tolist()
        )


@pytest.mark.parametrize("image_format", ["rgb24", "bgr24", "rgba", "gray", "rgb48", "gray16", "i420"])
@pytest.mark.parametrize(
    "picture",
    [{}, {"resize": (50, 38)}, {"accurate_color": True}, {"autorotate": False}, {"deinterlace": True}],
    ids=str,
)
async def test_every_kind_of_image(image_format: af.ImageFormat, picture: dict[str, Any]) -> None:
    """Packed and planar, 8 and 16 bits, with padded rows, turned and upright, in any order."""
    async with af.open_video(turned()) as video:
        asked = {"indices": [30, 2, 2, 31, 59], "image_format": image_format, **picture}
        assert_same(await video.batch(**asked), await one_by_one(video, **asked))


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("on_corrupt", ["skip", "keep"])
async def test_real_files(name: str, on_corrupt: af.OnCorrupt) -> None:
    """Alpha, pixels that are not square, interlaced, damaged and pooled pictures."""
    if not (CORPUS / name).is_file():
        pytest.skip(f"{name} is not beside this checkout")
    async with af.open_video(CORPUS / name, on_corrupt=on_corrupt) as video:
        count = await video.count()
        asked = random.Random(0).sample(range(count), min(count, 12))
        for picture in ({"image_format": "rgba"}, {"square_pixels": True}):
            options: dict[str, Any] = {"indices": asked, **picture}
            assert_same(await video.batch(**options), await one_by_one(video, **options))
        frames = await one_by_one(video, 0, 20)
        assert_same(await video.batch(0, 20), frames)
        whole = [batch async for batch in video.batches(8, 0, 20)]
        assert all(map(same, [frame for batch in whole for frame in batch], frames))


@given(size=st.integers(1, FRAMES + 5), drop_last=st.booleans(), start=st.integers(0, FRAMES - 1))
@settings(max_examples=examples(15))
async def test_batches_are_the_frames_in_order(size: int, drop_last: bool, start: int) -> None:
    """Each batch has `size` frames, but the last, which may be dropped."""
    async with af.open_video(clip()) as video:
        frames = await one_by_one(video, start)
        made = [batch async for batch in video.batches(size, start, drop_last=drop_last)]
    lengths = [len(frames[begin : begin + size]) for begin in range(0, len(frames), size)]
    assert list(map(len, made)) == [length for length in lengths if length == size or not drop_last]
    for begin, batch in zip(range(0, len(frames), size), made, strict=False):
        assert_same(batch, frames[begin : begin + size])


@pytest.mark.usefixtures("long_streams")
@pytest.mark.parametrize("on_corrupt", ["skip", "keep"])
async def test_damage_leaves_each_image_at_its_place(on_corrupt: af.OnCorrupt) -> None:
    """Scattered frames of a damaged stream, some of which are left out, from several decoders."""
    damaged = damaged_clip(frame=20, frames=120)
    async with af.open_video(damaged, on_corrupt=on_corrupt, threads=4) as video:
        asked = [3, 115, 22, 90, 40, 66, 21, 53]
        assert_same(await video.batch(indices=asked), await one_by_one(video, indices=asked))
    async with af.open_video(damaged, on_corrupt=on_corrupt, threads=4) as video:
        batch = await video.batch(indices=asked)
        assert [frame.index for frame in batch] == batch.indices.tolist()
        assert_same(batch, await one_by_one(video, indices=asked))


async def test_damage_is_an_error() -> None:
    """As it is for `frames`, and the video serves on."""
    async with af.open_video(damaged_clip(frame=20)) as video:
        with pytest.raises(CorruptMediaError):
            await video.batch(10, 30)
        assert len(await video.batch(0, 5)) == 6


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


@pytest.mark.parametrize("bounds", [(), (5, 40, 3), (0, 10**6), (3, None, 7)], ids=str)
async def test_sequential_sources(bounds: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of frames is not known before the end."""
    monkeypatch.setattr("asyncframes._requests.batches._FRAMES_AT_ONCE", 7)
    data = clip_bytes(frames=FRAMES, gop=8, container="matroska")
    async with af.open_video(data) as video:
        frames = await one_by_one(video, *bounds)
    async with af.open_video(pieces(data)) as video:
        assert_same(await video.batch(*bounds), frames)


@pytest.mark.parametrize("image_format", get_args(af.ImageFormat))
@pytest.mark.parametrize(
    "picture", [{}, {"autorotate": False}, {"resize": (None, 30)}, {"crop": (2, 4, 20, 16), "max_side": 10}]
)
async def test_no_frames(image_format: af.ImageFormat, picture: dict[str, Any]) -> None:
    """A batch of none has the layout and the shape that its images would have."""
    options: dict[str, Any] = {"image_format": image_format, "multiple_of": 2, **picture}
    async with af.open_video(turned()) as video:
        one = await video.batch(0, 0, **options)
        none = await video.batch(indices=[], **options)
        assert none.images.shape == (0, *one.images.shape[1:])
        assert none.images.dtype == one.images.dtype
        assert none.image_format == one.image_format == image_format
        assert list(none) == []


async def test_a_large_batch_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number of frames and the size that the header tells."""
    async with af.open_video(clip()) as video:
        image_bytes = (await video.frame(0)).image.nbytes
        assert len(await video.batch(max_batch_bytes=FRAMES * image_bytes)) == FRAMES
        monkeypatch.setattr(DecoderPool, "take", None)
        for call in (
            video.batch(max_batch_bytes=FRAMES * image_bytes - 1),
            video.batch(0, 9**9, max_batch_bytes=9),
        ):
            with pytest.raises(ValueError, match=r"max_batch_bytes=[\d,]+: ask for fewer or smaller frames"):
                await call
        with pytest.raises(ValueError, match="max_batch_bytes=1,000"):
            await anext(video.batches(5, max_batch_bytes=1000))
        with pytest.raises(ValueError, match="size=0: expected 1 or more"):
            video.batches(0)


async def test_frames_of_two_sizes_are_refused() -> None:
    """With what to do about it."""
    sizes = [clip_bytes(frames=8, codec="libvpx", container="webm", width=width) for width in (96, 128)]
    async with af.open_video(remux(*sizes, container="webm")) as video:
        with pytest.raises(UnsupportedMediaError, match=r"pass resize=\(width, height\)"):
            await video.batch()
        batch = await video.batch(resize=(64, 48))
        assert batch.images.shape[1:] == (48, 64, 3)


async def test_memory_is_the_batch_and_one_image() -> None:
    """NumPy's part of it: images go straight to their places."""
    async with af.open_video(clip_bytes(frames=40, width=320, height=240)) as video:
        image_bytes = (await video.frame(0)).image.nbytes
        tracemalloc.start()
        try:
            batch = await video.batch()
            assert tracemalloc.get_traced_memory()[1] < batch.images.nbytes + 2 * image_bytes
            del batch
            tracemalloc.reset_peak()
            async for batch in video.batches(8):
                del batch
            assert tracemalloc.get_traced_memory()[1] < (3 * 8 + 2) * image_bytes
        finally:
            tracemalloc.stop()


async def test_a_batch_behaves_like_a_sequence() -> None:
    """Integers give frames, slices give batches, and neither copies."""
    async with af.open_video(clip()) as video:
        batch = await video.batch(10, 19)
    frames = list(batch)
    assert same(batch[-1], frames[9])
    assert same(batch[np.int64(2)], frames[2])
    assert [frame.index for frame in batch[2:9:3]] == [12, 15, 18]
    assert np.shares_memory(batch[2:9:3].images, batch.images)
    assert np.shares_memory(batch[3].image, batch.images)
    with pytest.raises(IndexError, match="frame 10 of a batch of 10 frames"):
        batch[10]
    assert repr(batch) == "FrameBatch(10 frames, 64x96x3 uint8)"
    again = pickle.loads(pickle.dumps(batch))
    assert_same(again, frames)
    assert np.shares_memory(np.from_dlpack(batch.images), batch.images)


async def test_numpy_takes_frames_for_their_images() -> None:
    """Matplotlib and others call `numpy.asarray` on what they are given."""
    async with af.open_video(clip()) as video:
        batch = await video.batch(3, 5)
        sheet = await video.contact_sheet()
    assert np.shares_memory(np.asarray(sheet), sheet.image)
    assert np.shares_memory(np.asarray(batch), batch.images)
    assert np.shares_memory(np.asarray(batch[1]), batch.images)
    assert not np.shares_memory(np.array(batch[1]), batch.images)
    assert np.array_equal(np.stack(list(batch)), batch.images)
    assert np.asarray(batch[1], np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.asarray(batch, np.float32, copy=False)


async def test_times_and_metadata() -> None:
    """What a processor of video-language models needs to know."""
    async with af.open_video(clip()) as video:
        batch = await video.batch(indices=[0, 30, 59])
    assert batch.pts_seconds.tolist() == [0, 1.2, 2.36]
    assert batch.duration_seconds == pytest.approx([0.04] * 3)
    assert batch.is_keyframe.tolist() == [True, False, False]
    assert batch.metadata() == {
        "total_num_frames": FRAMES,
        "fps": 25.0,
        "width": 96,
        "height": 64,
        "duration": pytest.approx(FRAMES / 25),
        "video_backend": "asyncframes",
        "frames_indices": [0, 30, 59],
    }


async def test_metadata_suits_transformers() -> None:
    """Its class takes the mapping as it comes."""
    video_utils = pytest.importorskip("transformers.video_utils", reason="transformers is not installed")
    async with af.open_video(clip()) as video:
        batch = await video.batch(num_frames=4)
    made = video_utils.VideoMetadata(**batch.metadata())
    assert made.total_num_frames == FRAMES
    assert list(made.frames_indices) == batch.indices.tolist()
    assert made.timestamps == pytest.approx(batch.pts_seconds.tolist())


async def test_batches_may_be_left_early() -> None:
    """And nothing of them is left then; the video serves on."""
    before = asyncio.all_tasks()
    async with af.open_video(clip()) as video:
        async with aclosing(video.batches(4)) as batches:
            async for batch in batches:
                assert batch.indices.tolist() == [0, 1, 2, 3]
                break
        waiting = asyncio.create_task(video.batch())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        abandoned = video.batches(4)
        await anext(abandoned)
        assert len(await video.batch(0, 2)) == 3
    assert asyncio.all_tasks() == before
    with pytest.raises(ClosedError):
        await anext(abandoned)


bounds = st.one_of(st.none(), st.integers(-2 * FRAMES, 2 * FRAMES))


@settings(max_examples=examples(25))
@given(start=bounds, stop=bounds, step=st.one_of(st.none(), st.integers(-20, 20).filter(bool)))
def test_slices_of_a_blocking_video_are_those_of_a_list(
    start: int | None, stop: int | None, step: int | None
) -> None:
    """The end is exclusive, and a negative step runs backward."""
    with af.sync.open_video(clip()) as video:
        assert video[start:stop:step].indices.tolist() == list(range(FRAMES))[start:stop:step]


def test_a_blocking_video_is_a_sequence() -> None:
    """Of frames, with a length."""
    with af.sync.open_video(clip()) as video:
        assert len(video) == FRAMES
        assert video[-1].index == FRAMES - 1
        assert video[np.int64(7)].index == 7
        assert [frame.index for frame in video] == list(range(FRAMES))
        assert [len(batch) for batch in video.batches(25)] == [25, 25, 10]
        with pytest.raises(FrameIndexError):
            video[FRAMES]
        with pytest.raises(TypeError, match=r"video\[a str\]: expected an integer or a slice"):
            video["7"]  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"video\[a list\].*batch\(indices=…\) takes several"):
            video[[1, 2]]  # type: ignore[call-overload]
