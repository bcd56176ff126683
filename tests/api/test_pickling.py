"""What travels to worker processes, and what refuses to."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import multiprocessing
import os
import pickle
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import aiohttp
import fsspec
import numpy as np
import pytest
from obstore.store import LocalStore

import asyncframes as af
from asyncframes import errors
from asyncframes.errors import NotPicklableError
from asyncframes.sources import CachedSource, resolve_source
from asyncframes.supervisely import SuperviselyServer, SuperviselySource
from tests.support.streams.clips import clip_bytes

CLIP = clip_bytes(frames=8, width=64, height=48)
SECRET = "hunter2"  # noqa: S105 - it is looked for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CLIP)
    return path


def over(headers: dict[str, str], _ignored: object = None) -> dict[str, str]:
    return headers


OPENABLE: dict[str, Callable[[Path], Any]] = {
    "path": str,
    "pathlib": lambda path: path,
    "file: URL": lambda path: path.as_uri(),
    "LocalSource": lambda path: af.LocalSource(path),
    "bytes": lambda _: CLIP,
    "uint8": lambda _: np.frombuffer(CLIP, np.uint8),
    "BytesIO": lambda _: io.BytesIO(CLIP),
    "data: URL": lambda path: "data:video/mp4;base64," + _base64(path),
    "CachedSource": lambda path: CachedSource(af.LocalSource(path), cache_bytes=2**20),
    "fsspec URL": lambda path: af.FsspecSource(f"local://{path}"),
    "fsspec filesystem": lambda path: af.FsspecSource(fsspec.filesystem("file"), path=str(path)),
    "fsspec file": lambda path: af.FsspecSource(fsspec.open(str(path))),
    "obstore": lambda path: af.ObjectStoreSource(LocalStore(str(path.parent)), path=path.name),
}
ADDRESSES: dict[str, Callable[[], Any]] = {
    "http": lambda: af.HttpSource(
        f"https://host/a.mp4?token={SECRET}",
        headers=partial(over, {"x-key": SECRET}),
        cookies={"a": SECRET},
    ),
    "s3": lambda: af.ObjectStoreSource(
        "s3://bucket/a.mp4", region="eu-west-1", access_key_id="me", secret_access_key=SECRET
    ),
    "ffmpeg": lambda: af.FFmpegUrlSource(
        f"https://user:{SECRET}@host/a.m3u8",
        http=partial(af.HttpSource, allow_private=False),
    ),
    "supervisely": lambda: SuperviselySource(SuperviselyServer("https://host", SECRET), 7),
    "fsspec": lambda: af.FsspecSource(f"ftp://user:{SECRET}@host/a.mp4", password=SECRET),
}


def _base64(path: Path) -> str:
    import base64

    return base64.b64encode(path.read_bytes()).decode()


def travelled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def first_index(opener: Any) -> tuple[int, int]:
    """Read a frame in any process."""

    async def read() -> tuple[int, int]:
        async with opener as video:
            return (await video.frame(5)).index, await video.count()

    return asyncio.run(read())


@pytest.mark.parametrize("kind", OPENABLE)
def test_what_open_video_returns_travels(kind: str, path: Path) -> None:
    """With its source and its options, twice over, and the original still opens."""
    opener = af.open_video(OPENABLE[kind](path), threads=1, on_corrupt="skip", table_cache=path.parent)
    arrived = travelled(travelled(opener))
    assert repr(arrived) == repr(opener)
    assert first_index(arrived) == first_index(opener) == (5, 8)


@pytest.mark.parametrize("kind", OPENABLE)
def test_sources_travel_until_they_are_opened(kind: str, path: Path) -> None:
    """A copy is as good as the original. Once a video has the source open, it stays in its process."""
    source = resolve_source(OPENABLE[kind](path))
    assert isinstance(source, af.StreamSource)
    for arrived in (travelled(source), copy.copy(source)):
        assert type(arrived) is type(source)
        assert arrived.name == source.name
        assert asyncio.run(read_all(arrived)) == CLIP
    asyncio.run(read_all(source))
    if not isinstance(source, af.MemorySource):
        with pytest.raises(NotPicklableError, match="before it is opened"):
            pickle.dumps(source)


async def read_all(source: af.StreamSource) -> bytes:
    async with source:
        return await source.read_range(0, len(CLIP))


@pytest.mark.parametrize("kind", ADDRESSES)
def test_secrets_travel_and_are_not_shown(kind: str) -> None:
    """They are in the pickle, because the worker needs them, and in no representation."""
    source = ADDRESSES[kind]()
    arrived = travelled(source)
    assert type(arrived) is type(source)
    assert SECRET.encode() in pickle.dumps(arrived)
    opener = travelled(af.open_video(source))
    for shown in (repr(arrived), arrived.name, repr(opener), repr(pickle.loads(pickle.dumps([arrived])))):
        assert SECRET not in shown


async def pieces() -> AsyncIterator[bytes]:
    yield CLIP


def descriptor(path: Path, stack: ExitStack) -> int:
    """Open a file that is closed with the stack: later tests look at which files this process has open."""
    opened = os.open(path, os.O_RDONLY)
    stack.callback(os.close, opened)
    return opened


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda _path, _stack: pieces(), "arrive once"),
        (
            lambda path, stack: af.ForwardSource(stack.enter_context(path.open("rb")), keep=True),
            "arrive once",
        ),
        (lambda path, stack: stack.enter_context(path.open("rb")), "pass its path"),
        (
            lambda path, stack: stack.enter_context(mmap(descriptor(path, stack), 0, access=ACCESS_READ)),
            "pass its path",
        ),
        (descriptor, "pass the path"),
    ],
    ids=["iterable", "forward", "file", "mmap", "descriptor"],
)
def test_what_belongs_to_a_process_refuses(
    make: Callable[[Path, ExitStack], Any], remedy: str, path: Path
) -> None:
    """By a named error that says what to pass in its place."""
    with ExitStack() as stack:
        source = resolve_source(make(path, stack))
        for thing in (source, af.open_video(source)):
            with pytest.raises(NotPicklableError, match=remedy):
                pickle.dumps(thing)


def test_open_videos_refuse(path: Path) -> None:
    """So do openers that were entered."""

    async def main() -> None:
        async with (opener := af.open_video(CLIP)) as video:
            for thing in (opener, video):
                with pytest.raises(NotPicklableError, match="open_video"):
                    pickle.dumps(thing)
        with pytest.raises(NotPicklableError, match="open_video"):
            pickle.dumps(opener)

    asyncio.run(main())
    with (
        af.sync.open_video(path) as video,
        pytest.raises(NotPicklableError, match=r"'.*clip\.mp4'.*open the video there"),
    ):
        pickle.dumps(video)


def test_sessions_and_executors_stay() -> None:
    """They are of one process, and the error says what to leave out."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(NotPicklableError, match="headers="):
                pickle.dumps(af.HttpSource("https://host/a.mp4", session=session))
            server = SuperviselyServer("https://host", None)
            with pytest.raises(NotPicklableError, match="session="):
                pickle.dumps(SuperviselySource(server, 7, session=session))

    asyncio.run(main())
    with ThreadPoolExecutor(1) as executor, pytest.raises(NotPicklableError, match="executor="):
        pickle.dumps(af.open_video(CLIP, executor=executor))


