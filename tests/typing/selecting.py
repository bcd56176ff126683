"""Frames of a video, asked for in every way."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import asyncframes as af


async def by_every_selection() -> None:
    async with af.open_video("film.mp4", table_cache="tables", threads=2) as video:
        assert_type(video, af.Video)
        assert_type(await video.count(), int)
        assert_type(await video.frame_table(), af.FrameTable)
        assert_type(await video.indices(fps=Fraction(30000, 1001)), NDArray[np.int64])
        async for frame in video.frames(0, -1, 2, image_format="rgb48", resize=(640, None)):
            assert_type(frame, af.Frame)
            assert_type(frame.image, NDArray[Any])
            assert_type(frame.pts, int | None)
            assert_type(frame.time_base, Fraction)
        async for frame in video.frames(times=[0, 0.5, Fraction(1, 3)], tolerance_seconds=5e-4):
            assert_type(frame.is_keyframe, bool)
        async for frame in video.frames(time_range=(None, 5.5), keyframes=True, deinterlace=True):
            assert_type(frame.index, int)
        async for frame in video.frames(indices=[np.int64(3), 4]):
            assert_type(frame.index, int)
        async for frame in video.frames(indices=np.arange(9, dtype=np.int32)):
            assert_type(frame.index, int)
        async for frame in video.frames(num_frames=16, short="fewer"):
            assert_type(frame.index, int)
        async for frame in video.frames(fps=2, max_frames=64, min_frames=4):
            assert_type(frame.index, int)
        assert_type(await video.frame(-1, square_pixels=True), af.Frame)
        assert_type(await video.frame(0, crop=(0, 0, 64, 64), resize=(32, 16), fit="cover"), af.Frame)
        assert_type(await video.frame(0, max_side=448, multiple_of=28), af.Frame)
        assert_type(await video.frame_at(12.5), af.Frame)


async def in_one_call() -> None:
    async for index, image in af.stream_frames("film.mp4", indices=range(3), policy=af.Policy.untrusted()):
        assert_type(index, int)
        assert_type(image, NDArray[Any])


async def to_files(video: af.Video) -> None:
    assert_type(await video.save("frames", 0, 9, ext="jpg", quality=90, resize=(320, None)), list[str])
    assert_type(await af.stream_frames_to_dir("film.mp4", "frames", fps=1, max_pixels=2**22), list[str])
    async for extraction in af.extract_many([("film.mp4", "frames")], end=9, overwrite="skip"):
        assert_type(extraction.paths, list[str])


async def refused(video: af.Video) -> None:
    await video.frame("1")  # type: ignore[arg-type]
    await video.frame_at(None)  # type: ignore[arg-type]
    video.frames(resise=(640, 360))  # type: ignore[call-arg]
    video.frames(resize=640)  # type: ignore[arg-type]
    video.frames(crop=(0, 0, 64))  # type: ignore[arg-type]
    video.frames(resize=(64, 64), fit="contain")  # type: ignore[arg-type]
    video.frames(image_format="rgb")  # type: ignore[arg-type]
    video.frames(indices="1,2")  # type: ignore[arg-type]
    video.frames(time_range=2.0)  # type: ignore[arg-type]
    af.open_video("film.mp4", seek_mode="fast")  # type: ignore[arg-type]
    af.open_video("film.mp4", index_cache="tables")  # type: ignore[call-arg]
    af.open_video(5.0)  # type: ignore[arg-type]
    await video.save("frames", overwrit="skip")  # type: ignore[call-arg]
    await video.save("frames", quality="high")  # type: ignore[arg-type]
    await af.stream_frames_to_dir(video, "frames")  # type: ignore[arg-type]
    af.extract_many([("film.mp4", "frames")], thread=2)  # type: ignore[call-arg]
    af.extract_many(["film.mp4"])  # type: ignore[list-item]
    for _ in video.frames():  # type: ignore[attr-defined]
        pass
