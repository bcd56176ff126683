"""What a process has left when videos are closed, whatever happened to their requests."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import asyncframes as af
from asyncframes._requests.pump import Turns
from asyncframes.errors import ClosedError, UnsupportedMediaError
from tests.support.decoders import counted_decoders
from tests.support.loop import settled_heap
from tests.support.marks import examples
from tests.support.streams.clips import clip_bytes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="what a process holds is read in /proc"),
]


@pytest.fixture(scope="module", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Other processes put their temporary files elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        yield


LOGGING = """
import asyncio, io, sys
import av, av.logging
import asyncframes as af

av.logging.set_level(av.logging.ERROR)

async def main(data, rounds):
    for at in range(rounds):
        async with af.open_video(data, threads=4, on_corrupt="skip") as video:
            await video.count()
            frames = video.frames(at % 7)
            async for frame in frames:
                break
            await frames.aclose()
            async for frame in video.frames(indices=[at % 40, 3]):
                pass

def packets_only(data, rounds):
    for _ in range(rounds):
        af.sync.open_video(data, threads=4, on_corrupt="skip").close()

data = open(sys.argv[1], "rb").read()
asyncio.run(main(data, int(sys.argv[2])))
packets_only(data, int(sys.argv[2]))
print(av.logging.get_last_error()[0])
"""


def scratched(data: bytes) -> bytes:
    """Damage bytes in the middle of a clip, so that decoders complain about most frames."""
    scratched = bytearray(data)
    for at in range(len(data) // 8, len(data) * 3 // 4, 97):
        scratched[at] ^= 0x55
    return bytes(scratched)


@pytest.mark.slow
def test_closing_while_ffmpeg_logs(tmp_path: Path) -> None:
    """PyAV's log callback takes the GIL in FFmpeg's threads; closing a decoder waits for them."""
    clip = tmp_path / "scratched.mp4"
    clip.write_bytes(scratched(clip_bytes(frames=60, width=320, height=240, gop=12, faststart=True)))
    program = [sys.executable, "-c", LOGGING, str(clip), str(examples(40))]
    done = subprocess.run(program, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100, "FFmpeg logs nothing of this clip"


@dataclass(frozen=True)
class Holdings:
    """What a process and its event loop hold."""

    threads: frozenset[str]
    tasks: int
    files: int
    temporary: frozenset[str]


def holdings() -> Holdings:
    return Holdings(
        threads=frozenset(
            thread.name for thread in Path("/proc/self/task").iterdir() if not _is_pooled(thread)
        ),
        tasks=len(asyncio.all_tasks()),
        files=len(list(Path("/proc/self/fd").iterdir())),
        temporary=frozenset(path.name for path in Path(tempfile.gettempdir()).iterdir()),
    )


def _is_pooled(thread: Path) -> bool:
    """Whether a thread belongs to an executor, which outlives videos."""
    pooled = {t.native_id for t in threading.enumerate() if t.name.startswith(("asyncframes", "asyncio"))}
    return int(thread.name) in pooled


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Check that all is gone at once, without the collector's help."""
    gc.collect()
    gc.disable()
    try:
        before = holdings()
        yield
        after = holdings()
    finally:
        gc.enable()
    assert after.threads <= before.threads
    assert after.tasks == before.tasks
    assert after.files <= before.files
    assert not [name for name in after.temporary - before.temporary if "asyncframes" in name]


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 4096):
        yield data[start : start + 4096]


async def test_uploads_whose_header_comes_last() -> None:
    """A first look that fails forward only leaves no codec thread."""
    data = clip_bytes(frames=24)
    async with af.open_video(pieces(data), threads=4) as video:
        await video.frame(0)
    with nothing_left():
        for _ in range(5):
            async with af.open_video(pieces(data), threads=4) as video:
                assert (await video.frame(3)).index == 3


async def test_files_that_are_refused() -> None:
    """An error that is kept keeps no decoder."""
    data = clip_bytes(frames=24)
    errors = []
    with nothing_left():
        for _ in range(3):
            with pytest.raises(UnsupportedMediaError) as caught:
                async with af.open_video(data, threads=4, max_pixels=100):
                    pass
            errors.append(caught.value)