@pytest.mark.parametrize(
    "options",
    [
        {"cache_bytes": 1},
        {"read_ahead_bytes": -1},
        {"threads": 0},
        {"allow_containers": ("hls",)},
        {"on_corrupt": "no"},
        {"seek_mode": "no"},
        {"deadline_seconds": 0},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_at_once(options: dict[str, Any]) -> None:
    """Although nothing is built before the video is entered."""
    with pytest.raises(ValueError):
        af.open_video(CLIP, **options)


CLASSES = [getattr(errors, name) for name in errors.__all__]


def facts_of(error: BaseException) -> dict[str, Any]:
    # `OSError.characters_written` is listed, and raises until it is set.
    found = {name: getattr(error, name, None) for name in dir(error) if not name.startswith("_")}
    return {name: value for name, value in found.items() if not callable(value)}


@pytest.mark.parametrize("kind", CLASSES)
def test_every_attribute_of_an_error_survives(kind: Callable[..., Exception]) -> None:
    """Those of its builtin base, and notes, too."""
    context: dict[str, Any] = {
        name: "a.mp4" if name == "source" else 7
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    error = kind("what happened", **context)
    error.add_note("while testing")
    for arrived in (travelled(error), copy.copy(error)):
        assert type(arrived) is kind
        assert facts_of(arrived) == facts_of(error)
        assert facts_of(error).items() >= context.items()
        assert str(arrived) == str(error)
        assert arrived.__notes__ == ["while testing"]


def values() -> list[Any]:
    with af.sync.open_video(CLIP) as video:
        batch = video.batch(2, 5)
        return [video.info, video.frame_table(), video.frame(3), batch, batch[1:3]]


def test_values_survive() -> None:
    """Tables, frames and batches are the same on the other side."""
    info, table, frame, batch, part = values()
    arrived_info, arrived_table, arrived_frame, arrived_batch, arrived_part = travelled(
        [info, table, frame, batch, part]
    )
    assert arrived_info == info
    assert arrived_table.to_bytes() == table.to_bytes()
    assert not arrived_table.packet_of.flags.writeable
    assert np.array_equal(arrived_frame.image, frame.image)
    assert repr(arrived_frame) == repr(frame)
    assert arrived_frame.duration_seconds == frame.duration_seconds
    for arrived, original in ((arrived_batch, batch), (arrived_part, part)):
        assert np.array_equal(arrived.images, original.images)
        assert arrived.images.flags.c_contiguous
        assert arrived.metadata() == original.metadata()
        assert np.array_equal(arrived.pts_seconds, original.pts_seconds)
    assert len(pickle.dumps(part)) < len(pickle.dumps(batch))


def looked_at(things: list[Any]) -> list[Any]:
    """Open what can be opened and return the rest, in a worker."""
    opened = [first_index(thing) for thing in things if type(thing).__name__ == "VideoOpener"]
    return [opened, *(thing for thing in things if type(thing).__name__ != "VideoOpener")]


def started(method: str) -> Executor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_everything_travels_to_workers(method: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There and back, also after this process used both APIs; a table made here opens the video there."""
    # A worker imports this module. Behind what is installed: the package is not to come from the checkout.
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2])])
    info, table, frame, batch, _ = values()
    openers = [af.open_video(OPENABLE[kind](path), frame_table=table) for kind in ("path", "BytesIO")]
    failures = [
        errors.MissingExtraError("no", extra="torch"),
        errors.FrameIndexError("no", index=9, length=8),
    ]
    assert first_index(af.open_video(CLIP)) == (5, 8)
    with started(method) as workers:
        opened, arrived_info, arrived_table, arrived_frame, arrived_batch, *arrived = workers.submit(
            looked_at, [*openers, info, table, frame, batch, *failures]
        ).result(timeout=50)
    assert opened == [(5, 8), (5, 8)]
    assert arrived_info == info
    assert arrived_table.to_bytes() == table.to_bytes()
    assert np.array_equal(arrived_frame.image, frame.image)
    assert np.array_equal(arrived_batch.images, batch.images)
    assert [facts_of(error) for error in arrived] == [facts_of(error) for error in failures]
