"""Writers leave whole files, in order, in bounded memory, and say which frame failed."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

import asyncframes as af
from asyncframes._frames.frame import Frame
from asyncframes._runtime.temporaries import temporary_beside
from asyncframes._types import Image, ImageWriter, Overwrite
from asyncframes.abc import FrameWriter
from asyncframes.errors import FrameExistsError, FrameWriteError
from asyncframes.writers import DirectoryWriter, encode_png, write_frames
from tests.support.marks import examples, grid
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio

LONG = 30.0


def painted(index: int, *, height: int = 24, width: int = 32) -> Frame:
    """Make a frame of one colour that tells its index."""
    image = np.full((height, width, 3), index % 256, np.uint8)
    return Frame(index=index, image=image, pts=index * 512, time_base=Fraction(1, 12800))


def painted_index(path: str | Path) -> int:
    with PillowImage.open(path) as image:
        image.load()
        return int(np.asarray(image)[0, 0, 0])


async def clip(count: int, *, start: int = 0) -> AsyncIterator[Frame]:
    for index in range(start, start + count):
        await asyncio.sleep(0)
        yield painted(index)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def whole_files(directory: Path) -> list[Path]:
    """List the stored frames, each checked to decode and to show the index of its name."""
    stored = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
    assert [painted_index(path) for path in stored] == [int(path.stem[6:]) % 256 for path in stored]
    return stored


def put(path: str | Path, data: bytes) -> None:
    Path(path).write_bytes(data)


class RecordingWriter(FrameWriter):
    """Keeps what it is given for as long as `act` takes."""

    def __init__(self, act: Callable[[Frame], Awaitable[None]]) -> None:
        self.act = act
        self.in_flight: set[int] = set()
        self.most_in_flight = 0
        self.stored: list[int] = []
        self.cancelled: list[int] = []

    async def write(self, frame: Frame) -> str:
        self.in_flight.add(frame.index)
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        try:
            await self.act(frame)
        except asyncio.CancelledError:
            self.cancelled.append(frame.index)
            raise
        finally:
            self.in_flight.remove(frame.index)
        self.stored.append(frame.index)
        return f"place {frame.index}"


async def at_once(frame: Frame) -> None:
    await asyncio.sleep(0)


def failing_at(index: int, exc: Exception, *, others: float = 0.0) -> Callable[[Frame], Awaitable[None]]:
    async def act(frame: Frame) -> None:
        await asyncio.sleep(0 if frame.index == index else others)
        if frame.index == index:
            raise exc

    return act


async def test_frames_become_files_in_order(tmp_path: Path) -> None:
    """Law: one file a frame, under the default name, with absolute paths in frame order, and nothing else."""
    target = tmp_path / "made" / "with parents"
    paths = await write_frames(clip(12), DirectoryWriter(target))
    assert paths == [str(target / f"frame_{index:06d}.png") for index in range(12)]
    assert [painted_index(path) for path in paths] == list(range(12))
    assert names(target) == [Path(path).name for path in paths]


async def test_relative_directories_give_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: paths are absolute, and stay where they were meant when the working directory changes."""
    monkeypatch.chdir(tmp_path)
    writer = DirectoryWriter("out")
    monkeypatch.chdir("/")
    assert await writer.write(painted(3)) == str(tmp_path / "out" / "frame_000003.png")
    assert writer.path_for(3) == str(tmp_path / "out" / "frame_000003.png")


@pytest.mark.parametrize("ext", ["jpg", ".JPG", "webp", "npy", "bmp"])
async def test_the_extension_is_kept_as_it_was_written(tmp_path: Path, ext: str) -> None:
    """Law: the name ends with the extension as the caller wrote it, with one dot."""
    path = await DirectoryWriter(tmp_path, ext=ext).write(painted(7))
    assert Path(path).name == "frame_000007." + ext.removeprefix(".")


async def test_templates_may_use_all_fields(tmp_path: Path) -> None:
    """Law: index, ext, pts and seconds are at hand in the template."""
    writer = DirectoryWriter(tmp_path, template="{seconds:08.3f}_{pts}_{index}.{ext}", ext="bmp")
    assert await writer.write(painted(50)) == str(tmp_path / "0002.000_25600_50.bmp")
    with pytest.raises(ValueError, match="more than the frame's index"):
        writer.path_for(50)
    assert await writer.existing([50]) == set()


