"""Files of this machine and file objects of the caller."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from asyncframes.errors import (
    ClosedError,
    ShortReadError,
    SourceAccessError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from asyncframes.sources import FileObjectSource, LocalSource

pytestmark = pytest.mark.anyio


class OneWay(io.BytesIO):
    def seekable(self) -> bool:
        return False


class Trickle(io.BytesIO):
    """Gives three bytes a read, as raw files may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size) if size is not None and size >= 0 else 3)


class Broken(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(5, "Input/output error")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(range(100)))
    return path


def overwrite(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))


def replace(path: Path, data: bytes) -> None:
    beside = path.with_suffix(".new")
    overwrite(beside, data)
    beside.replace(path)


async def test_a_directory_is_refused_in_words(tmp_path: Path) -> None:
    """A directory is no file, and the text says so."""
    with pytest.raises(SourceAccessError, match="directory"):
        await LocalSource(tmp_path).open()


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error carries the path and is a FileNotFoundError."""
    with pytest.raises(FileNotFoundError) as caught:
        await LocalSource(tmp_path / "gone.mp4").open()
    assert isinstance(caught.value, SourceNotFoundError)
    assert caught.value.source == str(tmp_path / "gone.mp4")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
async def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """Opening a pipe would wait for a writer; it is refused at once."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceAccessError, match="regular"):
        await LocalSource(tmp_path / "pipe").open()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
async def test_a_forbidden_file_is_an_access_error(clip: Path) -> None:
    """What may not be read is a PermissionError."""
    await asyncio.to_thread(clip.chmod, 0)
    with pytest.raises(SourceAccessError):
        await LocalSource(clip).open()


async def test_a_file_that_shrinks_is_a_short_read(clip: Path) -> None:
    """Bytes that went missing since the opening are reported with their number."""
    async with LocalSource(clip) as source:
        await asyncio.to_thread(overwrite, clip, b"x" * 40)
        with pytest.raises(ShortReadError) as caught:
            await source.read_range(30, 60)
    assert caught.value.received == 10


async def test_a_file_that_is_written_to_is_changed(clip: Path) -> None:
    """Bytes of before and after a write are never mixed."""
    async with LocalSource(clip) as source:
        await asyncio.to_thread(overwrite, clip, b"x" * 100)
        with pytest.raises(SourceChangedError):
            await source.read_range(0, 10)
        with pytest.raises(SourceChangedError):
            source.local_file()


async def test_a_file_that_is_replaced_is_read_on(clip: Path) -> None:
    """The file that was opened stays readable, for further readers too, and the new one is not."""
    async with LocalSource(clip) as source:
        await asyncio.to_thread(replace, clip, b"y" * 100)
        assert await source.read_range(0, 10) == bytes(range(10))
        with source.local_file() as file:  # type: ignore[union-attr]  # a local source has one
            assert file.read(10) == bytes(range(10))


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_a_reader_outlives_its_source(clip: Path) -> None:
    """Readers share one descriptor, each with its own position, and the last one to leave closes it."""
    before = descriptors()
    async with LocalSource(clip) as source:
        files = [source.local_file() for _ in range(20)]
        assert descriptors() == before + 1
    for file in files:
        assert file is not None
        assert file.read(5) == bytes(range(5))
        file.close()
        file.close()
    assert descriptors() == before


async def test_a_cancelled_opening_leaves_no_file_open(clip: Path) -> None:
    """The file opened by a thread nobody waits for is closed; an unclosed one would warn."""
    source = LocalSource(clip)
    opening = asyncio.create_task(source.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    await source.aclose()


async def test_a_file_object_is_the_callers() -> None:
    """It is left open unless asked for, and then closed once."""
    kept, given = io.BytesIO(b"kept"), io.BytesIO(b"given")
    async with FileObjectSource(kept), FileObjectSource(given, close=True):
        pass
    assert (kept.closed, given.closed) == (False, True)


async def test_small_reads_of_a_file_object_join_up() -> None:
    """A read that gives less than asked is gone on with."""
    async with FileObjectSource(Trickle(bytes(range(50)))) as source:
        assert await source.read_range(5, 45) == bytes(range(5, 45))


async def test_a_failing_file_object_is_unavailable() -> None:
    """What the object raises is named, with its cause."""
    async with FileObjectSource(Broken(b"data")) as source:
        with pytest.raises(SourceUnavailableError, match="Input/output") as caught:
            await source.read_range(0, 1)
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_file_object_closed_by_its_owner() -> None:
    """Closing the object under the source is a use after close."""
    file = io.BytesIO(b"data")
    async with FileObjectSource(file) as source:
        file.close()
        with pytest.raises(ClosedError):
            await source.read_range(0, 1)


def test_file_objects_that_cannot_be_read_by_range() -> None:
    """What cannot seek, or reads text, is refused with what to do about it."""
    with pytest.raises(ValueError, match="pass the bytes"):
        FileObjectSource(OneWay(b"data"))
    with pytest.raises(TypeError, match="'rb'"):
        FileObjectSource(cast("BinaryIO", io.StringIO("text")))


def test_the_name_of_a_file_object_tells_no_secret() -> None:
    """Remote file objects may be named by their whole URL."""
    file = io.BytesIO(b"data")
    named = type("Named", (io.BytesIO,), {"name": "https://user:hush@host/clip.mp4?sig=hush"})(b"data")
    assert FileObjectSource(named).name == "https://host/clip.mp4"
    assert FileObjectSource(file).name == "a BytesIO object"
