"""What a server or a network can do wrong, each with what has to become of it.

``python -m tests.support.servers.faults`` tries every fault at the first frame, in the middle and at the
last frame, and prints a table.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np

import asyncframes as af
from asyncframes.errors import (
    AsyncFramesError,
    MediaError,
    RangeNotSupportedError,
    ShortReadError,
    SourceAccessError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources import HttpSource
from tests.support.isolation import sockets_of_idle_processes
from tests.support.servers.web import Reply, RunningServer, Served, retries_at_once
from tests.support.streams.clips import repeated

PATH = "/clip.mp4"
TIMES, CLIP_FRAMES = 8, 132
PLACES: dict[str, list[int]] = {
    "first frame": [0],
    "mid-range": list(range(560, 570)),
    "last frame": [TIMES * CLIP_FRAMES - 1],
}
DEADLINE_SECONDS = 20.0

# A small cache, filled from elsewhere: the frames asked for next have to be fetched.
_CACHE_BYTES, _ELSEWHERE = 256 * 1024, 300

Outcome = type[AsyncFramesError] | None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    Attributes
    ----------
    once
        Replies to the next requests.
    always
        How every request is answered.
    change
        Attributes of the file on the server that change.
    expected, at_first
        The error, ``None`` for the right frames; `at_first` where opening meets the fault.
    options
        Of the source.
    from_start
        Whether the server does it from the first request on, wherever the frames lie.
    host
        Where the server listens.
    """

    once: tuple[Reply, ...] = ()
    always: Reply | None = None
    change: Mapping[str, Any] = field(default_factory=dict)
    expected: Outcome = None
    at_first: Outcome | Literal["the same"] = "the same"
    options: Mapping[str, Any] = field(default_factory=dict)
    from_start: bool = False
    host: str = "127.0.0.1"

    def expected_at(self, place: str) -> Outcome:
        if place != "first frame" or self.at_first == "the same":
            return self.expected
        return self.at_first


def _always(reply: Reply, expected: Outcome, **more: Any) -> Fault:
    return Fault(always=reply, expected=expected, **more)


def _once(*replies: Reply, **more: Any) -> Fault:
    return Fault(once=replies, **more)


_token = {"Authorization": "Bearer 1"}


def _tokens() -> Callable[[], Awaitable[dict[str, str]]]:
    count = iter(range(1, 1000))

    async def fresh() -> dict[str, str]:
        return {"Authorization": f"Bearer {next(count)}"}

    return fresh


FAULTS: dict[str, Fault] = {
    "none": Fault(),
    "404": _always(Reply(status=404), SourceNotFoundError),
    "401": _always(Reply(status=401), SourceAccessError),
    "403": _always(Reply(status=403), SourceAccessError),
    "401, token renewed": _once(Reply(status=401), options={"headers": _tokens}),
    "429 with Retry-After, once": _once(Reply(status=429, headers={"Retry-After": "0"})),
    "503 with Retry-After, once": _once(Reply(status=503, headers={"Retry-After": "0"})),
    "503": _always(Reply(status=503), SourceUnavailableError),
    "redirect loop": _always(Reply(status=302, headers={"Location": PATH}), SourceAccessError),
    "redirect to a file": _always(Reply(status=302, headers={"Location": "file:///a"}), SourceAccessError),
    "redirect to nobody": _always(
        Reply(status=302, headers={"Location": "http://127.0.0.1:1/a"}), SourceUnavailableError
    ),
    "private network, guarded": Fault(
        expected=SourceAccessError, options={"allow_private": False}, from_start=True
    ),
    "Content-Encoding": _always(Reply(headers={"Content-Encoding": "gzip"}), RangeNotSupportedError),
    "200 to a range": _always(Reply(ignore_range=True), RangeNotSupportedError, at_first=None),
    "200 with a part": _always(
        Reply(status=200, body=b"1234", headers={"Content-Range": "bytes 0-3/9999"}), RangeNotSupportedError
    ),
    "Accept-Ranges: none": _always(
        Reply(ignore_range=True, headers={"Accept-Ranges": "none"}), RangeNotSupportedError, at_first=None
    ),
    "206 with another range": _always(
        Reply(headers={"Content-Range": "bytes 7-9/*"}), RangeNotSupportedError
    ),
    "206 without Content-Range": _always(Reply(headers={"Content-Range": None}), RangeNotSupportedError),
    "206 of another size": _always(
        Reply(headers={"Content-Range": "bytes 0-9/10"}, body=bytes(10)), SourceError, at_first=MediaError
    ),
    "416": _always(Reply(status=416), RangeNotSupportedError, at_first=ShortReadError),
    "short body, once": _once(Reply(truncate_at=1000)),
    "short body": _always(Reply(truncate_at=0), ShortReadError),
    "reset in the body, once": _once(Reply(reset_at=1000)),
    "reset in the body": _always(Reply(reset_at=0), ShortReadError),
    "reset before the head, once": _once(Reply(reset_at=-1)),
    "reset before the head": _always(Reply(reset_at=-1), SourceUnavailableError),
    "stall in the body, once": _once(Reply(stall_at=1000)),
    "stall in the body": _always(Reply(stall_at=10), SourceTimeoutError, options={"attempts": 2}),
    "stall before the head": _always(Reply(delay_seconds=60), SourceTimeoutError, options={"attempts": 2}),
    "Retry-After of a day": _always(
        Reply(status=503, headers={"Retry-After": "86400"}), SourceUnavailableError
    ),
    "one byte a reply": _always(Reply(most_bytes=1), RangeNotSupportedError),
    "8 KiB a reply": _always(Reply(most_bytes=8192), None),
    "body without an end": _always(Reply(chunked=True, endless=True), None),
    "200 without an end": _always(
        Reply(ignore_range=True, chunked=True, endless=True), RangeNotSupportedError, at_first=None
    ),
    "Content-Range longer than any file": _always(
        Reply(headers={"Content-Range": "bytes 0-1/99999999999999999999"}), RangeNotSupportedError
    ),
    "redirect to an impossible host": _always(
        Reply(status=302, headers={"Location": "http://a..b:99999/"}), SourceAccessError
    ),
    "slow loris": _always(Reply(trickle_seconds=0.1), SourceTimeoutError),
    "ETag changed": Fault(change={"etag": '"v2"'}, expected=SourceChangedError, at_first=None),
    "weak ETag changed": Fault(change={"etag": 'W/"v2"'}, expected=SourceChangedError, at_first=None),
    "other bytes and no ETag": Fault(
        change={"data": bytes(9_000_000), "etag": None}, expected=SourceError, at_first=MediaError
    ),
    "no ETag, no Last-Modified": Fault(change={"etag": None, "last_modified": None}, from_start=True),
    "no Content-Length": _always(Reply(chunked=True), None),
    "chunked, no ranges": _always(
        Reply(chunked=True, ignore_range=True), RangeNotSupportedError, at_first=None
    ),
    "HTTP/1.0": _always(Reply(version="HTTP/1.0"), None),
    "IPv6": Fault(host="::1"),
    "size hidden": Fault(change={"hides_size": True}, from_start=True),
    "web page": _always(
        Reply(ignore_range=True, body=b"<!doctype html><p>log in"),
        RangeNotSupportedError,
        at_first=MediaError,
    ),
    "garbage in the body": _always(Reply(garbled=True), MediaError),
}