async def test_a_template_that_needs_pts_names_a_frame_without(tmp_path: Path) -> None:
    """Law: a frame without pts is not stored under a made-up one."""
    frame = Frame(index=4, image=painted(4).image, pts=None, time_base=Fraction(1, 25))
    with pytest.raises(FrameWriteError, match=r"frame 4 .* needs a pts") as caught:
        await DirectoryWriter(tmp_path, template="{index}_{pts}.{ext}").write(frame)
    assert caught.value.index == 4
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "template",
    [
        "frame.{ext}",
        "frame_{n}.{ext}",
        "frame_{}.{ext}",
        "frame_{0}.{ext}",
        "frame_{index",
        "frame_{index:zz}.{ext}",
        "frame_{index.real}.{ext}",
        "frame_{index.nothing}.{ext}",
        "frame_{index:.0e}.{ext}",
        "../frame_{index}.{ext}",
        "/root/frame_{index}.{ext}",
        "sub/frame_{index}.{ext}",
        "sub\\frame_{index}.{ext}",
        "{index:/>6d}.{ext}",
        "frame_{index}\0.{ext}",
        "",
    ],
)
async def test_unfit_templates_are_named_at_once(tmp_path: Path, template: str) -> None:
    """Law: a template that does not give each frame its own name in the directory is refused by its text."""
    with pytest.raises(ValueError) as caught:
        DirectoryWriter(tmp_path, template=template)
    assert repr(template) in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"ext": "xyz"},
        {"ext": "png", "quality": 90},
        {"ext": "../png", "image_writer": print},
        {"overwrite": "maybe"},
        {"quality": 90, "image_writer": print},
    ],
)
async def test_unfit_options_are_refused_at_once(tmp_path: Path, options: dict[str, Any]) -> None:
    """Law: wrong options fail when the writer is made, and make no directory."""
    with pytest.raises(ValueError):
        DirectoryWriter(tmp_path / "never", **options)
    assert not (tmp_path / "never").exists()


async def test_error_leaves_the_old_file(tmp_path: Path) -> None:
    """Law: overwrite="error" raises FrameExistsError with index and path; the old bytes stay."""
    (tmp_path / "frame_000002.png").write_bytes(b"old")
    with pytest.raises(FrameExistsError, match=r"frame 2: .*frame_000002\.png") as caught:
        await DirectoryWriter(tmp_path).write(painted(2))
    assert (caught.value.index, caught.value.path) == (2, str(tmp_path / "frame_000002.png"))
    assert pickle.loads(pickle.dumps(caught.value)).path == caught.value.path
    assert isinstance(caught.value, FileExistsError)
    assert names(tmp_path) == ["frame_000002.png"]
    assert (tmp_path / "frame_000002.png").read_bytes() == b"old"


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
async def test_a_file_that_appears_meanwhile_is_not_clobbered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: Overwrite, links: bool
) -> None:
    """Law: also a file that comes while the frame is being written is left, replaced or reported as asked."""
    if not links:
        monkeypatch.setattr(os, "link", refusing_link)

    async def late(path: str, image: Image) -> None:
        put(path, b"new")
        put(tmp_path / "frame_000000.png", b"old")

    writer = DirectoryWriter(tmp_path, overwrite=overwrite, image_writer=late)
    if overwrite == "error":
        with pytest.raises(FrameExistsError):
            await writer.write(painted(0))
    else:
        await writer.write(painted(0))
    expected = b"new" if overwrite == "replace" else b"old"
    assert (tmp_path / "frame_000000.png").read_bytes() == expected
    assert names(tmp_path) == ["frame_000000.png"]


