"""The blocking twin: same names and signatures, from scripts, threads and running loops."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes.errors import ClosedError, FrameIndexError
from tests.support.streams.clips import clip_bytes, painted_index

FRAMES = 48


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES))
    return path


def portal_threads() -> set[str]:
    """Threads that run an event loop for the blocking API."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name == "asyncframes loop"}


def portal_threads_end() -> bool:
    """Whether they end soon: what is dropped is closed by a thread that lives, and not at once."""
    for _ in range(500):
        if not portal_threads():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("name", af.sync.__all__)
def test_names_and_documentation_are_the_same(name: str) -> None:
    """Each name of `asyncframes.sync` has its namesake in `asyncframes`."""
    twin, original = getattr(af.sync, name), getattr(af, name)
    if inspect.isclass(original):
        methods = {"aclose": "close"}
        for member in vars(original):
            if not member.startswith("_"):
                assert hasattr(twin, methods.get(member, member))
    else:
        assert inspect.signature(twin).parameters == inspect.signature(original).parameters
        assert twin.__doc__ == original.__doc__


@pytest.mark.parametrize("name", ["frames", "frame", "frame_at", "indices", "count"])
def test_methods_have_the_same_signatures(name: str) -> None:
    """So do the methods of `Video`."""
    twin, original = getattr(af.sync.Video, name), getattr(af.Video, name)
    assert inspect.signature(twin).parameters == inspect.signature(original).parameters


def test_a_plain_script(path: Path) -> None:
    """Everything works without a loop in sight, and the thread ends with the last user."""
    with af.sync.open_video(path) as video:
        assert video.count() == FRAMES
        assert video.info.width == 96
        assert [frame.index for frame in video.frames(3, 5)] == [3, 4, 5]
        assert painted_index(video.frame(-1).image) == FRAMES - 1
        assert video.frame_at(0.4).index == 10
        with pytest.raises(FrameIndexError):
            video.frame(FRAMES)
    assert [index for index, _ in af.sync.stream_frames(path, 40)] == list(range(40, FRAMES))
    assert not portal_threads()


def test_to_dir(path: Path, tmp_path: Path) -> None:
    """Paths come back absolute and in frame order; callbacks may be plain or async."""
    steps: list[int] = []

    async def async_callback(step: int) -> None:
        steps.append(step)

    for callback in (steps.append, async_callback):
        paths = af.sync.stream_frames_to_dir(
            path, tmp_path / "out", 0, 3, progress_cb=callback, overwrite="replace"
        )
    assert paths == [str(tmp_path / "out" / f"frame_{index:06d}.png") for index in range(4)]
    assert steps == [1] * 8


def test_inside_a_running_loop(path: Path) -> None:
    """As in a notebook: a coroutine calls the blocking API, and it does not deadlock."""

    async def cell() -> list[int]:
        return [index for index, _ in af.sync.stream_frames(path, 0, 4)]

    assert asyncio.run(cell()) == [0, 1, 2, 3, 4]


def test_from_many_threads(path: Path) -> None:
    """Threads share one loop and do not mix their frames."""

    def read(start: int) -> list[int]:
        return [painted_index(image) for _, image in af.sync.stream_frames(path, start, start + 5)]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(read, range(12))) == [list(range(start, start + 6)) for start in range(12)]
    assert not portal_threads()


@pytest.mark.parametrize("ending", ["close", "abandon"])
def test_an_iterator_that_is_left_stops_decoding(path: Path, ending: str) -> None:
    """Closing or dropping the iterator in the middle ends the decode and the thread."""
    frames = af.sync.stream_frames(path, queue_maxsize=1)
    assert next(frames)[0] == 0
    if ending == "close":
        frames.close()
        assert not portal_threads()
    else:
        del frames
        gc.collect()
        assert portal_threads_end()


def test_use_after_close(path: Path) -> None:
    """A closed video says so, and closing twice is harmless."""
    video = af.sync.open_video(path)
    frames = video.frames()
    next(frames)
    video.close()
    video.close()
    with pytest.raises(ClosedError):
        video.frame(0)
    del frames
    assert portal_threads_end()


