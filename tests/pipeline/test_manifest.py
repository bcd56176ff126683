"""Frames on disk are kept only where they are known to be those that a request would make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import pytest

import asyncframes as af
from asyncframes.errors import FrameMismatchError
from asyncframes.writers._manifest import MANIFEST_NAME, Manifest, Run
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.anyio


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=12))
    return path


@pytest.mark.parametrize(
    ("first", "second", "fact"),
    [
        ({}, {"resize": (48, 32)}, "resize"),
        ({"resize": (48, 32)}, {}, "resize"),
        ({"crop": (0, 0, 48, 32)}, {"crop": (2, 0, 48, 32)}, "crop"),
        ({"resize": (48, 48)}, {"resize": (48, 48), "fit": "cover"}, "fit"),
        ({}, {"max_side": 48}, "max_side"),
        ({"multiple_of": 14}, {"multiple_of": 28}, "multiple_of"),
        ({}, {"image_format": "gray"}, "image_format"),
        ({}, {"color_matrix": "bt601"}, "color_matrix"),
        ({"ext": "jpg", "quality": 50}, {"ext": "jpg", "quality": 90}, "quality"),
        ({"template": "{index}.png"}, {"template": "{index}.png", "ext": "jpg"}, "ext"),
        (
            {"template": "{index}_{pts}.png"},
            {"template": "{index}_{pts}.png", "deinterlace": True},
            "deinterlace",
        ),
    ],
)
async def test_frames_made_otherwise_are_not_kept(
    clip: Path, tmp_path: Path, first: dict[str, Any], second: dict[str, Any], fact: str
) -> None:
    """Another option under the same names is an error that names it, and leaves the files as they are."""
    out = tmp_path / "out"
    paths = await af.stream_frames_to_dir(clip, out, 0, 3, **first)
    before = {path: Path(path).read_bytes() for path in paths}
    with pytest.raises(FrameMismatchError, match=f"its {fact} was .* and is") as caught:
        await af.stream_frames_to_dir(clip, out, 0, 9, overwrite="skip", **second)
    assert caught.value.path in paths  # frames are checked side by side
    assert {str(path): path.read_bytes() for path in out.glob("[!.]*")} == before
    assert await af.stream_frames_to_dir(clip, out, 0, 3, overwrite="skip", **first) == paths


@pytest.mark.parametrize("change", ["source", "size", "validator"])
async def test_frames_of_another_video_are_not_kept(clip: Path, tmp_path: Path, change: str) -> None:
    """Another name, length or time of writing of the source is an error that names it."""
    out = tmp_path / "out"
    await af.stream_frames_to_dir(clip, out)
    other = tmp_path / "other.mp4" if change == "source" else clip
    other.write_bytes(clip.read_bytes() if change != "size" else clip_bytes(frames=20))
    with pytest.raises(FrameMismatchError, match=f"its {change} was"):
        await af.stream_frames_to_dir(other, out, overwrite="skip")


async def test_bytes_without_a_validator_are_told_apart(tmp_path: Path) -> None:
    """Sources of one length and name, and no validator, differ by what they hold."""
    clip = clip_bytes(frames=12)
    other = clip[:-20] + bytes(20)
    await af.stream_frames_to_dir(clip, tmp_path, 0, 2)
    assert len(await af.stream_frames_to_dir(clip, tmp_path, 0, 4, overwrite="skip")) == 5
    with pytest.raises(FrameMismatchError, match="its validator was"):
        await af.stream_frames_to_dir(other, tmp_path, 0, 2, overwrite="skip")


async def test_frames_that_an_earlier_run_left_between_are_not_kept(clip: Path, tmp_path: Path) -> None:
    """Files of one video stay its own when another's replace some of them."""
    out, other = tmp_path / "out", tmp_path / "other.mp4"
    other.write_bytes(clip_bytes(frames=12))
    await af.stream_frames_to_dir(clip, out)
    await af.stream_frames_to_dir(other, out, 0, 3, overwrite="replace")
    with pytest.raises(FrameMismatchError, match="frame_000004"):
        await af.stream_frames_to_dir(other, out, overwrite="skip")
    with pytest.raises(FrameMismatchError, match="frame_000000"):
        await af.stream_frames_to_dir(clip, out, overwrite="skip")
    assert len(await af.stream_frames_to_dir(clip, out, 4, overwrite="skip")) == 8
    paths = await af.stream_frames_to_dir(other, out, overwrite="replace")
    assert [painted_index(iio.imread(path)) for path in paths] == list(range(12))
    assert await af.stream_frames_to_dir(other, out, overwrite="skip") == paths


@pytest.mark.parametrize("manifest", [None, b"", b"[]", b'{"version": 1, "runs": [{}]}', b"[" * 100_000])
async def test_frames_that_nothing_is_known_of_are_not_kept(
    clip: Path, tmp_path: Path, manifest: bytes | None
) -> None:
    """Without a manifest, or with one that cannot be read, files are an error, and "replace" mends it."""
    out = tmp_path / "out"
    await af.stream_frames_to_dir(clip, out)
    (out / MANIFEST_NAME).unlink()
    if manifest is not None:
        (out / MANIFEST_NAME).write_bytes(manifest)
    with pytest.raises(FrameMismatchError, match="does not record its video"):
        await af.stream_frames_to_dir(clip, out, overwrite="skip")
    await af.stream_frames_to_dir(clip, out, overwrite="replace")
    await af.stream_frames_to_dir(clip, out, overwrite="skip")


async def test_a_selection_goes_on_where_another_ended(clip: Path, tmp_path: Path) -> None:
    """Names hold the frame's own index, so any selection of the same video goes on from any other."""
    out = tmp_path / "out"
    await af.stream_frames_to_dir(clip, out, step=3)
    paths = await af.stream_frames_to_dir(clip, out, overwrite="skip")
    assert [painted_index(iio.imread(path)) for path in paths] == list(range(12))
    said = json.loads((out / MANIFEST_NAME).read_text())
    assert len(said["runs"]) == 1


def test_a_file_that_is_just_written_is_older_than_the_run(tmp_path: Path) -> None:
    """The clock of a file system stands still for some milliseconds; a run begins with its next tick."""
    for number in range(50):
        (tmp_path / f"{number}").mkdir()
        file = tmp_path / f"{number}" / "frame_000000.png"
        file.write_bytes(b"mine")
        run = Run("{index}", {})
        with pytest.raises(FrameMismatchError, match="does not record its video"):
            Manifest.claim(file.parent, run).check(run, file, index=0)
