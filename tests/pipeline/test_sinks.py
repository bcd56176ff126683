"""Many frames in one file: in order, whole under its name or not there, and read back by others' readers."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._frames.frame import Frame
from asyncframes._types import Image
from asyncframes.abc import FrameWriter
from asyncframes.errors import ClosedError, FrameExistsError, FrameWriteError
from asyncframes.writers import DirectoryWriter, NpyWriter, TarWriter, encode_i420, encoder_for
from asyncframes.writers._ordered import OrderedWriter
from tests.support.marks import examples
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.anyio

Make = Callable[[Path], FrameWriter]
SINKS = [
    pytest.param(lambda folder: NpyWriter(folder / "frames.npy"), id="npy"),
    pytest.param(lambda folder: TarWriter(folder / "{shard}.tar", ext="npy"), id="tar"),
]


def frame(index: int, *shape: int, dtype: Any = np.uint8) -> Frame:
    """Make a frame of noise that is its own."""
    image = np.random.default_rng(index).integers(0, 255, shape or (6, 8, 3), dtype)
    return Frame(index=index, image=image, pts=index, time_base=Fraction(1, 25))


async def coming(frames: Iterable[Frame]) -> AsyncIterator[Frame]:
    for one in frames:
        await asyncio.sleep(0)
        yield one


async def endless(*, fail_at: int | None = None) -> AsyncIterator[Frame]:
    index = 0
    while index != fail_at:
        await asyncio.sleep(0.001)
        yield frame(index)
        index += 1
    raise OSError("the frames broke off")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def members(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]  # files


async def test_raw_files_are_the_arrays_bytes(tmp_path: Path) -> None:
    """A raw file holds the array in C order and nothing else, of any layout and depth."""
    for image_format in ("rgb24", "gray", "rgb48"):
        out = tmp_path / image_format
        async with af.open_video(clip_bytes(frames=12)) as video:
            images = [one.image async for one in video.frames(image_format=image_format)]
            paths = await video.save(out, ext="raw", image_format=image_format)
        for path, image in zip(paths, images, strict=True):
            assert np.array_equal(np.fromfile(path, image.dtype).reshape(image.shape), image)
    turned = frame(0, 6, 8, 3).image.swapaxes(0, 1)
    assert encoder_for("raw")(turned) == np.ascontiguousarray(turned).tobytes()


@pytest.mark.parametrize("image_format", ["rgb24", "gray", "gray16"])
async def test_an_array_holds_the_frames(tmp_path: Path, image_format: Any) -> None:
    """Row i of the array is the i-th frame that was asked for, and the file can be mapped."""
    path, asked = tmp_path / "made" / "frames.npy", [30, 4, 4, 47]
    async with af.open_video(clip_bytes(frames=48)) as video:
        images = [one.image async for one in video.frames(indices=asked, image_format=image_format)]
        places = await video.write(NpyWriter(path), indices=asked, image_format=image_format)
    array = np.load(path, mmap_mode="r")
    assert np.array_equal(array, np.stack(images))
    assert array.dtype == images[0].dtype
    assert places == [f"{path}[{row}]" for row in range(4)]
    assert files(tmp_path) == ["frames.npy"]


@pytest.mark.parametrize("count", [1, 9, 10, 1000])
async def test_the_header_of_an_array_is_numpys_own(tmp_path: Path, count: int) -> None:
    """The number of frames is put in afterwards, and the file is as `numpy.save` writes it."""
    path, saved = tmp_path / "frames.npy", io.BytesIO()
    one = frame(0, 1, 2)
    async with NpyWriter(path) as writer:
        for _ in range(count):
            await writer.write(one)
    np.save(saved, np.stack([one.image] * count))
    assert path.read_bytes() == saved.getvalue()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((6, 9, 3), np.uint8), ((6, 8), np.uint8), ((6, 8, 3), np.uint16)],
    ids=["size", "gray", "16 bits"],
)
async def test_an_array_has_frames_of_one_kind(tmp_path: Path, shape: tuple[int, ...], dtype: Any) -> None:
    """A frame of another shape or depth is a named error, and leaves no array."""
    frames = [frame(0), frame(1), frame(2, *shape, dtype=dtype), frame(3)]
    with pytest.raises(
        FrameWriteError, match=r"frame 2 was not stored at .*: its shape is .*: expected 6x8x3 uint8"
    ):
        async with NpyWriter(tmp_path / "frames.npy") as writer:
            await af.write_frames(coming(frames), writer)
    assert files(tmp_path) == []


async def test_shards_hold_encoded_frames(tmp_path: Path) -> None:
    """Members are image files named by frame index, as many in a shard as asked."""
    writer = TarWriter(tmp_path / "shard-{shard:04d}.tar", max_frames_per_shard=5)
    places = await af.stream_frames_to_writer(clip_bytes(frames=12), writer)
    assert files(tmp_path) == ["shard-0000.tar", "shard-0001.tar", "shard-0002.tar"]
    found = [member for name in files(tmp_path) for member in members(tmp_path / name)]
    assert [name for name, _ in found] == [f"{index:06d}.png" for index in range(12)]
    assert [painted_index(iio.imread(data)) for _, data in found] == list(range(12))
    assert places[7] == str(tmp_path / "shard-0001.tar" / "000007.png")


async def test_shards_hold_planes_as_jpeg(tmp_path: Path) -> None:
    """Told what the frames are, the writer stores them as the encoder of planes does."""
    writer = TarWriter(tmp_path / "{shard}.tar", ext="jpg", image_format="i420")
    await af.stream_frames_to_writer(clip_bytes(frames=3), writer, image_format="i420")
    async with af.open_video(clip_bytes(frames=3)) as video:
        expected = [encode_i420(one.image) async for one in video.frames(image_format="i420")]
    assert [data for _, data in members(tmp_path / "0.tar")] == expected


@settings(max_examples=examples(40))
@given(
    sizes=st.lists(st.integers(1, 30_000), max_size=12),
    max_frames=st.none() | st.integers(1, 5),
    max_bytes=st.none() | st.integers(1, 60_000),
)
def test_frames_are_split_into_shards(
    sizes: Sequence[int], max_frames: int | None, max_bytes: int | None
) -> None:
    """No frame is lost or moved, every shard is within its bounds, and the next frame would not have fitted.

    A frame that is too long by itself has a shard of its own.
    """
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        frames = [frame(index, 1, size) for index, size in enumerate(sizes)]

        async def write() -> None:
            template = folder / "{shard:03d}.tar"
            async with TarWriter(
                template, ext="raw", max_frames_per_shard=max_frames, max_shard_bytes=max_bytes
            ) as writer:
                await af.write_frames(coming(frames), writer)

        asyncio.run(write())
        shards = [members(folder / name) for name in files(folder)]
        assert [member for shard in shards for member in shard] == [
            (f"{one.index:06d}.raw", one.image.tobytes()) for one in frames
        ]
        for number, shard in enumerate(shards):
            alone = len(shard) == 1
            assert max_frames is None or len(shard) <= max_frames
            size = (folder / files(folder)[number]).stat().st_size
            assert max_bytes is None or size <= max_bytes or alone
            if number + 1 < len(shards):
                grown = tar_bytes([*shard, shards[number + 1][0]])
                assert len(shard) == max_frames or (max_bytes is not None and grown > max_bytes)


def tar_bytes(content: Iterable[tuple[str, bytes]]) -> int:
    """Length of a tar file as the standard library writes it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in content:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return len(file.getvalue())


