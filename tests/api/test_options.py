"""Options: each is written down once, and every call takes, shows and refuses them alike."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter

import asyncframes as af
from asyncframes._model.options import DEFAULTS, OpenOptions, SaveOptions
from asyncframes.writers import NpyWriter
from tests.support.marks import grid
from tests.support.streams.clips import clip_bytes

FRAMES = 6
CLIP = clip_bytes(frames=FRAMES)
PLANES = clip_bytes(frames=FRAMES, codec="mjpeg", container="mov", pixel_format="yuvj420p", b_frames=0)
CLIPS = {"limited range": CLIP, "as in JPEG": PLANES}


def _nothing(*_: Any) -> None:
    raise AssertionError("something was opened or written")


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "stream_frames": lambda api, _: api.stream_frames(CLIP, resise=(2, 2)),
    "stream_frames_to_dir": lambda api, _: api.stream_frames_to_dir(CLIP, "x", resise=(2, 2)),
    "stream_frames_to_writer": lambda api, _: api.stream_frames_to_writer(CLIP, None, resise=(2, 2)),
    "extract_many": lambda api, _: api.extract_many([(CLIP, "x")], resise=(2, 2)),
    "Video.frames": lambda _, video: video.frames(resise=(2, 2)),
    "Video.batch": lambda _, video: video.batch(resise=(2, 2)),
    "Video.batches": lambda _, video: video.batches(2, resise=(2, 2)),
    "Video.latest": lambda _, video: video.latest(resise=(2, 2)),
    "Video.frame": lambda _, video: video.frame(0, resise=(2, 2)),
    "Video.frame_at": lambda _, video: video.frame_at(0, resise=(2, 2)),
    "Video.contact_sheet": lambda _, video: video.contact_sheet(resise=(2, 2)),
    "Video.save": lambda _, video: video.save("x", resise=(2, 2)),
    "Video.write": lambda _, video: video.write(None, resise=(2, 2)),
    "Video.indices": lambda _, video: video.indices(times_=[0]),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", CALLS)
async def test_an_unknown_option_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the nearest right one, and nothing is opened or written before it."""
    near = "times" if name == "Video.indices" else "resize"
    async with af.open_video(CLIP) as video:
        monkeypatch.setattr(Path, "mkdir", _nothing)
        with pytest.raises(TypeError, match=rf"{name}\(\) has no option '.*': did you mean {near}=\?"):
            made = CALLS[name](af, video)
            await made
    with af.sync.open_video(CLIP) as blocking, pytest.raises(TypeError, match=f"did you mean {near}="):
        CALLS[name](af.sync, blocking)


@pytest.mark.parametrize("api", [af, af.sync])
def test_an_unknown_option_of_opening_is_refused_by_name(api: Any) -> None:
    """As it is in all other calls."""
    with pytest.raises(TypeError, match=r"open_video\(\) has no option 'thread': did you mean threads=\?"):
        api.open_video(CLIP, thread=1)


def test_an_extension_is_text(tmp_path: Path) -> None:
    """Whoever takes it says so."""
    ext: Any = 3
    calls: list[Callable[[], Any]] = [
        lambda: af.sync.stream_frames_to_dir(CLIP, tmp_path / "out", ext=ext),
        lambda: af.DirectoryWriter(tmp_path / "out", ext=ext),
        lambda: af.TarWriter(tmp_path / "{shard}.tar", ext=ext),
        lambda: af.writers.encoder_for(ext),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="ext=3: expected a file extension, such as 'png'"):
            call()
    assert [*tmp_path.iterdir()] == []


def test_an_option_like_no_other_lists_all() -> None:
    """Where none is near, the error says which there are."""
    with pytest.raises(TypeError, match="expected one of source, start, end, step, indices, times"):
        af.stream_frames(CLIP, qqqqqqqq=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["open_video", *(name for name in CALLS if "." not in name)])
def test_the_blocking_twin_has_the_same_signature(name: str) -> None:
    """Parameters, defaults and annotations agree; what is returned differs."""
    one, twin = (inspect.signature(getattr(api, name)).parameters for api in (af, af.sync))
    assert list(one.values()) == list(twin.values())


@pytest.mark.parametrize("name", [name.partition(".")[2] for name in CALLS if "." in name])
def test_methods_of_the_blocking_twin_have_the_same_signature(name: str) -> None:
    """So do those of `Video`."""
    one, twin = (inspect.signature(getattr(kind, name)).parameters for kind in (af.Video, af.sync.Video))
    assert list(one.values()) == list(twin.values())
    assert "resize" in one or name == "indices"


def test_the_options_of_opening_are_those_of_open_video() -> None:
    """What `stream_frames` and the others pass on is all that `open_video` takes, with the same defaults."""
    parameters = dict(inspect.signature(af.open_video).parameters)
    parameters.pop("source")
    assert list(parameters) == list(OpenOptions.__annotations__)
    assert {name: one.default for name, one in parameters.items()} == {
        name: DEFAULTS[name] for name in OpenOptions.__annotations__
    }


