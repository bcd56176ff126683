"""Frames on disk are kept only where they are known to be those that a request would make."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import pytest

import asyncframes as af
from asyncframes import _many, _streaming
from asyncframes.errors import FrameMismatchError, FrameWriteError
from asyncframes.writers._manifest import MANIFEST_NAME, Finished, Manifest, Run
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


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sources of the videos that were opened."""
    sources: list[Any] = []

    def counted(source: Any, **options: Any) -> Any:
        sources.append(source)
        return af.open_video(source, **options)

    for module in (_streaming, _many):
        monkeypatch.setattr(module, "open_video", counted)
    return sources


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"start": 2, "end": -3, "step": 2},
        {"indices": [7, 3, 3], "ext": "jpg", "quality": 60},
        {"times": [0.1, 0.3], "template": "{index}-{pts}.{ext}"},
        {"num_frames": 4, "resize": (32, None)},
    ],
    ids=str,
)
async def test_a_finished_request_opens_nothing(
    clip: Path, tmp_path: Path, options: dict[str, Any], opened: list[Any]
) -> None:
    """Resuming costs a look at the files; the paths are those of the first time."""
    paths = await af.stream_frames_to_dir(clip, tmp_path / "out", **options)
    assert len(opened) == 1
    assert await af.stream_frames_to_dir(clip, tmp_path / "out", overwrite="skip", **options) == paths
    source = af.LocalSource(clip)
    assert await af.stream_frames_to_dir(source, tmp_path / "out", overwrite="skip", **options) == paths
    videos = [(str(clip), tmp_path / "out")]
    for progress in (False, True):
        many = af.extract_many(videos, overwrite="skip", show_progress=progress, **options)
        assert [extraction.paths async for extraction in many] == [paths]
    assert len(opened) == 1


@pytest.mark.parametrize("change", ["source", "missing", "selection", "on_corrupt", "policy"])
async def test_what_is_not_known_to_be_finished_is_looked_at(
    clip: Path, tmp_path: Path, change: str, opened: list[Any]
) -> None:
    """A touched video, a deleted file, another request and a policy: the video is opened again."""
    out = tmp_path / "out"
    options: dict[str, Any] = {"num_frames": 3, "overwrite": "skip"}
    paths = await af.stream_frames_to_dir(clip, out, **options)
    if change == "source":
        clip.touch()
    elif change == "missing":
        await asyncio.to_thread(Path(paths[1]).unlink)
    else:
        changes: dict[str, dict[str, Any]] = {
            "selection": {"num_frames": 2},
            "on_corrupt": {"on_corrupt": "skip"},
            "policy": {"policy": af.Policy.trusted()},
        }
        options |= changes[change]
    if change == "source":
        with pytest.raises(FrameMismatchError, match="validator"):
            await af.stream_frames_to_dir(clip, out, **options)
    else:
        assert {*await af.stream_frames_to_dir(clip, out, **options)} <= {*paths}
    assert len(opened) == 2


async def test_an_interrupted_request_is_not_finished(clip: Path, tmp_path: Path, opened: list[Any]) -> None:
    """Its last frame is refused by what lies there; the next run writes it."""
    out = tmp_path / "out"
    await asyncio.to_thread((out / "frame_000005.png").mkdir, parents=True)
    with pytest.raises(FrameWriteError):
        await af.stream_frames_to_dir(clip, out, 0, 5, overwrite="replace")
    await asyncio.to_thread((out / "frame_000005.png").rmdir)
    assert len(await af.stream_frames_to_dir(clip, out, 0, 5, overwrite="skip")) == 6
    assert len(opened) == 2


@pytest.mark.slow
def test_what_is_finished_stays_small(tmp_path: Path) -> None:
    """Many runs and long names leave a manifest that can be read."""
    for number in range(30):
        run = Run(f"{number}_{{index}}.png", {"number": number})
        Manifest.claim(tmp_path, run)
        names = tuple(f"{number}_{index:08d}.png" for index in range(1300))
        Manifest.finish(tmp_path, run, Finished("asked", names))
        Manifest.finish(tmp_path, run, Finished("too long", names * 2))
    found = Manifest.load(tmp_path).runs
    assert [run.facts["number"] for run in found] == [*range(30)]
    finished = [run for run in found if run.finished is not None]
    assert [run.facts["number"] for run in finished] == [*range(20, 30)]
    assert {run.finished.request for run in finished if run.finished} == {"asked"}


async def test_a_manifest_leads_to_no_other_directory(clip: Path, tmp_path: Path) -> None:
    """Whoever wrote it: the names that it lists are files beside it."""
    out = tmp_path / "out"
    paths = await af.stream_frames_to_dir(clip, out, 0, 1)
    text = (out / MANIFEST_NAME).read_text()
    (out / MANIFEST_NAME).write_text(text.replace('"frame_000001.png"', '"../clip.mp4"'))
    assert await af.stream_frames_to_dir(clip, out, 0, 1, overwrite="skip") == paths
