"""Hostile code in the decoding process reaches nothing, breaks nothing, and leaves nothing."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes._isolation.workers import Workers
from asyncframes.errors import AsyncFramesError, DecoderCrashedError, PolicyError
from tests.support.hostile_child import ATTACKS, PROGRAM, REFUSED, HostileSource
from tests.support.isolation import end_idle_processes, own_processes
from tests.support.left_over import Held, check_nothing_is_left, nothing_left
from tests.support.marks import grid
from tests.support.streams.clips import clip_bytes, painted_index

pytest.importorskip("seccompy", reason="the extra isolation is not installed")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux can lock a process"),
]

FRAMES = 12
CLIP = clip_bytes(frames=FRAMES)
SECONDS = 120
"""For what should take a moment, on a busy machine."""
AT_ONCE = 4
ROUNDS = int(os.environ.get("ASYNCFRAMES_ROUNDS", "100"))


@pytest.fixture(scope="module", autouse=True)
def lent() -> Iterator[Workers]:
    """Decode in processes that attack if the name of a source says so."""
    with own_processes(PROGRAM) as own:
        yield own


async def attacked(attack: str, argument: object = "", **options: Any) -> list[af.Frame]:
    """Request frames from a process that attacks, and keep them."""
    source = HostileSource(CLIP, attack, argument)
    given: dict[str, Any] = {"isolation": "process", "deadline_seconds": SECONDS} | options
    async with af.open_video(source, **given) as video:
        return [frame async for frame in video.frames(0, FRAMES - 1, queue_maxsize=4)]


# What it may not do.


@dataclass
class Reach:
    """What an attack tries to reach: its argument, and whether it was reached."""

    argument: object
    is_reached: Callable[[], bool] = field(default=lambda: False)
    close: Callable[[], None] = field(default=lambda: None)


def _reach(attack: str, folder: Path) -> Reach:
    if attack == "connect":
        server = socket.create_server(("127.0.0.1", 0))
        server.setblocking(False)
        return Reach(server.getsockname()[1], partial(_accepts, server), server.close)
    if attack == "parents-memory":
        secret = ctypes.create_string_buffer(b"secret", 16)
        return Reach(f"{os.getpid()},{ctypes.addressof(secret)},16")
    file = folder / "written"
    arguments = {
        "read-file": "/etc/passwd",
        "list-folder": "/",
        "write-file": file,
        "exec": "/bin/true",
        "kill-parent": os.getpid(),
    }
    return Reach(arguments.get(attack, ""), file.exists)


def _accepts(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("attack", grid(REFUSED, fast="read-file".__eq__))
async def test_what_is_out_of_reach(attack: str, lent: Workers, tmp_path: Path) -> None:
    reach = _reach(attack, tmp_path)
    try:
        async with nothing_left(lent):
            with pytest.raises(RuntimeError, match=r"^refused: (EACCES|EPERM)"):
                await attacked(attack, reach.argument)
    finally:
        is_reached = reach.is_reached()
        reach.close()
    assert not is_reached


@pytest.mark.slow
async def test_the_environment_of_the_parent(lent: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the parent")
    async with nothing_left(lent):
        for pid in (os.getpid(), "self"):
            with pytest.raises(RuntimeError, match=r"^refused: (EACCES|EPERM)"):
                await attacked("read-file", f"/proc/{pid}/environ")
        with pytest.raises(RuntimeError, match=r"^''$"):
            await attacked("variable", "SECRET")


# How it may end.

ENDS: dict[tuple[str, object], dict[str, object]] = {
    ("allocate", 8 * 1024**3): {"limit": "memory", "signal": None},
    ("segfault", ""): {"limit": None, "signal": "SIGSEGV"},
    ("abort", ""): {"limit": None, "signal": "SIGABRT"},
    ("kill", ""): {"limit": None, "signal": "SIGKILL"},
    ("exit", 3): {"limit": None, "exit_code": 3},
    ("exit", 0): {"limit": None, "exit_code": 0},
    ("open-crash", ""): {"limit": None, "signal": "SIGSEGV"},
    ("close-socket", ""): {"limit": "protocol"},
    ("unknown-error", ""): {"limit": None},
}

LIES = [
    *("shape", "sides", "no-pixels", "dimensions", "dtype", "index", "time-base", "offset"),
    *("offset-near-end", "across-halves", "unaligned", "overlap", "partial-overlap", "too-many"),
    *("other-call", "dropped", "cut-record"),
    *("garbage", "long-head", "long-body", "unknown-kind", "parents-kind", "ready-again"),
    *("deep-json", "deep-error", "long-number", "no-json", "list", "error-without-type"),
    *("error-with-object", "answer-to-no-call", "flood-of-lines", "flood-of-life", "packets", "phase"),
    *("many-reads", "range-backwards", "range-negative", "range-too-long", "range-of-text"),
    *("unknown-read", "read-body"),
    *("info-width", "info-text", "info-missing", "info-none", "info-time-base", "info-nan", "info-size"),
]
"""Attacks of `attacked` that break the protocol."""

TABLE_LIES = ["table-garbage", "table-none", "table-cut", "table-bomb", "known-negative", "known-text"]


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS, ids=lambda end: "-".join(map(str, end)))
async def test_the_end_of_a_process_is_named(end: tuple[str, object], lent: Workers) -> None:
    async with nothing_left(lent):
        with pytest.raises(DecoderCrashedError, match="attack") as caught:
            await attacked(*end)
        expected = ENDS[end]
        assert {name: getattr(caught.value, name) for name in expected} == expected


@pytest.mark.parametrize("attack", grid(LIES, fast="shape".__eq__))
async def test_a_lie_is_not_believed(attack: str, lent: Workers, caplog: pytest.LogCaptureFixture) -> None:
    async with nothing_left(lent):
        with pytest.raises(DecoderCrashedError, match="broke the protocol") as caught:
            await attacked(attack)
        assert caught.value.limit == "protocol"
        assert len(str(caught.value)) < 500
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        del caught


@pytest.mark.slow
@pytest.mark.parametrize("attack", TABLE_LIES)
async def test_a_false_table_is_not_believed(attack: str, lent: Workers) -> None:
    async with nothing_left(lent):
        with pytest.raises(DecoderCrashedError, match="broke the protocol") as caught:
            async with af.open_video(HostileSource(CLIP, attack), isolation="process") as video:
                await video.frame_table()
        assert caught.value.limit == "protocol"
        del caught


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS["resolve"])
async def test_false_indices_are_not_believed(attack: str, lent: Workers) -> None:
    async with nothing_left(lent):
        with pytest.raises(DecoderCrashedError, match="broke the protocol"):
            async with af.open_video(HostileSource(CLIP, attack), isolation="process") as video:
                await video.indices(fps=5)


@pytest.mark.slow
async def test_an_endless_stream_of_frames_is_cut_off_by_the_policy(lent: Workers) -> None:
    policy = af.Policy(isolation="process", max_output_frames=50)
    async with nothing_left(lent):
        async with af.open_video(HostileSource(CLIP, "endless"), policy=policy) as video:
            taken = 0
            with pytest.raises((PolicyError, DecoderCrashedError)):
                async for _frame in video.frames():
                    taken += 1
            del _frame
        assert taken <= 50


# What others see of it.


@pytest.mark.parametrize(
    "attack", grid(["kill", "endless", "overlap", "garbage", "spin-with-gil"], fast="kill".__eq__)
)
async def test_other_videos_go_on_and_delivered_frames_stay_right(attack: str, lent: Workers) -> None:
    async with nothing_left(lent):
        honest = af.open_video(CLIP, policy=af.Policy(isolation="process", max_workers=2))
        hostile = af.open_video(
            HostileSource(CLIP, attack, spared=1), policy=af.Policy(isolation="process", max_workers=2)
        )
        async with honest as video, hostile as other:
            kept = [frame.image async for frame in other.frames()]
            frames = video.frames(queue_maxsize=1)
            before = painted_index((await anext(frames)).image)
            fault = asyncio.create_task(shown_until_cut(other))
            rest = [painted_index(frame.image) async for frame in frames]
            assert [before, *rest] == list(range(FRAMES))
            if attack == "spin-with-gil":
                fault.cancel()
            with pytest.raises((AsyncFramesError, asyncio.CancelledError)):
                await fault
        assert [painted_index(image) for image in kept] == list(range(FRAMES))
        del kept, fault, frames


async def shown_until_cut(video: af.Video) -> None:
    taken = 0
    async for _frame in video.frames(0, FRAMES - 1, queue_maxsize=4):
        taken += 1
        assert taken <= FRAMES


@pytest.mark.slow
async def test_lines_for_the_log_are_printable(lent: Workers, caplog: pytest.LogCaptureFixture) -> None:
    """Text of a hostile process could act on a terminal, or forge lines of the log."""
    async with nothing_left(lent):
        with pytest.raises(DecoderCrashedError):
            await attacked("escape-line")
    told = [record.getMessage() for record in caplog.records if "forged" in record.getMessage()]
    assert len(told) == 1
    assert told[0].isprintable()


@pytest.mark.slow
async def test_descriptors_that_come_along_are_not_taken(lent: Workers) -> None:
    async with nothing_left(lent):
        with pytest.raises((RuntimeError, DecoderCrashedError)):
            await attacked("send-descriptor")


MIX = [
    ("segfault", ""),
    ("kill", ""),
    ("exit", 3),
    ("garbage", ""),
    ("overlap", ""),
    ("too-many", ""),
    ("deep-json", ""),
    ("many-reads", ""),
    ("fork", ""),
    ("close-socket", ""),
]


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_nothing_grows_in_many_rounds(lent: Workers) -> None:
    """What is left is counted, so one round that leaves something shows; ASYNCFRAMES_ROUNDS tries more."""
    policy = af.Policy(isolation="process", max_workers=AT_ONCE)

    async def rounds(mix: list[tuple[str, object]]) -> None:
        for attack, argument in mix:
            with pytest.raises((AsyncFramesError, RuntimeError)):
                await attacked(attack, argument, policy=policy, isolation=None)

    await rounds(MIX)
    end_idle_processes(lent)
    before = Held.now()
    share = ROUNDS // (AT_ONCE * len(MIX)) + 1
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(rounds(MIX * share))
    await check_nothing_is_left(before, lent)
