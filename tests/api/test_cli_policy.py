"""The command line with a policy: ``--untrusted`` and single limits."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import asyncframes as af
from asyncframes.cli import _parser, main
from asyncframes.cli._policy import policy_of
from tests.support.streams.clips import clip_bytes

TRUSTED, UNTRUSTED = af.Policy.trusted(), af.Policy.untrusted()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=12))
    return path


def test_the_command_line_takes_a_policy() -> None:
    """`--untrusted`, and single limits with it or alone."""
    parse = partial(_parser().parse_args)
    assert policy_of(parse(["info", "a.mp4"])) is None
    assert policy_of(parse(["info", "a.mp4", "--untrusted"])) == UNTRUSTED
    asked = ["table", "a.mp4", "--untrusted", "--allow-scheme", "file", "--only-host", "10.0.0.0/8"]
    expected = replace(UNTRUSTED, schemes={"data", "file", "http", "https"}, hosts={"10.0.0.0/8"})
    assert policy_of(parse(asked)) == expected
    asked = ["info", "a.mp4", "--isolation", "process", "--require-isolation", "rlimits"]
    expected = replace(TRUSTED, isolation="process", require_isolation={"rlimits"})
    assert policy_of(parse(asked)) == expected
    asked = ["info", "a.mp4", "--untrusted", "--require-isolation=seccomp", "--require-isolation=rlimits"]
    assert policy_of(parse(asked)) == replace(UNTRUSTED, require_isolation={"rlimits", "seccomp"})
    asked = ["info", "a.mp4", "--untrusted", "--isolation", "none"]
    assert policy_of(parse(asked)) == replace(UNTRUSTED, isolation="none")
    asked = ["sheet", "a.mp4", "a.png", "--max-pixels", "9"]
    assert policy_of(parse(asked)) == replace(TRUSTED, max_pixels=9)


def test_the_command_line_refuses_what_a_policy_does(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason on one line, and nothing written."""
    out = tmp_path / "out"
    assert main(["extract", str(path), str(out), "--untrusted"]) == 1
    assert "the policy does not allow local files" in capsys.readouterr().err
    assert main(["info", str(path), "--max-pixels", "9"]) == 1
    assert "--max-pixels 9" in capsys.readouterr().err
    listed = tmp_path / "videos.txt"
    listed.write_text(f"{path}\n")
    assert main(["extract-many", f"@{listed}", str(out), "--untrusted"]) == 1
    assert "the policy does not allow local files" in capsys.readouterr().err
    assert not any(out.rglob("*.png"))
    assert main(["extract", str(path), str(out), "--untrusted", "--allow-scheme", "file", "--end", "1"]) == 0
    assert len(list(out.glob("*.png"))) == 2


def test_info_tells_what_confines_the_decoder(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If that is a process, as text and as JSON."""
    assert main(["info", str(path)]) == 0
    assert "isolation" not in capsys.readouterr().out
    assert main(["info", str(path), "--json", "--isolation", "none"]) == 0
    assert "isolation" not in json.loads(capsys.readouterr().out)
    isolated = ["info", str(path), "--untrusted", "--allow-scheme", "file"]
    assert main(isolated) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("isolation")]
    assert re.match(r"isolation +process: .*rlimits", line)
    assert main([*isolated, "--json", "--require-isolation", "rlimits"]) == 0
    report = json.loads(capsys.readouterr().out)["isolation"]
    assert af.IsolationReport.from_dict(report).mode == "process"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--isolation", "thread"], "argument --isolation: invalid choice: 'thread'"),
        (["--require-isolation", "jail"], "argument --require-isolation: invalid choice: 'jail'"),
        (["--require-isolation", "seccomp"], "expected --untrusted or --isolation process too"),
        (
            ["--untrusted", "--isolation", "none", "--require-isolation", "seccomp"],
            "expected --untrusted or --isolation process too",
        ),
        (["--allow-scheme", "file"], "argument --allow-scheme: expected --untrusted too"),
        (["--only-host", "http://a"], "argument --only-host: 'http://a' is invalid"),
        (["--max-pixels", "0"], "argument --max-pixels: expected a number above 0"),
    ],
)
def test_the_command_line_explains_wrong_usage(
    options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is opened."""
    with pytest.raises(SystemExit) as caught:
        main(["info", "nowhere.mp4", *options])
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err
