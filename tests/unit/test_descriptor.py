"""Open file descriptors, memory maps and arrays as sources: what is copied, moved and closed."""

from __future__ import annotations

import mmap
import os
import threading
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncframes as af
from asyncframes.errors import (
    ClosedError,
    SourceAccessError,
    SourceAddressError,
    SourceChangedError,
    SourceError,
    SourceUnavailableError,
)
from asyncframes.sources import FileObjectSource, ForwardSource, MemorySource, resolve_source
from asyncframes.sources._names import name_of
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio

FRAMES = 12
CLIP = clip_bytes(frames=FRAMES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(CLIP)
    return tmp_path / "clip.mp4"


async def test_a_descriptor_is_duplicated_and_stays_open(path: Path) -> None:
    """Its position stays, and it may be closed while the video is open."""
    with path.open("rb", buffering=0) as file:
        file.seek(7)
        async with af.open_video(file.fileno()) as video:
            assert (await video.frame(-1)).index == FRAMES - 1
        assert file.tell() == 7
        async with af.open_video(file.fileno()) as video:
            file.close()
            assert [frame.index async for frame in video.frames(indices=[3, 1])] == [3, 1]


async def test_a_number_that_another_file_got_is_refused(path: Path, tmp_path: Path) -> None:
    """The system reuses numbers, and another file is not what was passed."""
    descriptor = os.open(path, os.O_RDONLY)
    opening = af.open_video(descriptor)
    os.close(descriptor)
    assert os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR) == descriptor
    with pytest.raises(SourceChangedError, match="another file"):
        await opening
    os.close(descriptor)
    opening = af.open_video(os.open(path, os.O_RDONLY))
    os.close(descriptor)
    with pytest.raises(SourceError, match=f"file descriptor {descriptor}"):
        await opening


async def test_a_file_without_a_name_can_be_read(tmp_path: Path) -> None:
    """Which is what descriptors are for: here, one that is deleted."""
    file = (tmp_path / "gone").open("w+b", buffering=0)
    with file:
        file.write(CLIP)
        (tmp_path / "gone").unlink()
        async with af.open_video(file.fileno()) as video:
            assert await video.count() == FRAMES


def test_a_pipe_is_read_as_it_comes() -> None:
    """It goes through `ForwardSource`, and stays open too."""
    reading, writing = os.pipe()
    assert isinstance(resolve_source(reading), ForwardSource)
    sender = threading.Thread(target=_send, args=(writing, clip_bytes(frames=FRAMES, container="matroska")))
    sender.start()
    with af.sync.open_video(reading) as video:
        assert [frame.index for frame in video.frames()] == list(range(FRAMES))
    sender.join()
    assert os.read(reading, 1) == b""
    os.close(reading)


def _send(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(data)


async def test_descriptors_that_cannot_be_read_are_named_errors(path: Path, tmp_path: Path) -> None:
    """A closed one, one for writing only, and a directory."""
    for closed in (-1, 10**6, 10**30, 10**5000):
        with pytest.raises(SourceAddressError, match=r"not open \[file descriptor") as caught:
            resolve_source(closed)
        assert len(str(caught.value)) < 120
    for flags, target, kind in (
        (os.O_WRONLY, path, SourceUnavailableError),
        (os.O_RDONLY, tmp_path, SourceAccessError),
    ):
        descriptor = os.open(target, flags)
        with pytest.raises(kind, match=f"file descriptor {descriptor}"):
            await af.open_video(descriptor)
        os.close(descriptor)
    assert name_of(3) == "file descriptor 3"
    assert name_of(np.zeros(9, np.uint8)) == "9 bytes in memory"


async def test_a_memory_map_is_read_in_place(path: Path) -> None:
    """It is not closed, and one that is closed meanwhile is an error."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        async with af.open_video(mapped) as video:
            assert [frame.index async for frame in video.frames(indices=[9, 2])] == [9, 2]
        assert not mapped.closed
        async with FileObjectSource(mapped) as source:
            mapped.close()
            with pytest.raises(ClosedError, match="mmap"):
                await source.read_range(0, 10)


@pytest.mark.parametrize(
    "make", [bytearray, lambda data: array("B", data), lambda data: np.array([*data], np.uint8)]
)
async def test_buffers_are_copied(make: Any) -> None:
    """So they may change, or go, once the video is made."""
    buffer = make(CLIP)
    opening = af.open_video(buffer)
    buffer[:] = make(bytes(len(CLIP)))
    async with opening as video:
        assert (await video.frame(-1)).index == FRAMES - 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros(9, np.float32), "an array of float32: expected bytes"),
        (np.zeros(9, np.int8), "an array of int8"),
        (np.zeros(9, np.uint16), "an array of uint16"),
        (np.zeros(9, bool), "an array of bool"),
        (np.zeros(9, "M8[s]"), r"an array of datetime64\[s\]"),
        (np.array([None]), "an array of object"),
        (np.zeros(2, [("x" * 99, "u1")]), "an array of .*…"),
        (np.zeros((4, 4, 3), np.uint8), r"uint8 of shape \(4, 4, 3\): expected one dimension"),
        (array("f", [1]), "an array of items 'f'"),
        (memoryview(bytes(8)).cast("I"), "a memoryview of items 'I'"),
    ],
)
async def test_arrays_of_anything_else_are_refused_by_name(data: Any, said: str) -> None:
    """A picture given by mistake, for example."""
    for make in (resolve_source, MemorySource, af.open_video):
        with pytest.raises(TypeError, match=said) as caught:
            make(data)
        assert len(str(caught.value)) < 200
