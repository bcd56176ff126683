"""``asyncframes doctor``: what it reports, what it leaves out, and its status."""

from __future__ import annotations

import json
import os
import platform
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

import asyncframes as af
from asyncframes.cli import main
from asyncframes.cli.doctor import _checks, _facts
from asyncframes.errors import IsolationError

NOT_FOR_USERS = {"bench", "dev", "docs", "test"}


def report(capsys: pytest.CaptureFixture[str], *, status: int = 0) -> dict[str, Any]:
    assert main(["doctor", "--json"]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def checks_of(found: dict[str, Any]) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in found["checks"]}


def test_json_says_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    """Versions, decoders, limits, CPUs, isolation and speed, and a status of 0 where all is well."""
    found = report(capsys)
    assert found["ok"] is True
    assert set(checks_of(found).values()) == {True}
    assert found["versions"]["asyncframes"] == af.__version__
    assert found["versions"]["PyAV"] == av.__version__
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"][platform.python_implementation()] == platform.python_version()
    assert found["versions"]["libavcodec"].count(".") == 2
    assert "libdav1d" in found["decoders"]["av1"]
    assert found["limits"]["max_pixels"] == 64 * 1024**2
    assert found["cpus"] == os.cpu_count()
    assert found["speed"]["frames"] == 132
    assert found["speed"]["frames_per_second"] == pytest.approx(132 / found["speed"]["seconds"], rel=0.05)
    if sys.platform != "win32":
        assert {"process", "rlimits"} <= set(found["isolation"]["measures"])


def test_text_says_the_same_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A section per subject. What the environment contains may be secret, and stays out."""
    monkeypatch.setenv("API_TOKEN", "hush-hush")
    monkeypatch.setenv("HOME", "/home/somebody-unknown")
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in ("versions", "extras", "decoders", "limits", "CPUs", "isolation", "speed", "checks"):
        assert f"\n{name} " in f"\n{out}"
    assert f"PyAV {av.__version__}" in out
    assert "ok: frames: all 132 have the expected pixels" in out
    assert "hush-hush" not in out
    assert "somebody-unknown" not in out


def test_a_wrong_frame_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first wrong frame is named, the other checks still run, and the status is 1."""
    bundled = _checks._bundled()
    hashes = ["0" * 16 if index in {7, 9} else right for index, right in enumerate(bundled.hashes)]
    monkeypatch.setattr(_checks, "_bundled", lambda: replace(bundled, hashes=hashes))
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert "FAILED: frames: 2 of 132 frames differ from the expected ones: frame 7 is the first" in out
    assert out.count("ok: ") == 3
    assert err == "asyncframes: error: 1 of 4 checks failed: frames\n"


def test_a_clip_that_does_not_decode_fails_every_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is complete all the same."""
    bundled = _checks._bundled()
    monkeypatch.setattr(_checks, "_bundled", lambda: replace(bundled, data=b"no video" * 100))
    found = report(capsys, status=1)
    assert found["ok"] is False
    assert found["speed"] == {}
    assert set(checks_of(found).values()) == {False}


def test_a_process_that_does_not_start_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where processes exist, one that fails is a fault of the installation."""

    def fail(*_: object) -> None:
        raise IsolationError("the decoding process does not start: no such thing")

    monkeypatch.setattr(_checks, "_scattered", fail)
    found = report(capsys, status=1)
    assert found["isolation"]["measures"] == []
    assert found["isolation"]["notes"] == ["the decoding process does not start: no such thing"]
    assert checks_of(found)["isolation"] is False


def test_no_isolation_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows has none, which is no fault."""
    windows = SimpleNamespace(platform="win32")
    monkeypatch.setattr("asyncframes._video_arguments.sys", windows)
    monkeypatch.setattr(_checks, "sys", windows)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "isolation   none\n            isolation='process' is not available on Windows" in out
    assert "ok: isolation: there is none on this system" in out


def test_every_extra_is_looked_for() -> None:
    """The extras are those of pyproject.toml, with the same packages."""
    path = Path(__file__).parents[2] / "pyproject.toml"
    if not path.is_file():
        pytest.skip("runs from a checkout")
    declared = tomllib.loads(path.read_text())["project"]["optional-dependencies"]
    packages = {
        extra: tuple(line.partition(">=")[0].partition("[")[0] for line in lines)
        for extra, lines in declared.items()
        if extra not in NOT_FOR_USERS
    }
    assert packages == _facts.EXTRAS


def test_a_missing_package_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON, what is not installed has no version."""
    monkeypatch.setattr(_facts, "EXTRAS", {"more": ("numpy", "no-such-package")})
    assert _facts.facts()["extras"] == {"more": {"numpy": np.__version__, "no-such-package": None}}
