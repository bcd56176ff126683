"""Run one workload with all contestants in turn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks.contest.checking import Check, Truth, check
from benchmarks.contest.running import FailedError, Found, Rounds, contest, in_turn, work
from benchmarks.contest.workloads import Workload
from benchmarks.peers import CONTESTANTS
from benchmarks.peers.job import Clip, Job
from benchmarks.probes import Probe
from benchmarks.probes.base import Variant
from benchmarks.servers.platform import PlatformServer, served

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a workload or a probe.

    Attributes
    ----------
    clips
        The videos, for the reader.
    rows
        The figures of each contestant or variant by name, one from each round.
    columns
        Heading and unit of each figure.
    absent
        Which contestants are left out, and why.
    checks
        What the check before the first round found.
    """

    title: str
    clips: list[Clip]
    rows: Rounds
    columns: dict[str, tuple[str, str]]
    absent: dict[str, str]
    checks: dict[str, Check] = field(default_factory=dict)

    def with_absent(self, absent: dict[str, str]) -> Measured:
        """Return a copy that leaves out more contestants."""
        return replace(self, absent=absent | self.absent)


def run_contest(
    workload: Workload, key: str, clip: Clip, names: list[str], rounds: int, say: Say
) -> Measured:
    """Check and time all contestants that can do a workload."""
    absent = {name: why for name in names if (why := _lack(name, key, workload))}
    with served(Path(clip.path), round_trip_seconds=workload.round_trip_seconds) as (server, url):
        jobs = {name: _job(name, workload, clip, url) for name in names if name not in absent}
        checks = _checked(workload, clip, jobs, absent, say)
        calls = {name: partial(_timed, name, workload, jobs[name], server) for name in checks}
        rows, failed = in_turn(calls, rounds, say)
    return Measured(workload.title, [clip], rows, workload.columns, absent | failed, checks)


def _lack(name: str, key: str, workload: Workload) -> str | None:
    lacks = CONTESTANTS[name].lacks
    return lacks.get(key) or lacks.get(workload.method)


def _job(name: str, workload: Workload, clip: Clip, url: str) -> Job:
    address = url if workload.remote else clip.path
    if CONTESTANTS[name].on_platform:
        address = url.rpartition("/")[0]
    return Job(
        address,
        clip,
        indices=workload.indices(clip.frames),
        size=list(workload.size or ()),
        clip_frames=workload.clip_frames,
        at_once=workload.at_once,
        ext=workload.ext,
    )


def _checked(
    workload: Workload, clip: Clip, jobs: dict[str, Job], absent: dict[str, str], say: Say
) -> dict[str, Check]:
    """Run each contestant once; add those that fail to `absent`."""
    truth = Truth(clip, workload)
    checks = {}
    for name, job in jobs.items():
        try:
            checks[name] = check(name, workload, job, truth)
            say(f"checked {name}: {checks[name].differs or 'the same frames'}")
        except FailedError as exc:
            absent[name] = str(exc)
            say(f"checked {name}: {exc}")
    return checks


def _timed(name: str, workload: Workload, job: Job, server: PlatformServer) -> Found:
    """Run a workload once; return its seconds, and the bytes fetched and written."""
    before = server.bytes_sent
    with tempfile.TemporaryDirectory() as folder:
        found = contest(name, workload.method, replace(job, directory=folder))
        files = [path.stat().st_size for path in Path(folder).glob(f"*.{workload.ext}")]
    figures = {name: found[name] for name in workload.columns if name in found}
    if workload.remote:
        figures["bytes"] = server.bytes_sent - before
    if files:
        figures["file_bytes"] = sum(files)
    return figures


def run_probe(probe: Probe, clips: dict[str, Clip], rounds: int, say: Say) -> Measured:
    """Measure all variants of a probe."""
    calls = {name: partial(_probed, variant, clips[name], probe) for name, variant in probe.variants.items()}
    rows, failed = in_turn(calls, rounds, say)
    videos = {clip.path: clip for clip in clips.values()}
    return Measured(probe.title, list(videos.values()), rows, probe.columns, failed)


def _probed(variant: Variant, clip: Clip, probe: Probe) -> Found:
    with served(Path(clip.path)) as (server, url):
        job = Job(clip.path, clip, url=url, options=probe.options)
        found: Found = work(sys.executable, "probe", variant.name, job.to_json())
        return found | {"bytes": server.bytes_sent, "requests": server.requests}
