"""Every program in benchmarks/ starts as a module, and its folders stay small."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
MODULES = sorted(BENCHMARKS.rglob("*.py"))
MAIN_GUARD = 'if __name__ == "__main__":'
REQUIRED = {"benchmarks.fuzz_parsers": "atheris"}
"""Packages that a program needs and nox installs for it alone."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


PROGRAMS = [name_of(path) for path in MODULES if MAIN_GUARD in path.read_text()]


def test_programs_are_found() -> None:
    """The names that README, docs and noxfile.py use."""
    assert {"benchmarks.bench_frames", "benchmarks.exactness", "benchmarks.fuzz"} <= set(PROGRAMS)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_from_the_root_of_a_clone(program: str) -> None:
    """``--help`` imports all that the program imports at its top."""
    if (package := REQUIRED.get(program)) and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", program, "-help=1" if package else "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:") or package


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_changes_where_imports_come_from(path: Path) -> None:
    """Programs run as modules, so Python finds `benchmarks` and `tests` by itself."""
    named = {
        ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
    }
    assert "sys.path" not in named


@pytest.fixture
def from_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import `benchmarks` as a program in the clone does: it is not installed."""
    monkeypatch.syspath_prepend(ROOT)


@pytest.mark.usefixtures("from_clone")
def test_goals_and_gaps_name_what_is_measured() -> None:
    """Each goal is about a workload or a probe, and a contestant lacks only what there is."""
    from benchmarks.contest.goals import goals
    from benchmarks.contest.workloads import Sizes, workloads
    from benchmarks.peers import CONTESTANTS
    from benchmarks.probes import probes

    contests = workloads(Sizes())
    known = {*contests, *probes(Sizes())}
    assert {goal.subject for goal in goals()} <= known
    methods = {workload.method for workload in contests.values()}
    for contestant in CONTESTANTS.values():
        assert set(contestant.lacks) <= known | methods, contestant.name
        assert all(callable(getattr(contestant, method)) for method in methods)


@pytest.mark.usefixtures("from_clone")
def test_clips_are_whole_and_within_the_video() -> None:
    """All clips of a job have the same stride, and none reaches past the end."""
    from benchmarks.contest.workloads import CLIP_FRAMES, CLIP_STRIDE, Sizes, workloads
    from benchmarks.peers.job import Clip, Job

    indices = workloads(Sizes())["clips"].indices(264)
    job = Job("", Clip("", 264, 1, 1, "25", 0), indices=indices, clip_frames=CLIP_FRAMES)
    assert len(job.clips()) == Sizes().clips
    assert all(np.all(np.diff(clip) == CLIP_STRIDE) and clip[-1] < 264 for clip in job.clips())


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    """A folder of more than 14 modules besides its ``__init__`` has a second subject."""
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 14
