"""The same without asyncio: twins take what their originals take."""

from __future__ import annotations

from typing import Any, assert_type

from numpy.typing import NDArray

import asyncframes as af


def of_one_video() -> None:
    with af.sync.open_video("film.mp4", cache_bytes=2**20) as video:
        assert_type(video, af.sync.Video)
        assert_type(video.count(), int)
        assert_type(video.info.width, int)
        assert_type(video.frame(7, autorotate=False), af.Frame)
        assert_type(video.frame(7).encode("jpg", quality=90), bytes)
        assert_type(video.contact_sheet(keyframes=True, columns=4), af.ContactSheet)
        for frame in video.frames(fps=2, image_format="gray"):
            assert_type(frame, af.Frame)


def in_one_call() -> None:
    for index, image in af.sync.stream_frames("film.mp4", start=3, tone_map=True):
        assert_type(index, int)
        assert_type(image, NDArray[Any])
    assert_type(af.sync.stream_frames_to_dir("film.mp4", "frames", ext="jpg", quality=90), list[str])
    for result in af.sync.extract_many([("film.mp4", "frames")], concurrency=2):
        assert_type(result, af.Extraction)


def refused(video: af.sync.Video) -> None:
    video.frame()  # type: ignore[call-arg]
    video.frames(resise=(640, 360))  # type: ignore[call-arg]
    video.contact_sheet(column=4)  # type: ignore[call-arg]
    af.sync.open_video("film.mp4", thread=2)  # type: ignore[call-arg]
    af.sync.stream_frames_to_dir("film.mp4")  # type: ignore[call-arg]
    with af.open_video("film.mp4"):  # type: ignore[attr-defined]
        pass
