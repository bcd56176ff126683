"""Decodes the bundled clip in threads and in a process, and compares its frames with their known hashes."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from importlib.resources import files
from typing import Any

import asyncframes as af
from asyncframes.errors import AsyncFramesError, IsolationError

CLIP, HASHES = "bunny.mp4", "bunny.frames.json"

# Out of order, so that the decoder seeks.
_SCATTERED = [131, 0, 60, 59, 107]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes
    ----------
    name
        What was checked.
    is_ok
        Whether it passed.
    detail
        What was found, in one line.
    """

    name: str
    is_ok: bool
    detail: str


@dataclass(slots=True)
class Findings:
    """What the checks found.

    Attributes
    ----------
    checks
        The checks, in order.
    speed
        How many frames of which size and codec were decoded in which time; empty if decoding failed.
    isolation
        What confines a decoding process; only notes if there is none.
    """

    checks: list[Check] = field(default_factory=list)
    speed: dict[str, Any] = field(default_factory=dict)
    isolation: af.IsolationReport = field(default_factory=lambda: af.IsolationReport(mode="none"))

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [check.name for check in self.checks if not check.is_ok]

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as values that JSON can carry."""
        report = self.isolation
        return {
            "isolation": {
                "measures": sorted(report.measures),
                "landlock_abi": report.landlock_abi,
                "rlimits": dict(report.rlimits),
                "notes": list(report.notes),
            },
            "speed": self.speed,
            "checks": [
                {"name": check.name, "ok": check.is_ok, "detail": check.detail} for check in self.checks
            ],
        }


@dataclass(frozen=True, slots=True)
class _Clip:
    """The clip, and the hash of each of its frames."""

    data: bytes
    hashes: list[str]


async def examine() -> Findings:
    """Run the checks. One that fails does not stop the others."""
    clip, findings = await asyncio.to_thread(_bundled), Findings()
    checks: dict[str, Callable[[_Clip, Findings], Awaitable[str]]] = {
        "decode": _decode,
        "frames": _frames,
        "frames by index": _frames_by_index,
        "isolation": _isolation,
    }
    for name, check in checks.items():
        try:
            findings.checks.append(Check(name, is_ok=True, detail=await check(clip, findings)))
        except (AsyncFramesError, OSError, ValueError) as exc:
            findings.checks.append(Check(name, is_ok=False, detail=" ".join(str(exc).split())))
    return findings


def _bundled() -> _Clip:
    data = files("asyncframes") / "data"
    return _Clip((data / CLIP).read_bytes(), json.loads((data / HASHES).read_bytes())["frames"])


async def _decode(clip: _Clip, findings: Findings) -> str:
    """Measure how long a plain pass over the clip takes."""
    async with af.open_video(clip.data) as video:
        began, count = time.perf_counter(), 0
        async for _ in video.frames():
            count += 1
        seconds = time.perf_counter() - began
        info = video.info
    findings.speed = {
        "frames": count,
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "seconds": round(seconds, 4),
        "frames_per_second": round(count / seconds, 1),
    }
    return f"{count} frames of the bundled clip"


async def _frames(clip: _Clip, _: Findings) -> str:
    async with af.open_video(clip.data) as video:
        count = await _compare(video.frames(accurate_color=True), clip, range(len(clip.hashes)))
    return f"all {count} have the expected pixels"


async def _frames_by_index(clip: _Clip, _: Findings) -> str:
    return await _scattered(clip, af.Policy.trusted())


async def _isolation(clip: _Clip, findings: Findings) -> str:
    """Decode in a process, and note what confines it. No process is no failure on Windows, which has none."""
    try:
        return await _scattered(clip, replace(af.Policy.trusted(), isolation="process"), findings)
    except IsolationError as exc:
        findings.isolation = af.IsolationReport(mode="none", notes=(str(exc),))
        if sys.platform != "win32":
            raise
    return "there is none on this system: videos are decoded in threads"


async def _scattered(clip: _Clip, policy: af.Policy, findings: Findings | None = None) -> str:
    async with af.open_video(clip.data, policy=policy) as video:
        if findings is not None:
            findings.isolation = video.isolation
        await _compare(video.frames(indices=_SCATTERED, accurate_color=True), clip, _SCATTERED)
    return f"frames {', '.join(map(str, _SCATTERED))} have the expected pixels"


async def _compare(frames: AsyncIterator[af.Frame], clip: _Clip, expected: range | list[int]) -> int:
    """Count frames, which must be the expected ones.

    Raises
    ------
    ValueError
        A frame has other pixels than were expected, or frames are missing.
    """
    found = {frame.index: await asyncio.to_thread(hash_of, frame.image) async for frame in frames}
    wrong = [index for index in expected if found.get(index) != clip.hashes[index]]
    if wrong or len(found) != len(expected):
        first = f": frame {wrong[0]} is the first" if wrong else ""
        raise ValueError(f"{len(wrong)} of {len(expected)} frames differ from the expected ones{first}")
    return len(found)


def hash_of(image: af.Image) -> str:
    """Return a short hash of an image's pixels."""
    return blake2b(image.tobytes(), digest_size=8).hexdigest()
