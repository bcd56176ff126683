"""Decoding processes: which video gets which, how many there are, and when they end."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing import spawn
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import asyncframes as af
from asyncframes import _video_arguments
from asyncframes._isolation import worker, workers
from asyncframes._isolation.worker import BARE_PACKAGES, Worker
from asyncframes._isolation.workers import Workers
from asyncframes._opening import VideoOpener
from asyncframes.errors import IsolationError, MediaError
from asyncframes.sources import FFmpegUrlSource
from tests.support import left_over
from tests.support.isolation import end_idle_processes, own_processes
from tests.support.left_over import children
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read in /proc"),
]

FRAMES = 6
CLIP = clip_bytes(frames=FRAMES)
SECONDS = 120
"""For what should take a moment, on a busy machine."""


@pytest.fixture(scope="module", autouse=True)
def lent() -> Iterator[Workers]:
    """Decode in processes of this module's own."""
    with own_processes() as own:
        yield own


@asynccontextmanager
async def nothing_left(lent: Workers) -> AsyncIterator[None]:
    """Check that nothing is left, and that no process is counted."""
    async with left_over.nothing_left(lent):
        yield
    assert lent._number == 0


def isolated(source: Any = CLIP, **options: Any) -> VideoOpener:
    return af.open_video(source, isolation="process", **options)


async def pid_of_next(source: Any = CLIP, **options: Any) -> int:
    """Open a video, read a frame, close it, and return which process served it."""
    async with isolated(source, **options) as video:
        assert painted_index((await video.frame(2)).image) == 2
        pid = video.isolation.pid
        assert pid is not None
        return pid


async def gone(pid: int) -> None:
    while pid in children():  # noqa: ASYNC110 - nothing tells when the kernel is done
        await asyncio.sleep(0.05)


def test_a_process_has_no_http_client() -> None:
    """What hostile code can use is what decoding needs."""
    program = "import sys\n" + BARE_PACKAGES + "import asyncframes._isolation.child.main\nprint(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=SECONDS
    )
    loaded = set(said.stdout.split())
    assert "asyncframes._media.codec.decoder" in loaded
    assert not loaded & {
        "aiohttp",
        "asyncframes._opening",
        "asyncframes.sources._http",
        "asyncframes.writers",
    }


# One after another.


async def test_a_process_serves_the_next_video(lent: Workers) -> None:
    async with nothing_left(lent):
        pids = [await pid_of_next() for _ in range(6)]
        # One more is started ahead while the first video is open, and one of both may wait longer.
        assert len(set(pids)) <= 2
        assert set(pids) <= children()


@pytest.mark.slow
async def test_a_process_ends_after_an_error(lent: Workers) -> None:
    async with nothing_left(lent):
        async with isolated() as video:
            pid = video.isolation.pid
            assert pid is not None
            with pytest.raises(IndexError):
                await video.frame(FRAMES)
        await gone(pid)
        assert await pid_of_next() != pid


@pytest.mark.slow
async def test_a_process_ends_after_damage(lent: Workers) -> None:
    damaged = bytearray(clip_bytes(frames=FRAMES, faststart=True))
    damaged[-1500:] = bytes(1500)
    async with nothing_left(lent):
        async with isolated(bytes(damaged)) as video:
            pid = video.isolation.pid
            assert pid is not None
            with pytest.raises(MediaError):
                async for _frame in video.frames():
                    pass
        await gone(pid)


