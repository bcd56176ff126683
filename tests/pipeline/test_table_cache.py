"""Frame tables that outlive a video: given by hand, and remembered in a folder."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes._media.table.cache import TableCache
from asyncframes.errors import SourceChangedError
from asyncframes.sources import MemorySource
from asyncframes.testing import FaultySource
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes, painted_index, repeated

pytestmark = [pytest.mark.usefixtures("only_long_streams"), BOTH_ISOLATIONS]

FRAMES, GOP = 48, 12
BUNNY = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()
BUNNY_FRAMES, BUNNY_GOP_BYTES = 132, len(BUNNY) * 25 // 132


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def long_mkv() -> bytes:
    """Some 5 MB that have to be read wholly to be counted."""
    return repeated(BUNNY, 8, container="matroska")


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def scanned(source: Any, folder: Path | None = None, **options: Any) -> tuple[int, int]:
    """Count frames; the count, and how many packets were read for it."""
    packets = []
    async with af.open_video(
        source, table_cache=folder, packet_progress=lambda phase, _: packets.append(phase), **options
    ) as video:
        return await video.count(), len(packets)


@pytest.mark.anyio
async def test_a_warm_cache_needs_header_and_gop_only(
    server: RunningServer, folder: Path, long_mkv: bytes
) -> None:
    """What one video scanned for, another does not read again: a frame near the end costs what it decodes."""
    server.serve("/long.mkv", long_mkv)
    async with af.open_video(server.url("/long.mkv"), table_cache=folder) as video:
        assert await video.count() == 8 * BUNNY_FRAMES
        assert video.bytes_read >= len(long_mkv)
        cold = (await video.frame(-20)).image
    before = server.bytes_sent
    async with af.open_video(server.url("/long.mkv"), table_cache=folder) as video:
        warm = (await video.frame(-20)).image
        assert await video.count() == 8 * BUNNY_FRAMES
        fetched = video.bytes_read
    assert (warm == cold).all()
    assert fetched <= 2 * BUNNY_GOP_BYTES + 512 * 1024
    assert server.bytes_sent - before <= fetched + 64 * 1024


@pytest.mark.slow
@pytest.mark.anyio
async def test_processes_share_a_cache(server: RunningServer, folder: Path, long_mkv: bytes) -> None:
    """An entry that another process made is used."""
    server.serve("/long.mkv", long_mkv)
    program = (
        "import sys, asyncframes as af\n"
        "with af.sync.open_video(sys.argv[1], table_cache=sys.argv[2]) as video: print(video.count())"
    )
    command = [sys.executable, "-c", program, server.url("/long.mkv?signature=one"), str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 8 * BUNNY_FRAMES
    async with af.open_video(server.url("/long.mkv?signature=two"), table_cache=folder) as video:
        assert await video.count() == 8 * BUNNY_FRAMES
        assert video.bytes_read < 1024 * 1024


@pytest.mark.anyio
async def test_many_at_once_make_one_entry(folder: Path, tmp_path: Path) -> None:
    """Videos that save the same table at the same time do not disturb each other."""
    path = tmp_path / "clip.mkv"
    path.write_bytes(clip_bytes(frames=FRAMES, container="matroska"))
    counts = await asyncio.gather(*(scanned(path, folder) for _ in range(8)))
    assert {count for count, _ in counts} == {FRAMES}
    assert len(entries(folder)) == 1
    assert await scanned(path, folder) == (FRAMES, 0)


@pytest.mark.anyio
async def test_a_file_written_anew_is_scanned_anew(folder: Path, tmp_path: Path) -> None:
    """A new mtime makes another source of a file, also where the size stays."""
    path = tmp_path / "clip.mkv"
    path.write_bytes(clip_bytes(frames=FRAMES, container="matroska"))
    assert await scanned(path, folder) == (FRAMES, FRAMES)
    assert await scanned(path, folder) == (FRAMES, 0)
    path.write_bytes(clip_bytes(frames=20, container="matroska"))
    assert await scanned(path, folder) == (20, 20)
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert await scanned(path, folder) == (20, 20)


@pytest.mark.anyio
async def test_a_new_etag_is_another_source(server: RunningServer, folder: Path) -> None:
    """So does a new ETag of an address; without ETag and date nothing is remembered."""
    url = server.url("/clip.mkv")
    served = server.serve("/clip.mkv", clip_bytes(frames=FRAMES, container="matroska"))
    assert await scanned(url, folder) == (FRAMES, FRAMES)
    assert await scanned(url, folder) == (FRAMES, 0)
    served.etag = '"v2"'
    assert await scanned(url, folder) == (FRAMES, FRAMES)
    served.etag = served.last_modified = None
    before = entries(folder)
    assert await scanned(url, folder) == (FRAMES, FRAMES)
    assert await scanned(url, folder) == (FRAMES, FRAMES)
    assert entries(folder) == before


@pytest.mark.anyio
async def test_addresses_that_differ_in_their_query_are_told_apart(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    """The query may hold a signature and is no part of the name; the first bytes tell two videos apart."""
    one, two = (clip_bytes(frames=FRAMES, container="matroska", gop=gop) for gop in (6, 24))
    size = max(len(one), len(two))
    url = server.url("/clip.mkv")
    server.serve("/clip.mkv", one.ljust(size, b"\0"))
    async with af.open_video(f"{url}?id=1", table_cache=folder) as video:
        keyframes = (await video.indices(keyframes=True)).tolist()
    server.serve("/clip.mkv", two.ljust(size, b"\0"))
    async with af.open_video(f"{url}?id=2", table_cache=folder) as video:
        assert (await video.indices(keyframes=True)).tolist() != keyframes
    assert not any("clip" in path.name for path in entries(folder))


@pytest.mark.anyio
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
async def test_a_damaged_entry_is_made_anew(folder: Path, tmp_path: Path, damage: str) -> None:
    """Whatever became of the file, the video does not notice, and the entry is whole again."""
    path = tmp_path / "clip.mkv"
    path.write_bytes(clip_bytes(frames=FRAMES, container="matroska"))
    await scanned(path, folder)
    [entry] = entries(folder)
    whole = entry.read_bytes()
    changed = {
        "cut": whole[: len(whole) // 2],
        "flip": whole[:99] + bytes([whole[99] ^ 1]) + whole[100:],
        "empty": b"",
        "foreign": b"PK" + bytes(500),
    }
    entry.write_bytes(changed[damage])
    assert await scanned(path, folder) == (FRAMES, FRAMES)
    assert await scanned(path, folder) == (FRAMES, 0)
    assert entry.read_bytes() == whole


@pytest.mark.anyio
async def test_a_folder_that_cannot_be_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be written, nothing is remembered, and the log says so once a video."""
    path = tmp_path / "clip.mkv"
    path.write_bytes(clip_bytes(frames=FRAMES, container="matroska"))
    assert await scanned(path, path) == (FRAMES, FRAMES)
    assert await scanned(path, path) == (FRAMES, FRAMES)
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(messages) == 2
    assert all(f"table_cache {path} is not usable" in message for message in messages)