def refusing_link(*args: object, **kwargs: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


async def test_file_systems_without_hard_links_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: where links are refused, frames are stored all the same and nothing else is left."""
    monkeypatch.setattr(os, "link", refusing_link)
    paths = await write_frames(clip(5), DirectoryWriter(tmp_path))
    assert [painted_index(path) for path in paths] == list(range(5))
    assert len(names(tmp_path)) == 5


async def test_two_writers_of_one_frame_have_one_winner(tmp_path: Path) -> None:
    """Law: of many writers that race for a name one stores it, the others are told so."""
    writers = [DirectoryWriter(tmp_path) for _ in range(8)]
    outcomes = await asyncio.gather(*(w.write(painted(0)) for w in writers), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, FrameExistsError) for outcome in outcomes) == 7
    assert names(tmp_path) == ["frame_000000.png"]


async def test_replace_puts_the_new_frame_in_place(tmp_path: Path) -> None:
    """Law: overwrite="replace" leaves the new frame."""
    (tmp_path / "frame_000002.png").write_bytes(b"old")
    path = await DirectoryWriter(tmp_path, overwrite="replace").write(painted(2))
    assert painted_index(path) == 2


async def test_skip_completes_a_killed_run(tmp_path: Path) -> None:
    """Law: overwrite="skip" leaves what is there, calls no writer for it, and adds what is missing."""
    await write_frames(clip(4), DirectoryWriter(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in whole_files(tmp_path)}
    called: list[int] = []

    def store(path: str, image: Image) -> None:
        called.append(int(image[0, 0, 0]))
        Path(path).write_bytes(encode_png(image))

    writer = DirectoryWriter(tmp_path, overwrite="skip", image_writer=store)
    assert await writer.existing(range(10)) == {0, 1, 2, 3}
    paths = await write_frames(clip(10), writer)
    assert [painted_index(path) for path in paths] == list(range(10))
    assert sorted(called) == [4, 5, 6, 7, 8, 9]
    assert {path: path.stat().st_mtime_ns for path in before} == before


async def test_skip_does_not_encode(tmp_path: Path) -> None:
    """Law: a frame that is there already is not encoded: even one that could not be gives its path."""
    (tmp_path / "frame_000001.jpg").write_bytes(b"old")
    transparent = Frame(index=1, image=np.zeros((4, 4, 4), np.uint8), pts=0, time_base=Fraction(1, 25))
    writer = DirectoryWriter(tmp_path, ext="jpg", overwrite="skip")
    assert await writer.write(transparent) == writer.path_for(1)
    assert (tmp_path / "frame_000001.jpg").read_bytes() == b"old"


async def test_existing_of_no_directory_is_empty(tmp_path: Path) -> None:
    """Law: a directory that is not there holds no frame, and asking does not make it."""
    assert await DirectoryWriter(tmp_path / "none").existing(range(5)) == set()
    assert not (tmp_path / "none").exists()


async def test_only_files_exist(tmp_path: Path) -> None:
    """Law: a directory with a frame's name is not that frame; skipping over it is an error."""
    (tmp_path / "frame_000001.png").mkdir()
    writer = DirectoryWriter(tmp_path, overwrite="skip")
    assert await writer.existing([1]) == set()
    with pytest.raises(FrameExistsError):
        await writer.write(painted(1))
    assert names(tmp_path) == ["frame_000001.png"]


def test_temporaries_of_ended_runs_alone_are_removed(tmp_path: Path) -> None:
    """Law: a temporary goes at once when its process has ended, else after an hour if it may have."""
    named = subprocess.run(
        [sys.executable, "-c", NAME_A_TEMPORARY], capture_output=True, text=True, check=True
    ).stdout
    dead = tmp_path / named
    alive = temporary_beside(tmp_path / "a.png")
    host, pid, start, last = alive.name.removeprefix(".asyncframes-").split("-")
    reused = tmp_path / f".asyncframes-{host}-{pid}-{int(start) + 1}-{last}"
    elsewhere = tmp_path / f".asyncframes-{'0' * 16}-{pid}-{start}-{last}"
    elsewhere_stale = tmp_path / f".asyncframes-{'1' * 16}-{pid}-{start}-{last}"
    stale = tmp_path / f".asyncframes-{'0' * 32}.png"
    fresh = tmp_path / f".asyncframes-{'1' * 32}.png"
    others = [
        tmp_path / name for name in (".asyncframes-notes.png", f"x.asyncframes-{'0' * 32}.png", ".hidden")
    ]
    kept = [alive, elsewhere, fresh, *others]
    for path in (dead, reused, elsewhere_stale, stale, *kept):
        path.write_bytes(b"")
    for path in (alive, elsewhere_stale, stale, *others):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    asyncio.run(DirectoryWriter(tmp_path).prepare())
    assert set(tmp_path.iterdir()) == set(kept)


NAME_A_TEMPORARY = """
from pathlib import Path
from asyncframes._runtime.temporaries import temporary_beside
print(temporary_beside(Path("a.png")).name, end="")
"""

KILLED = """
import asyncio, errno, os, signal, sys
from pathlib import Path
import numpy as np
from asyncframes import Frame
from asyncframes.writers import DirectoryWriter, NpyWriter, TarWriter
from asyncframes import ContactSheet
from asyncframes.cli import _outputs
from fractions import Fraction

def refuse(*args, **kwargs):
    raise OSError(errno.EPERM, "Operation not permitted")

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

os.link = refuse
for place in (os, Path):
    place.replace = place.rename = die
frame = Frame(index=0, image=np.zeros((16, 16, 3), np.uint8), pts=0, time_base=Fraction(1, 25))
out = Path(sys.argv[2])

async def write(writer):
    async with writer:
        await writer.write(frame)

match sys.argv[1]:
    case "directory":
        asyncio.run(write(DirectoryWriter(out, overwrite="skip")))
    case "npy":
        asyncio.run(write(NpyWriter(out / "a.npy")))
    case "tar":
        asyncio.run(write(TarWriter(out / "{shard}.tar")))
    case "sheet":
        _outputs.write(out / "a.png", ContactSheet(frame.image, (0,)).encode("png"), "error")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize(
    "writer", grid(["directory", "npy", "tar", "sheet"], fast=lambda writer: writer in {"directory", "tar"})
)
def test_a_kill_where_links_are_refused_leaves_no_empty_file(tmp_path: Path, writer: str) -> None:
    """Law: killed at any moment, a run leaves nothing under a final name that is not whole."""
    killed = subprocess.run([sys.executable, "-c", KILLED, writer, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = names(tmp_path)
    assert len(left) == 1
    assert left[0].startswith(".asyncframes-")
    asyncio.run(DirectoryWriter(tmp_path).prepare())
    assert names(tmp_path) == []


async def test_a_file_in_the_directorys_place_is_named(tmp_path: Path) -> None:
    """Law: a directory that cannot be made fails in `prepare`, `existing` and `write`, as FrameWriteError."""
    (tmp_path / "file").write_bytes(b"")
    writer = DirectoryWriter(tmp_path / "file")
    with pytest.raises(FrameWriteError, match="file is not usable: File exists"):
        await writer.prepare()
    with pytest.raises(FrameWriteError, match="not readable: Not a directory"):
        await writer.existing([0])
    with pytest.raises(FrameWriteError, match=r"frame 9 was not stored at .*: File exists") as caught:
        await writer.write(painted(9))
    assert not isinstance(caught.value, FrameExistsError)
    assert caught.value.index == 9


async def test_a_directory_removed_meanwhile_is_named(tmp_path: Path) -> None:
    """Law: a disk that fails is a FrameWriteError with index, path and what the system said."""
    writer = DirectoryWriter(tmp_path / "out")
    await writer.prepare()
    (tmp_path / "out").rmdir()
    with pytest.raises(FrameWriteError, match=r"frame 1 was not stored at .*: No such file") as caught:
        await writer.write(painted(1))
    assert (caught.value.index, caught.value.path) == (1, writer.path_for(1))
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Law: when the system refuses bytes in the middle of a file, it is removed and the cause told."""
    code = (
        "import asyncio, resource, sys\n"
        "import numpy as np\n"
        "from fractions import Fraction\n"
        "from asyncframes._frames.frame import Frame\n"
        "from asyncframes.writers import DirectoryWriter\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "image = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)\n"
        "frame = Frame(index=5, image=image, pts=0, time_base=Fraction(1, 25))\n"
        "try:\n"
        "    asyncio.run(DirectoryWriter(sys.argv[1]).write(frame))\n"
        "except Exception as exc:\n"
        "    print(type(exc).__name__, exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert (
        done.stdout
        == f"FrameWriteError frame 5 was not stored at {tmp_path}/frame_000005.png: File too large\n"
    )
    assert done.stderr == ""
    assert names(tmp_path) == []


