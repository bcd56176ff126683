"""Files that fsspec reaches: in memory, on disk, in archives, over HTTP."""

from __future__ import annotations

import asyncio
import builtins
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.zip import ZipFileSystem

import asyncframes as af
from asyncframes.errors import (
    ClosedError,
    MissingExtraError,
    RangeNotSupportedError,
    SourceAccessError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from asyncframes.sources import FsspecSource, _registry, resolve_source
from tests.support.servers.web import Reply, RunningServer
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.anyio


@pytest.fixture
def clip() -> bytes:
    return clip_bytes(frames=48)


@pytest.fixture
def in_memory(clip: bytes) -> Iterator[str]:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe_file("/clips/a.mp4", clip)
    yield "memory://clips/a.mp4"
    filesystem.rm("/clips", recursive=True)


@pytest.fixture
def archive(clip: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "clips.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("dir/a.mp4", clip)
    return path


@pytest.fixture
def server(server: RunningServer, clip: bytes) -> RunningServer:
    server.serve("/a.mp4", clip)
    return server


async def found_in(source: Any) -> list[int]:
    async with af.open_video(source) as video:
        return [painted_index(frame.image) async for frame in video.frames(indices=[40, 3])]


async def test_a_scheme_that_fsspec_knows(in_memory: str) -> None:
    """A URL whose scheme nobody here knows falls to fsspec."""
    assert isinstance(resolve_source(in_memory), FsspecSource)
    assert await found_in(in_memory) == [40, 3]


async def test_a_member_of_an_archive(archive: Path) -> None:
    """Chained URLs work as fsspec means them, and need no seeking the archive anew for each read."""
    assert await found_in(f"zip://dir/a.mp4::file://{archive}") == [40, 3]
    assert isinstance(resolve_source("simplecache::memory://clips/a.mp4"), FsspecSource)


async def test_a_filesystem_and_a_path(archive: Path, in_memory: str) -> None:
    """A filesystem of the caller's, and what `fsspec.open` gives."""
    assert await found_in(FsspecSource(ZipFileSystem(str(archive)), "dir/a.mp4")) == [40, 3]
    assert await found_in(fsspec.open(in_memory)) == [40, 3]
    with fsspec.open(in_memory) as file:
        assert await found_in(file) == [40, 3]


async def test_an_asynchronous_filesystem_runs_on_this_loop(server: RunningServer) -> None:
    """Ranges go out from the running loop, without fsspec's own thread, and the session is closed."""
    before = set(threading.enumerate())
    assert await found_in(FsspecSource(server.url("/a.mp4"))) == [40, 3]
    new = {thread.name for thread in set(threading.enumerate()) - before}
    assert not any(name.startswith("fsspec") for name in new)
    assert any(request.byte_range for request in server.requests)


async def test_ranges_of_an_asynchronous_filesystem_go_side_by_side(server: RunningServer) -> None:
    """A read that stalls holds up no other."""
    async with FsspecSource(server.url("/a.mp4")) as source:
        server.script("/a.mp4", Reply(stall_at=5))
        before = len(server.requests)
        stalled = asyncio.create_task(source.read_range(0, 100))
        await asyncio.to_thread(server.wait_for_requests, before + 1)
        assert len(await source.read_range(100, 200)) == 100
        assert not stalled.done()
        stalled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stalled


async def test_instances_of_the_callers(server: RunningServer) -> None:
    """An asynchronous instance is used on this loop and left open, a blocking one in threads."""
    url = server.url("/a.mp4")
    native = HTTPFileSystem(asynchronous=True, skip_instance_cache=True)
    session = await native.set_session()
    assert await found_in(FsspecSource(native, url)) == [40, 3]
    assert not session.closed
    await session.close()
    blocking = HTTPFileSystem(skip_instance_cache=True)
    assert await found_in(FsspecSource(blocking, url)) == [40, 3]
    await asyncio.to_thread(HTTPFileSystem.close_session, blocking.loop, blocking._session)


async def test_etag_is_the_validator(server: RunningServer, tmp_path: Path, clip: bytes) -> None:
    """What tells versions apart is taken from what the filesystem says."""
    (tmp_path / "a.mp4").write_bytes(clip)
    async with FsspecSource(f"file://{tmp_path}/a.mp4") as source:
        assert source.validator
    async with FsspecSource(server.url("/a.mp4")) as source:
        assert source.validator == f'"v1"-{len(clip)}'


async def test_a_server_without_ranges_is_refused(server: RunningServer, clip: bytes) -> None:
    """A filesystem that answers with more than the range is not believed."""
    server.serve("/b.mp4", clip, default=Reply(ignore_range=True))
    async with FsspecSource(server.url("/b.mp4")) as source:
        with pytest.raises(RangeNotSupportedError):
            await source.read_range(0, 10)


async def test_failures_have_names(server: RunningServer, tmp_path: Path, in_memory: str) -> None:
    """Each failure is one of ours, without the secrets of the address."""
    for url in ("memory://nothing", f"file://{tmp_path}/nothing", server.url("/nothing?sig=hush")):
        with pytest.raises(SourceNotFoundError) as caught:
            await FsspecSource(url).open()
        assert "hush" not in str(caught.value)
    with pytest.raises(SourceAccessError, match="directory"):
        await FsspecSource(fsspec.filesystem("file"), str(tmp_path)).open()
    async with FsspecSource(server.url("/a.mp4?sig=hush")) as source:
        for status, error in ((403, SourceAccessError), (500, SourceUnavailableError)):
            server.script("/a.mp4", Reply(status=status))
            with pytest.raises(error) as failed:
                await source.read_range(0, 10)
            assert "hush" not in str(failed.value)
            assert failed.value.__cause__ is None
    with pytest.raises(ClosedError):
        await source.read_range(0, 10)
    with pytest.raises(ValueError, match="path is missing"):
        FsspecSource(fsspec.filesystem("memory"))
    with pytest.raises(ValueError, match="compression=None"):
        FsspecSource(fsspec.open(in_memory, compression="gzip"))


async def test_a_backend_that_is_missing() -> None:
    """Fsspec says which package a scheme needs."""
    with pytest.raises(MissingExtraError, match="Install ocifs"):
        await FsspecSource("oci://bucket@space/a.mp4").open()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown scheme is unknown, and asking for fsspec says what to install."""
    real_import = builtins.__import__

    def without_fsspec(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "fsspec":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_fsspec)
    monkeypatch.setattr(_registry, "_factories", {})
    with pytest.raises(ValueError, match="fsspec"):
        resolve_source("memory://a.mp4")
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncframes-video\[fsspec\]'"):
        FsspecSource("memory://a.mp4")
