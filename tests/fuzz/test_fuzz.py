"""Damaged files give the frames of one codec thread, or an error of the library, and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz._report import FAULTS, signature
from tests.fuzz._run import Fuzzer, Result
from tests.fuzz._seeds import MADE
from tests.support.exact.corpus import SHARED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc"),
]

SEED = 20261125
MOST_CASES = 600
SECONDS = 60.0
"""When no further case is started, however slow the machine is."""

REGRESSIONS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("regressions.json").read_text())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def run(cases: Iterator[dict[str, Any]], clips: Path, *, with_files: bool) -> list[Result]:
    """Run cases, and return those that end in a fault."""
    found: list[Result] = []
    fuzzer = Fuzzer(seed=SEED, jobs=2, timeout_seconds=120, clips=clips, with_files=with_files)
    asyncio.run(fuzzer.run(cases, found.append))
    assert found
    return [result for result in found if result.kind in FAULTS]


@pytest.mark.timeout(600)
def test_random_damage_ends_in_right_frames_or_a_named_error(clips: Path) -> None:
    """The damage is the same in every run.

    ``python -m benchmarks.fuzz --made-only --seed 20261125 --only N`` runs case N again.
    """
    start = time.monotonic()

    def cases() -> Iterator[dict[str, Any]]:
        for case in range(MOST_CASES):
            if time.monotonic() - start > SECONDS:
                return
            yield {"case": case}

    faults = run(cases(), clips, with_files=False)
    assert [(result.case, signature(result), result.detail[:3]) for result in faults] == []


def _is_there(case: dict[str, Any]) -> bool:
    names = {case["name"], *(edit["other"] for edit in case["edits"] if "other" in edit)}
    folders = [SHARED / folder for folder in ("corpus", "found", "hostile")]
    return all(name in MADE or any((folder / name).exists() for folder in folders) for name in names)


@pytest.mark.timeout(600)
def test_damage_that_once_went_wrong_is_right(clips: Path) -> None:
    """Each of these was a fault, of which `was` tells; those of real files are tried where these are."""
    cases = [case for case in REGRESSIONS if _is_there(case)]
    faults = run(iter(cases), clips, with_files=True)
    assert [(result.case, result.name, signature(result), result.detail[:6]) for result in faults] == []
