"""How often a request for a local file hands work to a thread: each call costs as much as a small frame."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes._runtime.executor import DaemonExecutor
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls in threads, by the name of what is called."""
    counted: Counter[str] = Counter()
    submit = DaemonExecutor.submit

    def counting(pool: DaemonExecutor, call: Callable[..., Any], /, *args: Any) -> Future[Any]:
        counted[_name_of(call)] += 1
        return submit(pool, call, *args)

    monkeypatch.setattr(DaemonExecutor, "submit", counting)
    # On a busy machine a step may end before its work does.
    monkeypatch.setattr("asyncframes._requests.jobs.job.STEP_SECONDS", 60)
    monkeypatch.setattr("asyncframes._requests.steps.STEP_SECONDS", 60)
    return counted


def _name_of(call: Callable[..., Any]) -> str:
    while isinstance(call, partial):
        call = call.args[0] if call.args and callable(call.args[0]) else call.func
    return str(getattr(call, "__qualname__", call))


async def test_a_batch_of_a_local_file_takes_a_call_for_each_part(
    calls: Counter[str], tmp_path: Path
) -> None:
    """Opening is one call, listing the packets one, decoding and converting one, and closing one."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=300, width=320, height=180, gop=50))
    async with af.open_video(path, threads=1) as video:
        assert calls.total() == 1, calls
        await video.batch(100, 128, 4)
        assert calls.total() == 3, calls
        await video.batch(200, 228, 4)
        assert calls.total() == 4, calls
    assert calls.total() == 5, calls


async def test_the_frames_of_a_batch_come_with_the_end_of_their_step(
    calls: Counter[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A thread wakes the event loop once for a call, with its frames."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=48, gop=12))
    async with af.open_video(path, threads=1) as video:
        await video.frame_table()
        calls.clear()
        loop, woken = asyncio.get_running_loop(), list[object]()
        wake = loop.call_soon_threadsafe

        def counting(callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:
            woken.append(callback)
            return wake(callback, *args, **options)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
        await video.batch(8, 36, 4)
        assert len(woken) == calls.total() == 1, woken


async def test_a_file_that_is_opened_again_is_read_again(tmp_path: Path) -> None:
    """The file is opened by the first thread that reads it, and an error of that is one of the source."""
    opener = af.open_video(tmp_path / "late.mp4")
    with pytest.raises(af.errors.SourceNotFoundError, match="no such file"):
        await opener
    (tmp_path / "late.mp4").write_bytes(clip_bytes(frames=3))
    async with af.open_video(tmp_path / "late.mp4") as video:
        assert await video.count() == 3
