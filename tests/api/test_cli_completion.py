"""``asyncframes completion``: what a shell completes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asyncframes.cli import main
from asyncframes.cli.completion import SHELLS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    pytest.importorskip("shtab", reason="shtab is not installed (extra completion)")
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_name_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For each shell."""
    text = script(shell, capsys)
    for word in ("extract-many", "doctor", "indices", "table-cache"):
        assert word in text


@pytest.mark.skipif(sys.platform == "win32", reason="no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["extr"], ["extract", "extract-many"]),
        (["extract", "--ind"], ["--indices"]),
        (["extract", "--overwrite", "s"], ["skip"]),
        (["info", "fil"], ["film.mp4"]),
    ],
)
def test_bash_completes(
    words: list[str], expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, options, choices and paths."""
    (tmp_path / "asyncframes.bash").write_text(script("bash", capsys))
    (tmp_path / "film.mp4").touch()
    program = (
        f"source ./asyncframes.bash; COMP_WORDS=(asyncframes {' '.join(words)}); COMP_CWORD={len(words)}; "
        '_shtab_asyncframes; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to install, and no script."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "pip install 'asyncframes-video[completion]'" in err


def test_other_shells_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By name."""
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "tcsh"])
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