async def test_an_image_that_does_not_encode_is_named(tmp_path: Path) -> None:
    """Law: what the encoder refuses is a FrameWriteError with its advice, and leaves nothing."""
    frame = Frame(index=6, image=np.zeros((4, 4, 4), np.uint8), pts=0, time_base=Fraction(1, 25))
    with pytest.raises(FrameWriteError, match=r"frame 6 .*no alpha") as caught:
        await DirectoryWriter(tmp_path, ext="jpg").write(frame)
    assert isinstance(caught.value.__cause__, ValueError)
    assert names(tmp_path) == []


def plain(path: str, image: Image) -> None:
    assert threading.current_thread() is not threading.main_thread()
    Path(path).write_bytes(encode_png(image))


async def coroutine(path: str, image: Image) -> None:
    assert threading.current_thread() is threading.main_thread()
    await asyncio.sleep(0)
    put(path, encode_png(image))


class WithAsyncCall:
    async def __call__(self, path: str, image: Image) -> None:
        await coroutine(path, image)


def returning_true(path: str, image: Image) -> Any:
    plain(path, image)
    return True


@pytest.mark.parametrize(
    "image_writer",
    [plain, coroutine, partial(coroutine), WithAsyncCall(), lambda p, i: coroutine(p, i), returning_true],
)
async def test_image_writers_may_be_plain_or_async(tmp_path: Path, image_writer: ImageWriter) -> None:
    """Law: any callable serves, on the loop if it is a coroutine function, else in a thread."""
    paths = await write_frames(clip(6), DirectoryWriter(tmp_path, image_writer=image_writer))
    assert [painted_index(path) for path in paths] == list(range(6))
    assert len(names(tmp_path)) == 6


