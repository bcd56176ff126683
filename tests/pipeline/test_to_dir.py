"""Frames to a directory: names, order, resuming, progress, and what a failure leaves."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

import asyncframes as af
from asyncframes.errors import CorruptMediaError, FrameExistsError, FrameWriteError
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = BOTH_ISOLATIONS

FRAMES = 48


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES))
    return path


def shown(path: str | Path) -> int:
    """Read the painted index in an image file."""
    return painted_index(iio.imread(path))


@pytest.mark.anyio
@pytest.mark.parametrize("ext", ["png", "jpg", "webp", "bmp", ".PNG"])
async def test_each_file_shows_the_frame_of_its_name(clip: Path, tmp_path: Path, ext: str) -> None:
    """Paths are absolute, in frame order, and named frame_<index:06d>.<ext>."""
    paths = await af.stream_frames_to_dir(clip, tmp_path / "deep" / "out", 5, 30, 5, ext=ext)
    assert [Path(path).name for path in paths] == [
        f"frame_{index:06d}.{ext.removeprefix('.')}" for index in range(5, 31, 5)
    ]
    assert all(Path(path).is_absolute() for path in paths)
    assert [shown(path) for path in paths] == list(range(5, 31, 5))


@pytest.mark.anyio
async def test_png_is_the_frame_bit_for_bit(clip: Path, tmp_path: Path) -> None:
    """Nothing is lost on the way to a lossless file."""
    (path,) = await af.stream_frames_to_dir(clip, tmp_path / "out", 7, 7)
    async with af.open_video(clip) as video:
        assert np.array_equal(iio.imread(path), (await video.frame(7)).image)


@pytest.mark.anyio
@pytest.mark.parametrize("ext", ["png", "npy"])
async def test_16_bits_are_kept_in_files(clip: Path, tmp_path: Path, ext: str) -> None:
    """A file of 16 bits a channel holds the frame, resized as asked."""
    (path,) = await af.stream_frames_to_dir(
        clip, tmp_path / "out", 7, 7, ext=ext, image_format="gray16", resize=(48, None)
    )
    async with af.open_video(clip) as video:
        image = (await video.frame(7, image_format="gray16", resize=(48, None))).image
    assert image.shape == (32, 48)
    assert np.array_equal(np.load(path) if ext == "npy" else iio.imread(path), image)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        ({"indices": [9, 3, 9, -1]}, [3, 9, 47]),
        ({"times": [0.4, 0.0]}, [0, 10]),
        ({"fps": 5}, list(range(0, 48, 5))),
        ({"keyframes": True}, [0, 12, 24, 36]),
        ({"start": -2}, [46, 47]),
    ],
)
async def test_every_selection_is_written_once_and_in_order(
    clip: Path, tmp_path: Path, ask: dict[str, Any], expected: list[int]
) -> None:
    """However frames are named, each has one file, and paths ascend."""
    paths = await af.stream_frames_to_dir(clip, tmp_path / "out", **ask)
    assert [shown(path) for path in paths] == expected


@pytest.mark.anyio
async def test_a_killed_run_is_resumed_without_decoding_again(clip: Path, tmp_path: Path) -> None:
    """``overwrite="skip"`` decodes only what is not on disk, and returns all paths."""
    out = tmp_path / "out"
    paths = await af.stream_frames_to_dir(clip, out)
    stamps = {path: os.stat(path).st_mtime_ns for path in paths[:40]}  # noqa: PTH116
    for path in paths[40:]:
        Path(path).unlink()
    written: list[int] = []
    fed: list[str] = []
    async with af.open_video(clip, packet_progress=lambda phase, _total: fed.append(phase)) as video:
        again = await video.save(out, overwrite="skip", progress_cb=written.append)
    assert again == paths
    assert len(written) == 8
    assert fed.count("decode") <= 16
    assert {path: os.stat(path).st_mtime_ns for path in paths[:40]} == stamps  # noqa: PTH116
    assert [shown(path) for path in again] == list(range(48))


@pytest.mark.anyio
async def test_files_are_not_overwritten_unless_asked(clip: Path, tmp_path: Path) -> None:
    """The default refuses and names the frame; "replace" replaces."""
    out = tmp_path / "out"
    await af.stream_frames_to_dir(clip, out, 3, 3)
    with pytest.raises(FrameExistsError, match="frame 3") as caught:
        await af.stream_frames_to_dir(clip, out, 2, 4)
    assert caught.value.index == 3
    assert len(await af.stream_frames_to_dir(clip, out, 2, 4, overwrite="replace")) == 3


@pytest.mark.anyio
async def test_progress_is_told_after_the_file_is_there(clip: Path, tmp_path: Path) -> None:
    """Plain and async callbacks are called with 1, once for each file on disk."""
    out = tmp_path / "out"
    counts: list[int] = []

    async def progress(step: int) -> None:
        assert step == 1
        counts.append(len([path for path in out.iterdir() if not path.name.startswith(".")]))

    await af.stream_frames_to_dir(clip, out, 0, 9, progress_cb=progress)
    assert len(counts) == 10
    assert all(files >= told for told, files in enumerate(counts, start=1))


@pytest.mark.anyio
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_custom_writer(clip: Path, tmp_path: Path, asynchronous: bool) -> None:
    """`image_writer` stores images its own way, and may want another layout."""

    def save(path: str, image: af.Image) -> None:
        np.save(path, image[..., ::-1])

    async def save_async(path: str, image: af.Image) -> None:
        await asyncio.to_thread(save, path, image)

    paths = await af.stream_frames_to_dir(
        clip,
        tmp_path / "out",
        4,
        5,
        ext="npy",
        image_writer=save_async if asynchronous else save,
        image_format="bgr24",
    )
    assert [painted_index(np.load(path)) for path in paths] == [4, 5]


@pytest.mark.anyio
async def test_a_failed_writer_leaves_whole_files_and_names_its_frame(clip: Path, tmp_path: Path) -> None:
    """What was written stays, nothing half written does."""

    def save(path: str, image: af.Image) -> None:
        Path(path).write_bytes(b"half")
        if painted_index(image) == 11:
            raise OSError(28, "No space left on device")
        iio.imwrite(path, image, extension=".png")

    out = tmp_path / "out"
    with pytest.raises(FrameWriteError, match="frame 11") as caught:
        await af.stream_frames_to_dir(clip, out, image_writer=save)
    assert caught.value.index == 11
    names = sorted(path.name for path in out.glob("[!.]*"))
    assert names
    assert all(shown(out / name) == int(name[6:12]) for name in names)


@pytest.mark.anyio
async def test_frames_before_damage_are_written(clip: Path, tmp_path: Path) -> None:
    """A file that is cut off gives the frames it has, and then the error."""
    data = clip_bytes(frames=FRAMES, faststart=True)
    with pytest.raises(CorruptMediaError):
        await af.stream_frames_to_dir(data[: len(data) * 3 // 4], tmp_path / "out")
    names = sorted((tmp_path / "out").glob("[!.]*"))
    assert len(names) > 20
    assert [shown(path) for path in names] == list(range(len(names)))


@pytest.mark.anyio
async def test_packet_bars_count_what_is_read(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`show_decoding_progress` shows a bar for the scan where one is made, and one for the decode."""
    await af.stream_frames_to_dir(clip, tmp_path / "out", indices=[40], show_decoding_progress=True)
    shown_bars = capfd.readouterr().err
    assert "Scanning packets" in shown_bars
    assert "Decoding packets" in shown_bars


@pytest.mark.anyio
async def test_nonsense_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    """Options and selections that mean nothing fail first, and make no directory."""
    nowhere = tmp_path / "nowhere.mp4"
    for options in (
        {"ext": "doc"},
        {"template": "same.png"},
        {"start": 2, "end": 1},
        {"image_format": "bgr24"},
        {"image_format": "rgb48", "ext": "jpg"},
        {"image_format": "gray16", "ext": "webp"},
        {"resize": (0, 1)},
    ):
        with pytest.raises(ValueError, match=r"."):
            await af.stream_frames_to_dir(nowhere, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