@pytest.mark.parametrize(
    "use",
    [
        lambda video: video.frame(0),
        lambda video: len(video),
        lambda video: video[:2],
        lambda video: next(video.frames()),
        lambda video: next(video.latest()),
    ],
)
def test_use_after_the_last_close(path: Path, use: Callable[[af.sync.Video], object]) -> None:
    """The same when closing has ended the loop."""
    with af.sync.open_video(path) as video:
        pass
    assert not portal_threads()
    with pytest.raises(ClosedError, match="the video is closed"):
        use(video)
    assert not portal_threads()


def test_errors_come_as_they_are(tmp_path: Path) -> None:
    """No wrapper hides what went wrong."""
    with pytest.raises(af.errors.SourceNotFoundError):
        af.sync.open_video(tmp_path / "nowhere.mp4")
    with pytest.raises(ValueError, match="end=1 is before start=2"):
        next(af.sync.stream_frames(tmp_path / "nowhere.mp4", 2, 1))
    assert not portal_threads()


def test_a_consumer_may_take_its_time(path: Path) -> None:
    """A slow consumer gets each frame once."""
    seen = []
    for index, _ in af.sync.stream_frames(path, 0, 5, queue_maxsize=1):
        time.sleep(0.05)
        seen.append(index)
    assert seen == list(range(6))


def test_an_iterator_may_be_collected_on_the_loop(path: Path, tmp_path: Path) -> None:
    """The garbage collector may run in the thread of the loop; that neither fails nor deadlocks."""

    def collect(_step: int) -> None:
        gc.collect()

    cycle: list[object] = [af.sync.stream_frames(path, queue_maxsize=1)]
    cycle.append(cycle)
    next(cycle[0])  # type: ignore[call-overload]  # it is the iterator
    del cycle
    af.sync.stream_frames_to_dir(path, tmp_path / "out", 0, 2, progress_cb=collect)
    assert portal_threads_end()


@pytest.mark.filterwarnings("ignore:unclosed video:ResourceWarning")
@pytest.mark.parametrize("what", ["iterator", "video"])
def test_collection_in_a_starting_thread_waits_for_nothing(path: Path, what: str) -> None:
    """The loop may be waiting for that very thread to start, so nothing may wait for the loop there."""
    entered = threading.Event()
    released = threading.Event()

    def block_the_loop(_step: int) -> None:
        entered.set()
        assert released.wait(30)

    dropped: Any = (
        af.sync.stream_frames(path, queue_maxsize=1) if what == "iterator" else af.sync.open_video(path)
    )
    if what == "iterator":
        next(dropped)
    cycle = [dropped]
    cycle.append(cycle)
    writing = threading.Thread(
        target=af.sync.stream_frames_to_dir,
        args=(path, path.parent / "out", 0, 0),
        kwargs={"progress_cb": block_the_loop},
    )
    writing.start()
    assert entered.wait(30)
    del dropped, cycle
    collecting = threading.Thread(target=gc.collect, daemon=True)
    collecting.start()
    collecting.join(10)
    stuck = collecting.is_alive()
    released.set()
    writing.join()
    assert not stuck
    assert portal_threads_end()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
def test_dropped_iterators_leave_nothing(path: Path) -> None:
    """However often they are dropped, in a cycle or not: no thread of a loop or codec, no descriptor."""

    def left() -> tuple[int, int]:
        codec = [
            name for task in Path("/proc/self/task").iterdir() if (name := _name(task)).startswith("av:")
        ]
        return len(codec), len(list(Path("/proc/self/fd").iterdir()))

    def drop() -> None:
        for _ in range(10):
            cycle: list[Any] = [af.sync.stream_frames(path, queue_maxsize=1)]
            cycle.append(cycle)
            next(cycle[0])
            next(af.sync.stream_frames(path, queue_maxsize=1))
        del cycle
        gc.collect()
        assert portal_threads_end()

    drop()
    before = left()
    drop()
    gc.collect()
    assert left() == before


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:  # it has ended
        return ""