@pytest.mark.anyio
async def test_a_decode_pass_is_paid_once(folder: Path, tmp_path: Path) -> None:
    """A table that only decoding could make is remembered like any other."""
    path = tmp_path / "clip.h264"
    path.write_bytes(clip_bytes(frames=FRAMES, container="h264"))
    count, packets = await scanned(path, folder)
    assert count == FRAMES
    assert packets > FRAMES
    assert await scanned(path, folder) == (FRAMES, 0)
    async with af.open_video(path, table_cache=folder) as video:
        assert (await video.frame_table()).is_verified
        assert painted_index((await video.frame(33)).image) == 33


@pytest.mark.anyio
@pytest.mark.parametrize("lies", [{18}, {15, 18, 21, 30, 40}])
async def test_what_requests_learn_is_remembered(folder: Path, tmp_path: Path, lies: set[int]) -> None:
    """Keyframes that proved to be none are not taken for keyframes by the next video."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(repeated(clip_bytes(frames=FRAMES, gop=GOP, b_frames=0), 1, also_keyframes=lies))
    async with af.open_video(path, table_cache=folder) as video:
        assert painted_index((await video.frame(22)).image) == 22
        learnt = await video.frame_table()
    assert learnt.is_verified or learnt.false_keyframes == lies
    async with af.open_video(path, table_cache=folder) as video:
        table = await video.frame_table()
        assert (table.is_verified, table.false_keyframes) == (learnt.is_verified, learnt.false_keyframes)
        assert [index for index in (await video.indices(keyframes=True)).tolist() if index in lies] == []


@pytest.mark.anyio
async def test_what_requests_learn_changes_no_table_that_is_held(tmp_path: Path) -> None:
    """A false keyframe that a request finds is in the next table of the video, and in none from before."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(repeated(clip_bytes(frames=FRAMES, gop=GOP, b_frames=0), 1, also_keyframes={18}))
    async with af.open_video(path) as video:
        before = await video.frame_table()
    saved = before.to_bytes()
    async with af.open_video(path, frame_table=before) as video:
        assert await video.frame_table() is before
        assert [painted_index((await video.frame(index)).image) for index in (22, 18, 23)] == [22, 18, 23]
        after = await video.frame_table()
    assert (before.false_keyframes, before.is_keyframe.nonzero()[0].tolist()) == (
        frozenset(),
        [0, 12, 18, 24, 36],
    )
    assert before.to_bytes() == saved
    assert after.false_keyframes == {18}
    assert after.is_keyframe.nonzero()[0].tolist() == [0, 12, 24, 36]
    assert af.FrameTable.from_bytes(after.to_bytes()).false_keyframes == {18}