async def test_image_writers_see_the_suffix_and_not_the_final_name(tmp_path: Path) -> None:
    """Law: the path they get has the right suffix and directory, and the frame appears whole."""
    seen: list[Path] = []

    def store(path: str, image: Image) -> None:
        seen.append(Path(path))
        PillowImage.fromarray(image).save(path)
        assert not (tmp_path / "frame_000000.gif").exists()

    await DirectoryWriter(tmp_path, ext="gif", image_writer=store).write(painted(0))
    assert seen[0].suffix == ".gif"
    assert seen[0].parent == tmp_path
    assert names(tmp_path) == ["frame_000000.gif"]


async def test_a_failing_image_writer_is_named_without_its_text(tmp_path: Path) -> None:
    """Law: its exception is the cause, half a file is removed, secrets are not repeated."""

    def store(path: str, image: Image) -> None:
        Path(path).write_bytes(b"half")
        raise ConnectionError("https://user:secret@host/")

    with pytest.raises(FrameWriteError, match=r"frame 3 .*image_writer raised ConnectionError") as caught:
        await DirectoryWriter(tmp_path, image_writer=store).write(painted(3))
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert names(tmp_path) == []


async def test_an_image_writer_that_leaves_no_file_is_named(tmp_path: Path) -> None:
    """Law: a frame counts as stored only if its file is there."""
    with pytest.raises(FrameWriteError, match="image_writer created no file"):
        await DirectoryWriter(tmp_path, image_writer=lambda path, image: None).write(painted(0))


async def test_cancelling_waits_for_a_thread_that_writes(tmp_path: Path) -> None:
    """Law: a cancelled write returns when its thread has ended, and removes what the thread made."""
    started, go_on = threading.Event(), threading.Event()

    def store(path: str, image: Image) -> None:
        started.set()
        go_on.wait(LONG)
        Path(path).write_bytes(b"late")

    task = asyncio.create_task(DirectoryWriter(tmp_path, image_writer=store).write(painted(0)))
    await asyncio.to_thread(started.wait, LONG)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == []


async def test_cancelling_reaches_an_async_image_writer(tmp_path: Path) -> None:
    """Law: an async image writer is cancelled itself, and its half a file removed."""
    waiting = asyncio.Event()

    async def store(path: str, image: Image) -> None:
        put(path, b"half")
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(DirectoryWriter(tmp_path, image_writer=store).write(painted(0)))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == []


