"""``require_isolation``: what happens where the system lacks what a policy asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

import asyncframes as af
from asyncframes._isolation import worker
from asyncframes._isolation.workers import workers
from tests.support.isolation import end_idle_processes
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio

LACKING = "sys.modules.update(dict.fromkeys(['landlockpy', 'seccompy']))\nfrom asyncframes"


@pytest.fixture
async def without_extra(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Have decoding processes lack the packages of the extra ``isolation``."""
    monkeypatch.setattr(worker, "_PROGRAM", worker._PROGRAM.replace("from asyncframes", LACKING, 1))
    end_idle_processes()
    yield
    end_idle_processes()


async def test_a_process_that_lacks_a_measure_is_refused(without_extra: None) -> None:
    """With an error that names the measure and the remedy, before the process is told of the video."""
    required = replace(af.Policy.untrusted(), require_isolation={"rlimits", "seccomp"})
    for _ in range(2):
        with pytest.raises(af.errors.IsolationError, match=r"not confined by seccomp.*pip install") as caught:
            async with af.open_video(clip_bytes(frames=2), policy=required):
                pass
        assert caught.value.limit == "require_isolation"
        assert caught.value.allowed == ["rlimits", "seccomp"]
        assert "seccomp" not in str(caught.value.found)
    [kept] = workers()._idle
    assert kept.videos == 2
    assert kept.is_alive


async def test_a_process_that_has_all_of_them_is_not(without_extra: None) -> None:
    """Its report tells what confines it, and what is missing and why."""
    required = replace(af.Policy.untrusted(), require_isolation={"rlimits"})
    async with af.open_video(clip_bytes(frames=2), policy=required) as video:
        report = video.isolation
    assert "rlimits" in report.measures
    assert not report.measures & {"landlock", "seccomp"}
    assert [note for note in report.notes if "seccompy is missing" in note]