@pytest.mark.slow
async def test_a_process_ends_after_many_videos(lent: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MOST_VIDEOS", 2)
    async with nothing_left(lent):
        pids = [await pid_of_next() for _ in range(6)]
        assert max(map(pids.count, pids)) <= 2


@pytest.mark.slow
async def test_an_idle_process_that_died_is_replaced(lent: Workers) -> None:
    async with nothing_left(lent):
        await pid_of_next()
        await until_idle(lent)
        for idle in lent._idle:
            os.kill(idle.report.pid or 0, signal.SIGKILL)
        dead = {idle.report.pid for idle in lent._idle}
        for idle in lent._idle:
            idle._process.wait(SECONDS)
        assert await pid_of_next() not in dead


@pytest.mark.slow
async def test_an_idle_process_that_says_something_is_replaced(lent: Workers) -> None:
    """What it says would be taken for an answer about the next video."""
    async with nothing_left(lent):
        first = await pid_of_next()
        await until_idle(lent)
        for idle in lent._idle:
            ours, theirs = socket.socketpair()
            theirs.send(b"something")
            theirs.close()
            idle.socket.close()
            idle.socket = ours
        assert await pid_of_next() != first
        await gone(first)


@pytest.mark.slow
async def test_an_idle_process_that_computes_is_replaced(lent: Workers) -> None:
    """Its limit of CPU time would end it just as the next video has it."""
    async with nothing_left(lent):
        first = await pid_of_next()
        await until_idle(lent)
        for idle in lent._idle:
            assert idle.rests
            idle._most_cpu_seconds = idle.cpu_seconds() + 1.0
        assert await pid_of_next() != first
        await gone(first)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
async def test_a_limit_counts_as_the_kernel_does(lent: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """RLIMIT_CPU counts ticks, which may be far ahead of the exact clock. That ended idle processes."""
    import resource

    async with nothing_left(lent):
        await pid_of_next()
        await until_idle(lent)
        for idle in lent._idle:
            ahead = {(~idle.pid << 3) | 0: 100.0, (~idle.pid << 3) | 2: 50.0}
            with monkeypatch.context() as patched:
                patched.setattr(time, "clock_gettime", ahead.__getitem__)
                idle.limit_cpu(5.0)
                assert idle.rests
                assert not idle.ignores_cpu_limit
            assert resource.prlimit(idle.pid, resource.RLIMIT_CPU)[0] == 105


async def until_idle(lent: Workers) -> None:
    """Wait until every process that is being started has been started."""
    while lent._number != len(lent._idle) + len(lent._busy):  # noqa: ASYNC110 - a thread starts them
        await asyncio.sleep(0.05)


# Several at once.


async def test_videos_wait_in_line_for_a_process(lent: Workers) -> None:
    policy = af.Policy(isolation="process", max_workers=1)
    order: list[int] = []
    at_work: list[int] = []

    async def one(at: int) -> None:
        async with af.open_video(CLIP, policy=policy) as video:
            order.append(at)
            at_work.append(len(lent._busy))
            await video.frame(1)

    async with nothing_left(lent):
        async with asyncio.TaskGroup() as group:
            for at in range(4):
                group.create_task(one(at))
                await asyncio.sleep(0.05)
        assert order == [0, 1, 2, 3]
        assert set(at_work) == {1}


async def test_a_sender_that_has_not_begun_holds_no_process(lent: Workers) -> None:
    """Until there is enough for FFmpeg to recognise a format, there is nothing to do."""
    policy = af.Policy(isolation="process", max_workers=1)
    has_begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def sender() -> AsyncIterator[bytes]:
        yield CLIP[:100]
        has_begun.set()
        await may_go_on.wait()
        yield CLIP[100:]

    async def last_index() -> int:
        async with af.open_video(sender(), policy=policy) as video:
            return [frame.index async for frame in video.frames()][-1]

    async with nothing_left(lent):
        slow = asyncio.create_task(last_index())
        await has_begun.wait()
        async with asyncio.timeout(SECONDS), af.open_video(CLIP, policy=policy) as video:
            assert (await video.frame(1)).index == 1
        may_go_on.set()
        assert await slow == FRAMES - 1


@pytest.mark.slow
@pytest.mark.parametrize("most", [2, 3])
async def test_no_more_processes_than_allowed_are_at_work(most: int, lent: Workers) -> None:
    policy = af.Policy(isolation="process", max_workers=most)
    at_work: list[int] = []

    async def one() -> None:
        async with af.open_video(CLIP, policy=policy) as video:
            at_work.append(len(lent._busy))
            await video.frame(1)

    async with nothing_left(lent):
        async with asyncio.TaskGroup() as group:
            for _ in range(2 * most):
                group.create_task(one())
        assert max(at_work) <= most


@pytest.mark.slow
async def test_a_cancelled_video_leaves_the_line(lent: Workers) -> None:
    policy = af.Policy(isolation="process", max_workers=1)
    async with nothing_left(lent):
        async with af.open_video(CLIP, policy=policy):
            waiting = [asyncio.ensure_future(_opened(policy)) for _ in range(3)]
            while len(lent._waiting) < 3:  # noqa: ASYNC110 - it asks in its own time
                await asyncio.sleep(0.05)
            waiting[0].cancel()
            waiting[1].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            assert not waiting[2].done()
        await (await waiting[2]).aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting[1]
        del waiting


@pytest.mark.slow
async def test_a_deadline_while_waiting_in_line(lent: Workers) -> None:
    policy = af.Policy(isolation="process", max_workers=1)
    async with nothing_left(lent):
        async with af.open_video(CLIP, policy=policy) as video:
            with pytest.raises(af.errors.DeadlineError):
                await _opened(replace(policy, deadline_seconds=1.0))
            assert painted_index((await video.frame(4)).image) == 4
        assert await pid_of_next()


@pytest.mark.slow
async def test_a_task_does_not_wait_for_itself(lent: Workers) -> None:
    """It would wait forever: nobody else closes its videos."""
    policy = af.Policy(isolation="process", max_workers=1)
    async with nothing_left(lent):
        async with af.open_video(CLIP, policy=policy) as video:
            with pytest.raises(IsolationError, match="would wait for itself") as caught:
                await _opened(policy)
            assert (caught.value.limit, caught.value.allowed, caught.value.found) == ("max_workers", 1, 2)
            assert painted_index((await video.frame(4)).image) == 4
            del caught
        assert await pid_of_next()


@pytest.mark.slow
async def test_a_long_wait_in_line_is_logged(
    lent: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_LONG_WAIT_SECONDS", 0.1)
    policy = af.Policy(isolation="process", max_workers=1)
    async with nothing_left(lent):
        async with af.open_video(CLIP, policy=policy):
            waiting = asyncio.create_task(_opened(policy))
            async with asyncio.timeout(SECONDS):
                while "max_workers=1 allows no more" not in caplog.text:  # noqa: ASYNC110 - only the log tells
                    await asyncio.sleep(0.05)
        await (await waiting).aclose()
        del waiting


async def _opened(policy: af.Policy) -> af.Video:
    return await af.open_video(CLIP, policy=policy)


# Processes that do not start.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit('it is broken')", "it is broken"),
        ("import os; os._exit(1)", "before it was locked"),
        ("import json, socket, sys; socket.socket(fileno=json.loads(sys.argv[1])[1]).send(bytes(100))", ""),
        ("import os; os.kill(os.getpid(), 9)", "before it was locked"),
    ],
    ids=["raises", "exits", "sends something else", "is killed"],
)
async def test_every_waiter_learns_that_no_process_starts(
    program: str, said: str, lent: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_PROGRAM", program)
    async with nothing_left(lent):
        found = await asyncio.gather(*(pid_of_next() for _ in range(4)), return_exceptions=True)
        assert [type(error) for error in found] == [IsolationError] * 4
        assert all(said in str(error) for error in found)
        del found


async def test_a_program_that_is_missing(lent: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "get_executable", lambda: "/nowhere/python")
    async with nothing_left(lent):
        with pytest.raises(IsolationError, match="does not start"):
            await pid_of_next()


@pytest.mark.slow
async def test_a_process_ahead_that_does_not_start_is_not_tried_again_and_again(
    lent: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = 0
    start = Worker.start

    def first_only() -> Worker:
        nonlocal starts
        starts += 1
        if starts > 1:
            raise IsolationError("the system has no more processes")
        return start()

    monkeypatch.setattr(Worker, "start", first_only)
    monkeypatch.setattr(workers, "cpus", lambda: 4)
    async with nothing_left(lent), isolated() as video:
        await asyncio.sleep(1.0)
        assert starts <= 2
        assert painted_index((await video.frame(1)).image) == 1


# What confines them.


@pytest.mark.slow
async def test_the_report_of_a_video(lent: Workers) -> None:
    async with nothing_left(lent), isolated() as video:
        assert video.isolation.mode == "process"
        assert video.isolation.pid in children()
        assert "rlimits" in video.isolation.measures
        async with af.open_video(CLIP) as other:
            assert other.isolation == af.IsolationReport(mode="none")


@pytest.mark.slow
async def test_measures_that_are_required(lent: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = af.Policy(isolation="process", require_isolation={"rlimits"})
    async with nothing_left(lent):
        async with af.open_video(CLIP, policy=policy) as video:
            assert "rlimits" in video.isolation.measures
        read = worker._report_from

        def without_seccomp(sock: Any) -> af.IsolationReport:
            return replace(read(sock), seccomp=None, notes=("The kernel is old.",))

        end_idle_processes(lent)
        monkeypatch.setattr(worker, "_report_from", without_seccomp)
        with pytest.raises(IsolationError, match=r"not confined by seccomp.*The kernel is old") as caught:
            async with asyncio.timeout(SECONDS / 2):
                await _opened(replace(policy, require_isolation={"rlimits", "seccomp"}))
        assert caught.value.limit == "require_isolation"
        # The process is as good as before for those who require less.
        assert await pid_of_next()
        del caught


async def test_addresses_that_ffmpeg_opens_itself(lent: Workers) -> None:
    async with nothing_left(lent):
        with pytest.raises(IsolationError, match="FFmpeg would open this source itself"):
            await isolated(FFmpegUrlSource("http://127.0.0.1:9/clip.mp4"))


async def test_windows_has_no_such_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_video_arguments, "sys", SimpleNamespace(platform="win32"))
    with pytest.raises(IsolationError, match="not available on Windows") as caught:
        await isolated()
    assert caught.value.limit == "isolation"
    async with af.open_video(CLIP, isolation="none") as video:
        assert painted_index((await video.frame(1)).image) == 1


@pytest.mark.slow
async def test_openers_are_pickled(tmp_path: Path, lent: Workers) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CLIP)
    async with nothing_left(lent):
        copy = pickle.loads(pickle.dumps(isolated(str(path))))
        async with copy as video:
            assert video.isolation.mode == "process"
            assert painted_index((await video.frame(1)).image) == 1


# Event loops, threads, forks and exits.


@pytest.mark.slow
def test_event_loops_share_processes(lent: Workers) -> None:
    pids = [asyncio.run(pid_of_next()) for _ in range(3)]
    assert len(set(pids)) <= 2
    found: list[int] = []

    def work() -> None:
        with af.sync.open_video(CLIP, isolation="process") as video:
            assert painted_index(video.frame(3).image) == 3
            found.append(video.isolation.pid or 0)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(found) == 3
    end_idle_processes(lent)


def script(text: str) -> subprocess.Popen[str]:
    start = """
        import asyncio, os, pathlib, signal, sys, threading, time
        import asyncframes as af
        CLIP = pathlib.Path(sys.argv[1]).read_bytes()
        def pid_of(video): return video.isolation.pid
    """
    program = textwrap.dedent(start) + textwrap.dedent(text)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, script.path],  # type: ignore[attr-defined]
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(autouse=True)
def clip_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CLIP)
    script.path = str(path)  # type: ignore[attr-defined]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.slow