@pytest.mark.anyio
async def test_save_and_stream_frames_to_dir_write_the_same_bytes(tmp_path: Path) -> None:
    """Whether a video is opened for the call or not."""
    options: dict[str, Any] = {"ext": "jpg", "quality": 80, "resize": (32, None)}
    await af.stream_frames_to_dir(CLIP, tmp_path / "one", 1, 4, 2, **options)
    async with af.open_video(CLIP) as video:
        await video.save(tmp_path / "other", 1, 4, 2, **options)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "other")


@pytest.mark.anyio
async def test_write_and_stream_frames_to_writer_write_the_same_bytes(tmp_path: Path) -> None:
    """So do those that take a writer."""
    await af.stream_frames_to_writer(CLIP, NpyWriter(tmp_path / "one.npy"), indices=[3, 1])
    async with af.open_video(CLIP) as video:
        await video.write(NpyWriter(tmp_path / "other.npy"), indices=[3, 1])
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "other.npy").read_bytes()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("clip", "ext"),
    grid(
        CLIPS,
        ["png", "jpg", "webp", "bmp", "npy", "raw"],
        fast=lambda clip, ext: ext == ("jpg" if clip == "as in JPEG" else "png"),
    ),
)
async def test_defaults_that_are_spelt_out_change_nothing(tmp_path: Path, clip: str, ext: str) -> None:
    """Each option by itself, and all together."""
    given = {name: DEFAULTS[name] for name in SaveOptions.__annotations__ if name != "ext"}
    async with af.open_video(CLIPS[clip]) as video:
        await video.save(tmp_path / "plain", 0, 1, ext=ext)
        expected = _contents(tmp_path / "plain")
        for name, value in given.items():
            asked: dict[str, Any] = {name: value, "ext": ext}
            await video.save(tmp_path / name, 0, 1, **asked)
            assert _contents(tmp_path / name) == expected, name
        everything: dict[str, Any] = given | {"ext": ext}
        await video.save(tmp_path / "all", 0, 1, **everything)
        assert _contents(tmp_path / "all") == expected


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.anyio
async def test_misuse_says_what_was_meant(tmp_path: Path) -> None:
    """The likely mistakes of a newcomer."""
    with pytest.raises(AttributeError, match=r"not open yet.*async with open_video\(\.\.\.\) as video"):
        af.open_video(CLIP).frames()
    async with af.open_video(CLIP) as video:
        with pytest.raises(TypeError, match=r"resize=640: expected \(width, height\)"):
            video.frames(resize=640)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"already open: .* call the video's own frames, save or write"):
            await af.stream_frames_to_dir(video, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"videos: expected pairs of a source and a directory"):
        async for _ in af.extract_many(["x.mp4"]):  # type: ignore[list-item]
            pass


@pytest.mark.slow
@pytest.mark.parametrize("use_jedi", [False, True])
@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("video.frames(res", "resize="),
        ("video.save('x', over", "overwrite="),
        ("af.stream_frames('x', max_p", "max_pixels="),
    ],
)
def test_options_complete_in_notebooks(code: str, wanted: str, use_jedi: bool) -> None:
    """IPython offers every option of a call, with Jedi and without."""
    with af.sync.open_video(CLIP) as video, provisionalcompleter():
        completer = IPCompleter(namespace={"video": video, "af": af}, use_jedi=use_jedi)  # type: ignore[no-untyped-call]
        offered = {one.text for one in completer.completions(code, len(code))}
        assert wanted in offered


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"picture_cache_bytes": -1}, "picture_cache_bytes=-1: expected 0 or more"),
        ({"reorder_bytes": -(2**20)}, "reorder_bytes=-1048576: expected 0 or more"),
        ({"stream_index": -1}, "stream_index=-1: expected 0 or more"),
        ({"threads": 0}, "threads=0: expected 1 or more"),
        ({"max_pixels": 0}, "max_pixels=0: expected 1 or more"),
        ({"max_table_frames": -5}, "max_table_frames=-5: expected 1 or more"),
        ({"max_read_bytes": 0}, "max_read_bytes=0: expected 1 or more"),
        ({"cache_bytes": -1}, "cache_bytes=-1, block_size=16384: expected a cache of two blocks or more"),
        ({"read_ahead_bytes": -1}, "read_ahead_bytes=-1: expected 0 or more bytes"),
        ({"read_timeout_seconds": 0}, "read_timeout_seconds=0: expected seconds, above 0 and at most a year"),
        ({"read_timeout_seconds": float("nan")}, "read_timeout_seconds=nan: expected seconds"),
        ({"deadline_seconds": -1}, "deadline_seconds=-1: expected more than 0, or None"),
    ],
)
def test_a_number_that_is_too_small_is_refused_at_once(options: dict[str, Any], expected: str) -> None:
    """By its name and value, before anything is opened."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        af.open_video("nowhere.mp4", **options)


@pytest.mark.anyio
@pytest.mark.parametrize("most", [0, -1])
async def test_the_bound_of_a_batch_is_above_zero(most: int) -> None:
    """`batch` and `batches` refuse another alike, even if no frame is asked for."""
    expected = f"^max_batch_bytes={most}: expected 1 or more"
    async with af.open_video(CLIP) as video:
        with pytest.raises(ValueError, match=expected):
            await video.batch(indices=[], max_batch_bytes=most)
        with pytest.raises(ValueError, match=expected):
            video.batches(2, max_batch_bytes=most)
