"""One case: a damaged file, asked for its frames in every way, and what came of it."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import av

import asyncframes as af
from asyncframes._isolation.worker import Worker
from asyncframes._isolation.workers import Workers
from asyncframes.errors import AsyncFramesError, DecoderCrashedError, PolicyError
from tests.fuzz._ways import WAYS, Opener, opener
from tests.support.exact.one_thread import OneThread, decode_by_one_thread, determined
from tests.support.exact.routes import Effort, Routes
from tests.support.isolation import sockets_of_idle_processes
from tests.support.servers.web import RunningServer

EFFORT = Effort(by_index=8, ranges=1, steps=2, alone=1)

MOST_PACKETS = 300
MOST_PIXELS = 2 * 1024 * 1024
MOST_SECONDS = 5.0
"""CPU that one request may take, beyond ten times what one thread takes for the whole stream."""

_LIBC = ctypes.CDLL(None)

MOST_MEGABYTES = 300.0
"""Memory that a case may take beyond what the process held before."""

PICTURE_CACHE_BYTES = 32 * 1024 * 1024
"""Bound of the pictures kept for steps, so that `MOST_MEGABYTES` is for everything else. The default bound of
256 MiB, together with the pictures inside a codec, would leave no room to see more."""

_SETTLING_SECONDS = 2.0


peaks: list[float] = []
"""The peak memory of each decoding process that was given back, in MB."""


def note_peaks() -> None:
    """Note the peak of each decoding process from now on, before it is given back."""
    given_back = Workers.give_back

    def noted(self: Workers, worker: Worker, *, is_clean: bool) -> None:
        with suppress(OSError):
            peaks.append(_status("VmHWM", worker.pid))
        given_back(self, worker, is_clean=is_clean)

    Workers.give_back = noted  # type: ignore[method-assign]  # for the whole process


@dataclass(slots=True)
class Outcome:
    """What a case came to.

    Attributes
    ----------
    kind
        One word or two; `FAULTS` of `tests.fuzz._report` are those that must not be.
    detail
        What differs, or the error.
    """

    kind: str
    detail: list[str] = field(default_factory=list)
    what: str = ""
    plan: str = ""
    megabytes: float = 0.0
    process_megabytes: float = 0.0
    seconds: float = 0.0
    frames: int = 0


class Case:
    """Runs a case.

    Parameters
    ----------
    data
        The damaged file.
    path
        The same on disk.
    seed
        How it is opened and what is asked for depends on it.
    server
        Serves it.
    phase
        Called with what is done next.
    policy
        Under which it is opened, ``None`` for the usual one.
    """

    def __init__(
        self,
        data: bytes,
        path: Path,
        seed: str,
        server: RunningServer,
        phase: Callable[[str], None],
        policy: af.Policy | None = None,
    ) -> None:
        self._data = data
        self._seed = seed
        self._phase = phase
        generator = random.Random(f"{seed} plan")
        self._way = generator.choice(WAYS)
        self._threads = generator.choice((None, None, 1, 2))
        self._counts_first = generator.random() < 0.5
        self._open = partial(opener(self._way, data, path, generator, server), policy=policy)
        self._is_limited = policy is not None
        self._what = ""
        self._truth: OneThread | None = None
        self._options: dict[str, Any] = {}
        self._cost = self._peak = 0.0
        self._was_provisional = False
        self._stray: list[str] = []

    def run(self) -> Outcome:
        """Run it to the end, and look at what it leaves."""
        before, start = _Left.now(), time.monotonic()
        _forget_peak()
        peaks.clear()
        with _stray_errors(self._stray):
            outcome = asyncio.run(self._main())
        outcome.megabytes = max(0.0, self._peak - before.megabytes)
        outcome.process_megabytes = max(peaks, default=0.0)
        outcome.plan = f"{self._way}, threads={self._threads}"
        outcome.what = self._what
        outcome.seconds = time.monotonic() - start
        outcome.frames = len(self._truth or ())
        self._phase("what is left")
        return self._judge_bounds(outcome, before)

    def _judge_bounds(self, outcome: Outcome, before: _Left) -> Outcome:
        if outcome.kind in {"wrong", "foreign", "over time"}:
            return outcome
        if self._stray:
            outcome.kind, outcome.detail = "foreign", self._stray
        elif leak := before.leak():
            outcome.kind, outcome.detail = "leak", [leak]
        elif outcome.megabytes > MOST_MEGABYTES:
            outcome.kind, outcome.detail = "over memory", [f"{outcome.megabytes:.0f} MB"]
        return outcome

    async def _main(self) -> Outcome:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self._stray.append(
                f"loop: {context.get('exception') or context['message']}"[:300]
            )
        )
        outcome = await self._outcome()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left and outcome.kind != "wrong":
            await asyncio.sleep(0.05)
            if left := {task for task in left if not task.done()}:
                return Outcome("leak", [f"task {task.get_name()}" for task in left])
        return outcome

    async def _outcome(self) -> Outcome:
        try:
            self._phase("opening")
            async with self._open(on_corrupt="keep", threads=self._threads) as video:
                info = video.info
                self._what = f"{info.container.split(',')[0]} {info.codec}"
                if info.width * info.height > MOST_PIXELS:
                    return await self._one_frame(video)
        except DecoderCrashedError as exc:
            return Outcome("process ended", [_line(exc)])
        except PolicyError as exc:
            return Outcome("refused", [_line(exc)])
        except AsyncFramesError as exc:
            return Outcome("named error", [_line(exc)])
        except Exception as exc:  # noqa: BLE001 - this is what is looked for
            return Outcome("foreign", [f"open: {_line(exc)}"])
        finally:
            self._peak = _peak_megabytes()
        if not self._find_truth(info.stream_index, info.container):
            return Outcome("no reference")
        return await self._compare()

    async def _one_frame(self, video: Any) -> Outcome:
        async for _ in video.frames(end=0):
            pass
        return Outcome("too large to compare")

    def _find_truth(self, stream_index: int, container_format: str) -> bool:
        self._phase("reference")
        start = time.process_time()
        options: dict[str, Any] = {
            "stream_index": stream_index,
            "container_format": container_format,
            "most_packets": MOST_PACKETS,
        }
        try:
            self._truth = decode_by_one_thread(self._data, **options)
        except (av.FFmpegError, ValueError, LookupError, MemoryError):
            return False
        self._cost = time.process_time() - start
        self._options = options
        return self._truth.is_whole

    async def _compare(self) -> Outcome:
        assert self._truth is not None
        found = await self._all_routes(self._truth)
        if found and self._has_more_alone():
            if not self._truth.is_whole:
                return Outcome("no reference")
            found = await self._all_routes(self._truth)
        if any("silently" in text or "damage" in text for text in found):
            self._phase("reference")
            truth = determined(self._truth, self._data, **self._options)
            if not all(one.is_determinate for one in truth.shown):
                found = await self._all_routes(truth)
        if found and self._is_limited and all("PolicyLimitError" in text for text in found):
            # A damaged header may promise more frames than a request may have.
            return Outcome("refused", found)
        if found:
            kind = "foreign" if any("foreign" in text for text in found) else "wrong"
            slow = any("s of CPU" in text for text in found)
            return Outcome("over time" if slow and kind == "wrong" else kind, found)
        if not self._truth.shown:
            return Outcome("named error", ["nothing decodes"])
        if self._truth.is_damaged:
            return Outcome("damage reported")
        return Outcome("provisional count" if self._was_provisional else "right")

    def _has_more_alone(self) -> bool:
        """Whether an error in another stream ends the container, so that one alone is to be read."""
        self._phase("reference")
        alone = decode_by_one_thread(self._data, alone=True, **self._options)
        assert self._truth is not None
        if (len(alone), not alone.is_damaged) <= (len(self._truth), not self._truth.is_damaged):
            return False
        self._truth = alone
        self._options["alone"] = True
        return True

    async def _all_routes(self, truth: OneThread) -> list[str]:
        found: list[str] = []
        counts_first = self._counts_first
        for mode in ("keep", "raise"):
            opened: Opener = partial(
                self._open,
                on_corrupt=mode,
                threads=self._threads,
                picture_cache_bytes=PICTURE_CACHE_BYTES,
            )
            routes = Routes(opened, truth, mode, self._seed, effort=EFFORT)
            counts_first = not counts_first
            ways = [routes.counted if counts_first else routes.in_sequence, routes.by_index]
            if self._way != "forward":
                ways += [routes.ranges, routes.stepping, routes.batched, routes.alone]
            for way in ways:
                found += [f"{mode}, {text}" for text in await self._timed(way, f"{mode} {way.__name__}")]
            self._was_provisional |= routes.was_provisional
        return found

    async def _timed(self, way: Callable[[], Any], name: str) -> list[str]:
        self._phase(name)
        # Else the peak would include what the reference and earlier ways have freed.
        _LIBC.malloc_trim(0)
        _forget_peak()
        start = time.process_time()
        try:
            found: list[str] = await way()
        except AsyncFramesError as exc:
            found = [] if not self._truth else [f"{name}: closing or opening: {_line(exc)}"]
        except Exception as exc:  # noqa: BLE001 - this is what is looked for
            found = [f"{name}: foreign {_line(exc)}"]
        self._peak = max(self._peak, _peak_megabytes())
        spent = time.process_time() - start
        if spent > MOST_SECONDS + 10 * self._cost:
            found.append(f"{name}: {spent:.1f} s of CPU")
        return found


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


@contextmanager
def _stray_errors(found: list[str]) -> Iterator[None]:
    """Collect what nobody catches: in finalisers, in threads, and warnings of things left open."""
    hooks = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = lambda args: found.append(f"unraisable: {args.exc_value!r} in {args.object!r}"[:300])
    threading.excepthook = lambda args: found.append(f"thread: {args.exc_value!r}"[:300])
    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always", ResourceWarning)
            yield
        found += [f"warning: {one.message}"[:300] for one in noted if one.category is ResourceWarning]
    finally:
        sys.unraisablehook, threading.excepthook = hooks


@dataclass(frozen=True, slots=True)
class _Left:
    """What a process holds."""

    files: frozenset[str]
    codec_threads: int
    megabytes: float

    @classmethod
    def now(cls) -> _Left:
        own = len(threading.enumerate())
        return cls(_open_files(), len(list(Path("/proc/self/task").iterdir())) - own, _status("VmRSS"))

    def leak(self) -> str | None:
        """Wait a moment for what ends by itself, and say what does not."""
        deadline = time.monotonic() + _SETTLING_SECONDS
        while (text := self._more()) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        if text is not None and "files" in text:
            gc.collect()
        return text

    def _more(self) -> str | None:
        now = _Left.now()
        if now.codec_threads > self.codec_threads:
            return f"{now.codec_threads - self.codec_threads} threads of codecs"
        new = sorted(now.files - self.files)
        return f"{len(new)} files: {new[:3]}" if new else None


def _open_files() -> frozenset[str]:
    found, idle = set(), sockets_of_idle_processes()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if not target.startswith(("anon_inode", "pipe:", "/proc")) and target not in idle:
            found.add(f"{link.name}: {target}")
    return frozenset(found)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_megabytes() -> float:
    return _status("VmHWM")


def _status(name: str, process: int | str = "self") -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0