async def test_damage_whose_error_is_kept() -> None:
    """An error from the midst of a decode keeps no decoder, either."""
    data = scratched(clip_bytes(frames=60, width=320, height=240, gop=12, faststart=True))
    errors = []
    with nothing_left():
        for _ in range(3):
            async with af.open_video(data, threads=4) as video:
                with pytest.raises(af.errors.CorruptMediaError) as caught:
                    async for _frame in video.frames():
                        pass
            errors.append(caught.value)


async def test_requests_broken_off_in_other_tasks() -> None:
    """The video waits for requests of other tasks when it closes."""
    data = clip_bytes(frames=240, width=320, height=240)

    async def break_off(video: af.Video, at: int) -> None:
        async for frame in video.frames(at):
            if frame.index >= at + 2:
                break

    with nothing_left():
        async with af.open_video(data, threads=4) as video:
            await asyncio.gather(*(break_off(video, at) for at in range(8)))


async def test_requests_cancelled_in_other_tasks() -> None:
    """Tasks that are cancelled while the video closes leave nothing."""
    data = clip_bytes(frames=240, width=320, height=240)

    async def read(video: af.Video) -> int:
        return len([frame.index async for frame in video.frames()])

    with nothing_left():
        async with af.open_video(data, threads=4) as video:
            tasks = [asyncio.create_task(read(video)) for _ in range(8)]
            await asyncio.sleep(0.05)
            for task in tasks[:4]:
                task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        strange = [
            o for o in outcomes if o != 240 and not isinstance(o, ClosedError | asyncio.CancelledError)
        ]
        del tasks, outcomes
    assert not strange


async def test_an_abandoned_video_and_its_request_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody closed the video or its request, and the collector finds both."""
    loop = asyncio.get_running_loop()
    reported: list[object] = []
    loop.set_exception_handler(lambda _loop, context: reported.append(context))

    async def abandon() -> None:
        video = await af.open_video(clip_bytes(frames=240), threads=4)
        frames = video.frames()
        await anext(frames)
        held = [video, frames]
        held.append(held)

    async def collect() -> None:
        await abandon()
        gc.collect()
        for _ in range(50):
            await asyncio.sleep(0.01)
            gc.collect()

    with settled_heap(), pytest.warns(ResourceWarning):
        await collect()
    assert not reported
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.slow
async def test_many_requests_for_one_frame_share_few_decoders() -> None:
    """Forty at once open no more decoders than may decode at once, and each gets its frame."""
    data = clip_bytes(frames=96, gop=8, faststart=True)
    at_once = Turns().at_once
    async with af.open_video(data, threads=4) as video:
        await video.count()
        async with counted_decoders() as opened:
            frames = await asyncio.gather(*(video.frame(2 * at) for at in range(40)))
    assert [frame.index for frame in frames] == [2 * at for at in range(40)]
    # One more may be closing.
    assert max(opened) <= at_once + 1


async def test_requests_whose_consumers_are_behind_hold_up_nobody() -> None:
    """A consumer may hold more requests open than may decode at once, and ask for frames meanwhile."""
    data = clip_bytes(frames=96, gop=8, faststart=True)
    held: list[AsyncGenerator[af.Frame, None]] = []
    async with af.open_video(data, threads=2) as video, asyncio.timeout(60):
        for at in range(3 * Turns().at_once):
            frames = video.frames(at, queue_maxsize=2)
            assert (await anext(frames)).index == at
            assert (await video.frame(50 + at)).index == 50 + at
            held.append(frames)
        for at, frames in enumerate(held):
            assert [frame.index async for frame in frames] == list(range(at + 1, 96))


async def test_a_request_that_waits_for_its_turn_may_be_cancelled() -> None:
    """It gives its place in the row up, and those behind it come next."""
    data = clip_bytes(frames=96, gop=8, faststart=True)
    async with af.open_video(data, threads=2) as video, asyncio.timeout(60):
        tasks = [asyncio.create_task(video.frame(at)) for at in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [frame.index for frame in outcomes[1::2] if isinstance(frame, af.Frame)] == list(
            range(1, 30, 2)
        )
        assert (await video.frame(90)).index == 90
