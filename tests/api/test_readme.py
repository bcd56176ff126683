"""README.md: its Python blocks run, its commands are the ones that CI runs, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests._servers import RunningServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLE_URL = "https://example.com/video.mp4"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with RunningServer() as running:
        running.serve("/video.mp4", files("asyncframes.data").joinpath("bunny.mp4").read_bytes())
        yield running


@pytest.mark.parametrize("block", blocks("python"))
def test_python_blocks_run(block: str, server: RunningServer, tmp_path: Path) -> None:
    """Each block is a whole program, given a video.mp4 beside it and its URL served from here."""
    (tmp_path / "video.mp4").write_bytes(files("asyncframes.data").joinpath("bunny.mp4").read_bytes())
    program = block.replace(EXAMPLE_URL, server.url("/video.mp4"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # asyncio's debug mode names callbacks that took long, which is the machine's doing.
    assert not [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]


def test_ci_runs_the_test_command() -> None:
    """The command that README gives for the tests is a line of `.ci/run`, word for word."""
    command = blocks("sh")[1].strip()
    assert "nox" in command
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_links_and_pictures_are_there() -> None:
    """What README points to inside the project exists."""
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert local
    assert all((ROOT / target).exists() for target in local)


def test_the_distribution_is_named_rightly() -> None:
    """No text tells people to install the other project of that name."""
    texts = [path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("asyncframes/**/*.py")]]
    assert not any(re.search(r"pip install ['\"]?asyncframes['\"]?(\[|\s|$)", text, re.M) for text in texts)