def test_the_least_recently_used_make_room(folder: Path, tmp_path: Path) -> None:
    """The bound holds after each save, what was loaded last stays, and so does the newest."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES))
    with af.sync.open_video(path) as video:
        table = video.frame_table()
    size = len(table.to_bytes())
    cache = TableCache(folder, max_bytes=3 * size)
    old = time.time() - 10_000
    for age, key in enumerate("abc"):
        cache.save(key, table)
        os.utime(next(folder.rglob(f"{key}.table")), (old + age, old + age))
    left_over = next(folder.rglob("a.table")).with_name(f".asyncframes-{'0' * 32}.table")
    left_over.touch()
    os.utime(left_over, (old, old))
    assert cache.load("a") is not None
    cache.save("d", table)
    assert [path.stem for path in entries(folder)] == ["a", "c", "d"]
    TableCache(folder, max_bytes=1).save("e", table)
    assert [path.stem for path in entries(folder)] == ["e"]
    assert cache.load("a") is None


@pytest.mark.anyio
async def test_a_table_of_the_callers_spares_the_scan(
    server: RunningServer, tmp_path: Path, long_mkv: bytes
) -> None:
    """A table that was saved and loaded serves for the same bytes."""
    server.serve("/long.mkv", long_mkv)
    async with af.open_video(server.url("/long.mkv")) as video:
        await asyncio.to_thread((await video.frame_table()).save, tmp_path / "long.table")
    table = await asyncio.to_thread(af.FrameTable.load, tmp_path / "long.table")
    assert len(table) == 8 * BUNNY_FRAMES
    async with af.open_video(server.url("/long.mkv"), frame_table=table) as video:
        assert (await video.frame(-1)).index == len(table) - 1
        assert await video.frame_table() is table
        assert video.bytes_read < 1024 * 1024


@pytest.mark.anyio
async def test_a_table_of_other_bytes_is_refused(server: RunningServer) -> None:
    """Another size or ETag is a changed source, another stream a wrong argument; no video is left open."""
    served = server.serve("/clip.mp4", clip_bytes(frames=FRAMES))
    url = server.url("/clip.mp4")
    async with af.open_video(url) as video:
        table = await video.frame_table()
    assert table.identity is not None
    other_stream = replace(table, identity=replace(table.identity, stream_index=3))
    with pytest.raises(ValueError, match="stream 3"):
        await af.open_video(url, frame_table=other_stream)
    served.etag = '"v2"'
    with pytest.raises(SourceChangedError, match="frame_table"):
        await af.open_video(url, frame_table=table)
    with pytest.raises(SourceChangedError, match="frame_table"):
        await af.open_video(clip_bytes(frames=20), frame_table=table)


@pytest.mark.anyio
@pytest.mark.parametrize("container", ["flv", "mpegts"])
async def test_a_container_without_an_index_is_not_read_up_to_the_frame(container: str) -> None:
    """With a table the decoder goes to the packet's byte, where a seek by time would read all before it."""
    data = repeated(
        clip_bytes(frames=FRAMES, width=640, height=360, b_frames=0, gop=GOP), 60, container=container
    )
    async with af.open_video(data) as video:
        table = await video.frame_table()
    source = FaultySource(MemorySource(data))
    async with af.open_video(source, frame_table=table) as video:
        await video.frame(0)
        source.reads.clear()
        assert painted_index((await video.frame(-5)).image) == FRAMES - 5
        assert sum(stop - start for start, stop in source.reads) < len(data) / 4