async def test_processes_end_with_their_program() -> None:
    program = script("""
        first = af.sync.open_video(CLIP, isolation="process")
        second = af.sync.open_video(CLIP, isolation="process")
        print(pid_of(first), pid_of(second), flush=True)
        time.sleep(1000)
    """)
    assert program.stdout is not None
    pids = [int(pid) for pid in program.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(is_running, pids))
    program.kill()
    program.wait()
    program.communicate()
    async with asyncio.timeout(SECONDS):
        while any(map(is_running, pids)):  # noqa: ASYNC110 - nothing tells when the kernel is done
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_an_exit_with_an_open_video_is_prompt() -> None:
    program = script("""
        import warnings
        warnings.simplefilter("default")
        video = af.sync.open_video(CLIP, isolation="process")
        frames = video.frames(queue_maxsize=1)
        next(frames)
        print(pid_of(video), flush=True)
    """)
    output, complaints = program.communicate(timeout=SECONDS)
    assert program.returncode == 0
    assert "Traceback" not in complaints
    assert "unclosed video" in complaints
    async with asyncio.timeout(SECONDS):
        while is_running(int(output)):  # noqa: ASYNC110 - nothing tells when the kernel is done
            await asyncio.sleep(0.05)


@pytest.mark.slow
def test_a_forked_child_has_processes_of_its_own() -> None:
    program = script("""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        video = af.sync.open_video(CLIP, isolation="process")
        video.frame(1)
        parents = pid_of(video)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                try:
                    video.frame(2)
                except af.errors.ForkedError:
                    with af.sync.open_video(CLIP, isolation="process") as own:
                        own.frame(2)
                        assert pid_of(own) != parents
                    code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        assert video.frame(3).index == 3
        assert pid_of(video) == parents
        video.close()
        with af.sync.open_video(CLIP, isolation="process") as again:
            again.frame(0)
        print("done")
    """)
    output, complaints = program.communicate(timeout=SECONDS)
    assert (program.returncode, output) == (0, "done\n"), complaints
