"""Run measurements in processes of their own, in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from benchmarks.peers.job import Job

WORKER = "benchmarks.worker"
TIMEOUT_SECONDS = 1800

INTERPRETERS = {"supervisely": "SUPERVISELY_SDK_PYTHON", "torchcodec-0.13": "TORCHCODEC_CPU_PYTHON"}
"""Variables with the interpreters of contestants that cannot be installed beside the others."""

Found: TypeAlias = dict[str, float]
Rounds: TypeAlias = dict[str, dict[str, list[float]]]
"""The figures of each variant by name, one from each round."""


class FailedError(Exception):
    """A process ended without a result; the message has the reason."""


def work(python: str, *arguments: str) -> dict[str, Any]:
    """Run `benchmarks.worker` in a new process, and return its result."""
    try:
        done = subprocess.run(
            [python, "-m", WORKER, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as exc:
        raise FailedError(f"no end within {TIMEOUT_SECONDS} s") from exc
    if done.returncode:
        raise FailedError(_reason(done.stderr) or f"crashed ({done.returncode})")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _reason(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line and not line.startswith((" ", "["))]
    return lines[-1][:160] if lines else ""


def python_of(name: str) -> str:
    """Return the interpreter that a contestant runs in.

    Raises
    ------
    FailedError
        There is no such interpreter.
    """
    if name not in INTERPRETERS:
        return sys.executable
    if python := os.environ.get(INTERPRETERS[name]):
        return python
    raise FailedError(f"{INTERPRETERS[name]} names no interpreter")


def present(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of the contestants that are installed, and why the others are left out."""
    versions, absent = {}, {}
    for name in names:
        try:
            versions[name] = work(python_of(name), "version", name)["version"]
        except FailedError as exc:
            absent[name] = str(exc)
    return versions, absent


def contest(name: str, method: str, job: Job, *kept: str) -> Found:
    """Run one workload of one contestant."""
    return work(python_of(name), "contest", name, method, job.to_json(), *kept)


def in_turn(
    calls: Mapping[str, Callable[[], Found]], rounds: int, say: Callable[[str], None]
) -> tuple[Rounds, dict[str, str]]:
    """Make all calls in turn: one round to warm up, and then `rounds` that count.

    Returns
    -------
    tuple
        The figures, and the reason for each call that failed.
    """
    found: Rounds = {name: {} for name in calls}
    failed: dict[str, str] = {}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            if name in failed:
                continue
            try:
                figures = call()
            except FailedError as exc:
                failed[name] = str(exc)
                continue
            say(f"round {turn or 'warm-up'}, {name}: {figures.get('seconds', 0):.3f} s")
            for figure, value in figures.items() if turn else ():
                found[name].setdefault(figure, []).append(value)
    return {name: figures for name, figures in found.items() if name not in failed}, failed
