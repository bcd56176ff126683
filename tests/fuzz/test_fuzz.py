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

from tests._corpus import SHARED
from tests.fuzz._report import FAULTS, signature
from tests.fuzz._run import Fuzzer, Result
from tests.fuzz._seeds import MADE

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


@pytest.mark.xfail(reason="codec threads wait for a collection after an error, and provisional tables")
@pytest.mark.timeout(600)
def test_random_damage_ends_in_right_frames_or_a_named_error(clips: Path) -> None:
    """The same damage in every run; `benchmarks/fuzz.py --made-only --seed 20261125 --only CASE` tells."""
    start = time.monotonic()

    def cases() -> Iterator[dict[str, Any]]:
        for case in range(MOST_CASES):
            if time.monotonic() - start > SECONDS:
                return
            yield {"case": case}

    faults = run(cases(), clips, with_files=False)
    assert [(result.case, signature(result), result.detail[:3]) for result in faults] == []


def _regressions() -> list[Any]:
    return [pytest.param(one, id=f"{one['name']}-{one['case']}") for one in REGRESSIONS]


def _is_there(name: str) -> bool:
    return name in MADE or any((SHARED / folder / name).exists() for folder in ("corpus", "found", "hostile"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kept", _regressions())
def test_damage_that_once_went_wrong_is_right(kept: dict[str, Any], clips: Path) -> None:
    """Each was a fault: `was` says which."""
    others = [edit["other"] for edit in kept["edits"] if "other" in edit]
    if not all(_is_there(name) for name in (kept["name"], *others)):
        pytest.skip("the real files (../shared) are not beside this checkout")
    faults = run(iter([kept]), clips, with_files=True)
    assert [(signature(result), result.detail[:6]) for result in faults] == []