async def test_the_same_frames_make_the_same_shard(tmp_path: Path) -> None:
    """A shard depends on its frames alone: neither on when nor by whom it is written."""
    for name in ("a", "b"):
        async with TarWriter(tmp_path / (name + "{shard}.tar")) as writer:
            await af.write_frames(coming(map(frame, range(5))), writer)
    assert (tmp_path / "a0.tar").read_bytes() == (tmp_path / "b0.tar").read_bytes()


async def test_order_is_kept_where_encoding_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are encoded side by side, and stored in the order in which they came."""
    at_work: list[int] = []
    most = 0

    def slowly(image: Image) -> bytes:
        nonlocal most
        at_work.append(0)
        most = max(most, len(at_work))
        time.sleep(0.02 if image[0, 0, 0] % 2 else 0.001)
        at_work.pop()
        return image.tobytes()

    writer = TarWriter(tmp_path / "{shard}.tar", max_frames_per_shard=7)
    monkeypatch.setattr(writer, "_encode", slowly)
    async with writer:
        await af.write_frames(coming(map(frame, range(20))), writer, max_write_workers=6)
    found = [name for shard in files(tmp_path) for name, _ in members(tmp_path / shard)]
    assert found == [f"{index:06d}.png" for index in range(20)]
    assert most > 1


@pytest.mark.parametrize("make", SINKS)
async def test_nothing_is_there_before_it_is_whole(tmp_path: Path, make: Make) -> None:
    """The name is free until the writer is closed; again does nothing, and writing is refused then."""
    writer = make(tmp_path)
    await writer.write(frame(0))
    assert all(name.startswith(".asyncframes-") for name in files(tmp_path))
    await writer.aclose()
    await writer.aclose()
    await writer.abort()
    assert len(files(tmp_path)) == 1
    with pytest.raises(ClosedError, match=r"frame 1 was not stored: .* is closed"):
        await writer.write(frame(1))


@pytest.mark.parametrize("make", SINKS)
async def test_no_frame_makes_no_file(tmp_path: Path, make: Make) -> None:
    """Where no frame came there is nothing, not even an empty file."""
    async with make(tmp_path) as writer:
        assert await af.write_frames(coming([]), writer) == []
    assert files(tmp_path) == []


@pytest.mark.parametrize("make", SINKS)
async def test_frames_that_break_off_leave_nothing(tmp_path: Path, make: Make) -> None:
    """What ends the frames comes out as it is, and the unfinished file goes."""
    with pytest.raises(OSError, match="the frames broke off"):
        async with make(tmp_path) as writer:
            await af.write_frames(endless(fail_at=9), writer)
    assert files(tmp_path) == []


@pytest.mark.parametrize("make", SINKS)
async def test_cancelling_leaves_nothing(tmp_path: Path, make: Make) -> None:
    """A cancelled run leaves no file under the final name nor any other, whenever it is cancelled."""

    async def run(folder: Path) -> None:
        async with make(folder) as writer:
            await af.write_frames(endless(), writer)

    for milliseconds in range(0, 40, 4):
        folder = tmp_path / str(milliseconds)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(milliseconds / 1000):
                await run(folder)
    assert files(tmp_path) == []


async def test_shards_that_were_whole_stay(tmp_path: Path) -> None:
    """A run that fails leaves the shards that were finished, each whole, and no other."""
    with pytest.raises(OSError, match="broke off"):
        async with TarWriter(tmp_path / "{shard}.tar", ext="raw", max_frames_per_shard=4) as writer:
            await af.write_frames(endless(fail_at=11), writer)
    assert files(tmp_path) == ["0.tar", "1.tar"]
    assert [len(members(tmp_path / name)) for name in files(tmp_path)] == [4, 4]


KILLED = """
import asyncio, os, signal, sys
import asyncframes as af
from asyncframes.writers import NpyWriter, TarWriter