def test_the_given_executor_does_all_blocking_work(tmp_path: Path) -> None:
    """Law: with an executor of the caller's, the event loop's own is not touched."""

    async def run(mine: ThreadPoolExecutor, shut: ThreadPoolExecutor) -> None:
        asyncio.get_running_loop().set_default_executor(shut)
        writer = DirectoryWriter(tmp_path, executor=mine)
        assert len(await write_frames(clip(5), writer)) == 5
        assert await writer.existing(range(9)) == set(range(5))

    with ThreadPoolExecutor(2) as mine, ThreadPoolExecutor(1) as shut:
        shut.shutdown()
        asyncio.run(run(mine, shut))


@pytest.mark.parametrize(
    "overwrite", grid(["error", "replace", "skip"], fast=lambda overwrite: overwrite == "replace")
)
async def test_cancelling_at_any_point_leaves_whole_files(tmp_path: Path, overwrite: Overwrite) -> None:
    """Law: wherever a run is cancelled, each file decodes, no temporary and no task is left."""
    choose = random.Random(0)
    stored = 0
    before = asyncio.all_tasks()
    began = time.monotonic()
    await write_frames(clip(5), DirectoryWriter(tmp_path / "measured", overwrite=overwrite))
    # Up to here about as many files are stored on a slow machine as on a fast one.
    latest = 3 * (time.monotonic() - began)
    for attempt in range(examples(40)):
        target = tmp_path / str(attempt)
        run = asyncio.create_task(write_frames(clip(200), DirectoryWriter(target, overwrite=overwrite)))
        await asyncio.sleep(choose.uniform(0, latest))
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        if target.exists():
            stored += len(whole_files(target))
            assert len(whole_files(target)) == len(names(target))
        assert asyncio.all_tasks() == before
    assert stored


