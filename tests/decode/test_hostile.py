"""Small and large files that claim more than they hold: frames or a named error, within bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.exact.corpus import SHARED
from tests.support.memory import PEAK
from tests.support.streams.hostile import MADE

HOSTILE = SHARED / "hostile"
KEPT = sorted(path for path in HOSTILE.glob("*") if path.suffix != ".md")

ACTIONS = ("open", "count", "first", "last", "fps")
MOST_CPU_SECONDS = 5.0
MOST_MEGABYTES = 300

_SCRIPT = f"""
import asyncio, json, sys, time
import asyncframes as af
{PEAK}
async def act(path, action):
    async with af.open_video(path) as video:
        if action == "count":
            return await video.count()
        if action == "first":
            return (await video.frame(0)).index
        if action == "last":
            return (await video.frame(-1)).index
        if action == "fps":
            async for frame in video.frames(fps=1):
                return frame.index
        return video.info.width

path, *actions = sys.argv[1:]
base = peak()
for action in actions:
    begun = time.process_time()
    try:
        result = asyncio.run(act(path, action))
    except (af.errors.AsyncFramesError, ValueError) as exc:
        result = f"{{type(exc).__name__}}: {{exc}}"
    print(json.dumps([action, result, time.process_time() - begun, (peak() - base) // 2**20]), flush=True)
"""


@cache
def all_measured(path: Path) -> tuple[dict[str, tuple[Any, float, int]], str]:
    """Do each thing with a file, in one process of its own; return what was measured, and what went wrong.

    That is result, CPU seconds, and megabytes as far as the peak has grown by then.
    """
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(path), *ACTIONS],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    lines = map(json.loads, done.stdout.splitlines())
    failed = f"ended with {done.returncode}: {done.stderr[-2000:]}" if done.returncode else ""
    return {action: (result, seconds, megabytes) for action, result, seconds, megabytes in lines}, failed


def measured(path: Path, action: str) -> tuple[Any, float, int]:
    """Return result, CPU seconds and megabytes of something done with a file."""
    found, failed = all_measured(path)
    assert action in found, failed
    assert failed == "" or action != ACTIONS[-1], failed
    return found[action]


def check(path: Path, action: str) -> None:
    result, seconds, megabytes = measured(path, action)
    assert megabytes < MOST_MEGABYTES, result
    assert seconds < MOST_CPU_SECONDS, result
    assert len(str(result)) < 500


def kept(path: Path) -> Any:
    """Many other tests decode damaged files, so those here are slow tests."""
    marks = [pytest.mark.slow] if path.name.startswith("damaged") else []
    return pytest.param(path, id=path.name, marks=marks)


@pytest.mark.skipif(not KEPT, reason="the hostile files (../shared/hostile) are not beside this checkout")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("path", [*map(kept, KEPT)])
def test_kept_files(path: Path, action: str) -> None:
    """Each ends in frames or an error of ours, with the default options, within bounds."""
    check(path, action)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Write one of the large files; they are removed with the folder."""
    path = tmp_path_factory.mktemp("hostile") / request.param
    MADE[request.param](path)
    yield path
    path.unlink()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("made", MADE, indirect=True)
def test_made_files(made: Path, action: str) -> None:
    """The same of those that are too large to keep."""
    check(made, action)