async def frames(video):
    async for frame in video.frames():
        if frame.index == 30:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0.002)
        yield frame

async def main():
    path, folder, kind = sys.argv[1:]
    array = NpyWriter(f"{folder}/frames.npy")
    shards = TarWriter(folder + "/{shard}.tar", max_frames_per_shard=8)
    async with af.open_video(path) as video, array if kind == "npy" else shards as writer:
        await af.write_frames(frames(video), writer)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["npy", "tar"])
def test_a_killed_process_leaves_whole_files(tmp_path: Path, kind: str) -> None:
    """After SIGKILL there are shards that are whole, and of the unfinished file a hidden temporary."""
    clip, out = tmp_path / "clip.mp4", tmp_path / "out"
    clip.write_bytes(clip_bytes(frames=48))
    done = subprocess.run([sys.executable, "-c", KILLED, str(clip), str(out), kind], timeout=50)
    assert done.returncode == -9
    final = [name for name in files(out) if not name.startswith(".asyncframes-")]
    assert all(len(members(out / name)) == 8 for name in final)
    assert (len(final) >= 1) == (kind == "tar")
    assert len(files(out)) <= len(final) + 1


FULL = """
import asyncio, resource, sys
import numpy as np
from fractions import Fraction
from asyncframes import Frame
from asyncframes.errors import FrameWriteError
from asyncframes.writers import NpyWriter, TarWriter

async def main(folder, kind):
    image = np.zeros((100, 100, 3), np.uint8)
    array, shards = NpyWriter(f"{folder}/a.npy"), TarWriter(folder + "/{shard}.tar", ext="raw")
    writer = array if kind == "npy" else shards
    try:
        async with writer:
            for index in range(9):
                await writer.write(Frame(index=index, image=image, pts=0, time_base=Fraction(1, 25)))
    except FrameWriteError as exc:
        print(type(exc).__name__, exc)

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", ["npy", "tar"])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    """When the system takes no more bytes, that is a FrameWriteError with its reason, and the file goes."""
    command = [sys.executable, "-c", FULL, str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.stdout.startswith("FrameWriteError "), done.stderr
    assert "File too large" in done.stdout
    assert done.stderr == ""
    assert files(tmp_path) == []


@pytest.mark.parametrize("make", [NpyWriter, TarWriter])
@pytest.mark.parametrize("overwrite", ["error", "replace"])
async def test_what_is_there_stays_or_is_replaced(
    tmp_path: Path, make: Callable[..., OrderedWriter[Any]], overwrite: Literal["error", "replace"]
) -> None:
    """By default a file that is there is an error at the first frame, also one that came meanwhile."""
    path = tmp_path / "0.file"
    path.write_bytes(b"old")
    template = tmp_path / ("{shard}.file" if make is TarWriter else "0.file")
    writer = make(template, overwrite=overwrite)
    if overwrite == "replace":
        async with writer:
            await writer.write(frame(0))
            assert path.read_bytes() == b"old"
        assert len(path.read_bytes()) > 100
    else:
        with pytest.raises(FrameExistsError, match=r"frame 0: .*0\.file already exists"):
            async with writer:
                await writer.write(frame(0))
        path.unlink()
        writer = make(template)
        await writer.write(frame(0))
        path.write_bytes(b"old")
        with pytest.raises(FrameExistsError):
            await writer.aclose()
        assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["0.file"]


async def test_a_frame_that_cannot_be_stored_ends_the_file(tmp_path: Path) -> None:
    """There is no going on after a hole: what comes later is refused, and closing drops the file."""
    writer = TarWriter(tmp_path / "{shard}.tar", ext="jpg")
    await writer.write(frame(0))
    with pytest.raises(FrameWriteError, match=r"frame 1 was not stored at .*0\.tar: JPEG has no alpha"):
        await writer.write(frame(1, 6, 8, 4))
    with pytest.raises(FrameWriteError, match=r"frame 2 .*: an earlier frame was not stored"):
        await writer.write(frame(2))
    await writer.aclose()
    assert files(tmp_path) == []


async def test_a_shard_takes_each_name_once(tmp_path: Path) -> None:
    """Readers take members of one name for one sample, so a frame that comes again is an error."""
    with pytest.raises(FrameWriteError, match=r"frame 3 .*: the shard already has a member 000003\.raw"):
        async with TarWriter(tmp_path / "{shard}.tar", ext="raw") as writer:
            await af.write_frames(coming([frame(3), frame(4), frame(3)]), writer)
    assert files(tmp_path) == []


async def test_unfit_options_are_refused_at_once(tmp_path: Path) -> None:
    """Wrong options fail when the writer is made."""
    for template in ("a.tar", "{shard}/a.tar", "{index}.tar", "{shard", "{}.tar", "{shard:.0e}.tar"):
        with pytest.raises(ValueError, match="path_template"):
            TarWriter(tmp_path / template)
    for options in (
        {"max_frames_per_shard": 0},
        {"max_shard_bytes": 0},
        {"ext": "xyz"},
        {"overwrite": "skip"},
    ):
        with pytest.raises(ValueError):
            TarWriter(tmp_path / "{shard}.tar", **options)
    with pytest.raises(ValueError, match="overwrite"):
        NpyWriter(tmp_path / "a.npy", overwrite="skip")  # type: ignore[arg-type]  # that is the point


async def test_several_videos_go_into_one_writer(tmp_path: Path) -> None:
    """`write_frames` leaves the writer open, so that the next frames come behind."""
    async with NpyWriter(tmp_path / "frames.npy") as writer:
        for indices in ([5, 6], [1]):
            async with af.open_video(clip_bytes(frames=12)) as video:
                await af.write_frames(video.frames(indices=indices), writer)
    assert [painted_index(image) for image in np.load(tmp_path / "frames.npy")] == [5, 6, 1]


async def test_a_directory_is_a_writer_too(tmp_path: Path) -> None:
    """What was written one by one stays, whatever comes after."""
    with pytest.raises(OSError, match="broke off"):
        async with DirectoryWriter(tmp_path) as writer:
            await af.write_frames(endless(fail_at=3), writer)
    assert len(files(tmp_path)) == 3


def test_without_asyncio(tmp_path: Path) -> None:
    """The blocking twin writes the same file, and a failure leaves none."""
    clip, path = clip_bytes(frames=12), tmp_path / "frames.npy"
    assert len(af.sync.stream_frames_to_writer(clip, NpyWriter(path), step=5)) == 3
    assert [painted_index(image) for image in np.load(path)] == [0, 5, 10]
    with pytest.raises(IndexError):
        af.sync.stream_frames_to_writer(clip, NpyWriter(tmp_path / "b.npy"), indices=[2, 99])
    with pytest.raises(af.errors.MediaError):
        af.sync.stream_frames_to_writer(b"no video", NpyWriter(tmp_path / "c.npy"))
    assert files(tmp_path) == ["frames.npy"]