@dataclass(frozen=True)
class Result:
    """What became of a request.

    Attributes
    ----------
    error
        What it raised.
    files
        How many files there were afterwards, each whole and right.
    seconds
        How long it took.
    leaks
        What was left behind.
    """

    error: BaseException | None
    files: int
    seconds: float
    leaks: list[str]

    def __str__(self) -> str:
        what = type(self.error).__name__ if self.error else "the frames"
        return f"{what}, {self.seconds:.1f} s" + "".join(f", {leak}" for leak in self.leaks)


async def meet(fault: Fault, place: str) -> Result:
    """Ask a server that does wrong for frames, as files."""
    before = _held()
    with tempfile.TemporaryDirectory() as name, retries_at_once():
        async with RunningServer(host=fault.host) as server:
            served = server.serve(PATH, _clip())
            started = time.monotonic()
            error = await _request(fault, place, server, served, Path(name))
            seconds = time.monotonic() - started
        count = _whole_files(Path(name), PLACES[place])
    return Result(error, count, seconds, await _leaks(before))


async def _request(
    fault: Fault, place: str, server: RunningServer, served: Served, directory: Path
) -> BaseException | None:
    at_once = place == "first frame" or fault.from_start
    if at_once:
        _break(fault, server, served)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            async with af.open_video(_source(fault, server), threads=1, cache_bytes=_CACHE_BYTES) as video:
                if not at_once:
                    await video.count()
                    await video.frame(_ELSEWHERE)
                    _break(fault, server, served)
                await video.save(directory, indices=PLACES[place], ext="npy")
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is the result
        return exc
    return None


def _source(fault: Fault, server: RunningServer) -> HttpSource:
    options = {"read_timeout_seconds": 0.4, "range_timeout_seconds": 3.0, "attempts": 3, **fault.options}
    if options.get("headers") is _tokens:
        options["headers"] = _tokens()
    return HttpSource(server.url(PATH), **options)


def _break(fault: Fault, server: RunningServer, served: Served) -> None:
    server.script(PATH, *fault.once)
    for name, value in fault.change.items():
        setattr(served, name, value)
    if fault.always is not None:
        served.default = fault.always


def _whole_files(directory: Path, indices: list[int]) -> int:
    right = _frames()
    names = {f"frame_{index:06d}.npy": index for index in indices}
    found = sorted(path.name for path in directory.iterdir() if path.name != ".asyncframes.json")
    for name in found:
        assert np.array_equal(np.load(directory / name), right[names[name]]), name
    return len(found)


async def _leaks(before: set[str]) -> list[str]:
    """Say what is held and was not before; a socket that was reset takes a turn of the loop to close."""
    for _ in range(20):
        if not (leaks := sorted(_held() - before)):
            return []
        await asyncio.sleep(0.05)
    return leaks


def _held() -> set[str]:
    """Name the tasks, the sockets and the files that are open."""
    held = {f"task {task.get_name()}" for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    descriptors = Path("/proc/self/fd")
    if descriptors.exists():
        idle = sockets_of_idle_processes()
        for path in descriptors.iterdir():
            with suppress(FileNotFoundError):
                if (target := str(path.readlink())) not in idle:
                    held.add(f"{path.name} {target}")
    return held


@cache
def _clip() -> bytes:
    return repeated(files("asyncframes.data").joinpath("bunny.mp4").read_bytes(), TIMES)


@cache
def _frames() -> dict[int, Any]:
    indices = [index for place in PLACES.values() for index in place]
    with af.sync.open_video(_clip()) as video:
        return {frame.index: frame.image for frame in video.frames(indices=indices)}


def main() -> None:
    """Print the table."""
    print("| fault | " + " | ".join(PLACES) + " |")
    print("|---" * (len(PLACES) + 1) + "|")
    for name, fault in FAULTS.items():
        results = [str(asyncio.run(meet(fault, place))) for place in PLACES]
        print(f"| {name} | " + " | ".join(results) + " |", flush=True)


if __name__ == "__main__":
    main()