def test_a_killed_process_leaves_whole_files(tmp_path: Path) -> None:
    """Law: after SIGKILL every file with a frame's name is whole, and a second run completes the rest."""
    code = (
        "import asyncio, sys\n"
        "from tests.pipeline.test_writers import clip\n"
        "from asyncframes.writers import DirectoryWriter, write_frames\n"
        "asyncio.run(write_frames(clip(10**6), DirectoryWriter(sys.argv[1])))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as process:
        while len(names(tmp_path)) < 20:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    count = len(whole_files(tmp_path))
    writer = DirectoryWriter(tmp_path, overwrite="skip")
    paths = asyncio.run(write_frames(clip(count + 5), writer))
    assert [painted_index(path) for path in paths] == [index % 256 for index in range(count + 5)]


async def test_paths_are_in_the_order_of_the_frames() -> None:
    """Law: the list follows the frames, not the order in which the writes end."""

    async def act(frame: Frame) -> None:
        await asyncio.sleep(0.02 if frame.index % 3 == 0 else 0)

    writer = RecordingWriter(act)
    assert await write_frames(clip(9), writer) == [f"place {index}" for index in range(9)]
    assert writer.stored != sorted(writer.stored)


@pytest.mark.parametrize("workers", [1, 2, 5])
async def test_no_frame_is_pulled_before_a_worker_is_free(workers: int) -> None:
    """Law: at most max_write_workers frames are held, and that many writes are in flight."""
    alive: set[int] = set()
    most_alive = 0

    async def counted() -> AsyncIterator[Frame]:
        nonlocal most_alive
        for index in range(20):
            frame = painted(index)
            alive.add(index)
            weakref.finalize(frame.image, alive.discard, index)
            most_alive = max(most_alive, len(alive))
            yield frame
            del frame

    async def act(frame: Frame) -> None:
        await asyncio.sleep(0.001 * (frame.index % 3))

    writer = RecordingWriter(act)
    await write_frames(counted(), writer, max_write_workers=workers)
    assert writer.most_in_flight == workers
    assert most_alive == workers
    assert alive == set()


async def test_frames_are_not_held_for_the_callback() -> None:
    """Law: while progress_cb waits, the stored frame's memory is free already."""
    stored = painted(0)
    gone = weakref.ref(stored.image)

    async def one(frames: list[Frame]) -> AsyncIterator[Frame]:
        while frames:
            yield frames.pop()

    async def progress(count: int) -> None:
        await asyncio.sleep(0)
        assert gone() is None

    frames = [stored]
    del stored
    await write_frames(one(frames), RecordingWriter(at_once), progress_cb=progress)
    assert gone() is None


@pytest.mark.parametrize("image_writer", [None, lambda path, image: put(path, encode_png(image))])
async def test_a_stored_frame_is_let_go(tmp_path: Path, image_writer: ImageWriter | None) -> None:
    """Law: once `write` has returned, neither the writer nor its threads hold the frame."""
    writer = DirectoryWriter(tmp_path, image_writer=image_writer)
    frame = painted(0)
    gone = weakref.ref(frame.image)
    await writer.write(frame)
    del frame
    assert gone() is None


async def test_no_frames_are_no_paths(tmp_path: Path) -> None:
    """Law: nothing in, nothing out."""
    assert await write_frames(clip(0), DirectoryWriter(tmp_path)) == []


async def test_a_path_is_no_writer(tmp_path: Path) -> None:
    """What is passed in place of a writer is named, before a source is opened or a frame asked for."""
    refused = "writer is a str: expected a FrameWriter"
    target: Any = "frames.npy"
    with pytest.raises(TypeError, match=refused):
        await af.stream_frames_to_writer(tmp_path / "missing.mp4", target)
    with pytest.raises(TypeError, match=refused):
        await write_frames(clip(1), target)
    async with af.open_video(clip_bytes(frames=2)) as video:
        with pytest.raises(TypeError, match=refused):
            await video.write(target)


async def test_fewer_than_one_worker_is_refused() -> None:
    """Law: max_write_workers below 1 is a ValueError."""
    with pytest.raises(ValueError, match="max_write_workers"):
        await write_frames(clip(1), RecordingWriter(at_once), max_write_workers=0)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_progress_comes_after_the_file(tmp_path: Path, is_async: bool) -> None:
    """Law: each call means one more file in place, on the loop's thread, never two calls at once."""
    calls = 0
    inside = False

    def plain_progress(count: int) -> None:
        nonlocal calls
        assert threading.current_thread() is threading.main_thread()
        calls += count
        assert len(whole_files(tmp_path)) >= calls

    async def async_progress(count: int) -> None:
        nonlocal inside
        assert not inside
        inside = True
        await asyncio.sleep(0.001)
        inside = False
        plain_progress(count)

    progress = async_progress if is_async else plain_progress
    await write_frames(clip(15), DirectoryWriter(tmp_path), progress_cb=progress)
    assert calls == 15


class Closing(AsyncIterator[Frame]):
    """Frames that tell whether they were closed, and that may stall or fail."""

    def __init__(self, count: int, *, then: Exception | None = None, stalls: bool = False) -> None:
        self.frames = iter(range(count))
        self.then = then
        self.stalls = stalls
        self.pulled = 0
        self.closed = 0

    async def __anext__(self) -> Frame:
        await asyncio.sleep(0)
        if (index := next(self.frames, None)) is not None:
            self.pulled += 1
            return painted(index)
        if self.stalls:
            await asyncio.Event().wait()
        raise self.then or StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


async def test_frames_are_closed_in_the_end() -> None:
    """Law: an iterator that can be closed is, also when all went well."""
    frames = Closing(5)
    await write_frames(frames, RecordingWriter(at_once))
    assert frames.closed == 1


@pytest.mark.parametrize("stalls", [False, True], ids=["frames flow", "frames stall"])
async def test_the_first_failure_ends_the_run(stalls: bool) -> None:
    """Law: the writer's own error is raised alone; pulling stops, other writes end, all is closed."""
    before = asyncio.all_tasks()
    failure = FrameWriteError("no", index=2)
    writer = RecordingWriter(failing_at(2, failure, others=LONG))
    frames = Closing(3 if stalls else 1000, stalls=stalls)
    with pytest.raises(FrameWriteError) as caught:
        await write_frames(frames, writer)
    assert caught.value is failure
    assert sorted(writer.cancelled) == ([0, 1] if stalls else sorted(set(range(frames.pulled)) - {2}))
    assert frames.pulled <= 4
    assert frames.closed == 1
    assert asyncio.all_tasks() == before


async def test_a_failed_run_leaves_whole_files(tmp_path: Path) -> None:
    """Law: after a failure in the middle, what is in the directory decodes, and the error tells the frame."""
    in_the_way = tmp_path / "frame_000010.png"
    in_the_way.write_bytes(b"")
    with pytest.raises(FrameExistsError) as caught:
        await write_frames(clip(50), DirectoryWriter(tmp_path))
    assert caught.value.index == 10
    in_the_way.unlink()
    assert len(whole_files(tmp_path)) == len(names(tmp_path))


async def test_a_failing_source_is_raised_after_its_frames_are_stored() -> None:
    """Law: frames pulled before the source failed are stored and reported, then its error is raised."""
    failure = RuntimeError("source")
    reported: list[int] = []

    async def act(frame: Frame) -> None:
        await asyncio.sleep(0.01)

    writer = RecordingWriter(act)
    frames = Closing(3, then=failure)
    with pytest.raises(RuntimeError) as caught:
        await write_frames(frames, writer, progress_cb=reported.append)
    assert caught.value is failure
    assert sorted(writer.stored) == [0, 1, 2]
    assert reported == [1, 1, 1]
    assert frames.closed == 1


@pytest.mark.parametrize("stalls", [False, True], ids=["frames flow", "frames stall"])
async def test_a_failing_callback_lets_the_writes_finish(stalls: bool) -> None:
    """Law: its error is raised as it is, once what was in flight is stored; it is not called again."""
    failure = RuntimeError("callback")
    calls: list[int] = []

    def progress(count: int) -> None:
        calls.append(count)
        raise failure

    async def act(frame: Frame) -> None:
        await asyncio.sleep(0 if frame.index == 0 else 0.02)

    writer = RecordingWriter(act)
    frames = Closing(4 if stalls else 1000, stalls=stalls)
    with pytest.raises(RuntimeError) as caught:
        await write_frames(frames, writer, progress_cb=progress)
    assert caught.value is failure
    assert calls == [1]
    assert sorted(writer.stored) == list(range(frames.pulled))
    assert writer.cancelled == []
    assert frames.closed == 1


async def test_cancelling_cancels_the_writes_and_closes_the_frames() -> None:
    """Law: a cancelled run leaves no task and no open iterator, also when the frames stall."""

    async def act(frame: Frame) -> None:
        if frame.index == 1:
            both_in_flight.set()
        await asyncio.sleep(LONG)

    before = asyncio.all_tasks()
    both_in_flight = asyncio.Event()
    writer = RecordingWriter(act)
    frames = Closing(2, stalls=True)
    run = asyncio.create_task(write_frames(frames, writer))
    await both_in_flight.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sorted(writer.cancelled) == [0, 1]
    assert frames.closed == 1
    assert asyncio.all_tasks() == before


async def test_cancelling_before_the_first_step_closes_the_frames() -> None:
    """Law: a run that is cancelled at once has still closed its frames."""
    frames = Closing(2)
    run = asyncio.create_task(write_frames(frames, RecordingWriter(at_once)))
    await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert frames.closed == 1


async def test_a_generator_sees_its_end(tmp_path: Path) -> None:
    """Law: a generator that waits when a write fails runs its cleanup before the error comes."""
    cleaned = False

    async def stalling() -> AsyncIterator[Frame]:
        nonlocal cleaned
        try:
            yield painted(0)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned = True

    with pytest.raises(FrameWriteError):
        await write_frames(stalling(), RecordingWriter(failing_at(0, FrameWriteError("no"))))
    assert cleaned


@pytest.mark.parametrize("by", ["writer", "frames"])
async def test_a_cancellation_from_within_is_not_success(by: str) -> None:
    """Law: a writer or a source whose own task was cancelled does not make a shorter list of paths."""

    async def act(frame: Frame) -> None:
        if by == "writer" and frame.index == 3:
            raise asyncio.CancelledError

    async def frames() -> AsyncIterator[Frame]:
        async for frame in clip(6):
            yield frame
        if by == "frames":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await write_frames(frames(), RecordingWriter(act), max_write_workers=1)


async def test_an_iterable_that_is_no_iterator_serves() -> None:
    """Law: any async iterable of frames will do."""

    class Reel:
        def __aiter__(self) -> AsyncIterator[Frame]:
            return clip(3)

    assert len(await write_frames(Reel(), RecordingWriter(at_once))) == 3
