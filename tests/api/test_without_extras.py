"""What the package does without its extras; `nox -s tests-bare` runs this where none is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

EXTRAS = {
    "obstore": "cloud",
    "fsspec": "fsspec",
    "landlockpy": "isolation",
    "seccompy": "isolation",
    "dotenv": "supervisely",
    "torch": "torch",
    "ray": "ray",
}
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({list(EXTRAS)}))\n"
"""Has Python take packages as absent that are there."""

USE = """
import asyncframes as af
import asyncframes.cli, asyncframes.supervisely

with af.sync.open_video(sys.argv[1]) as video:
    assert video.frame(3).image.shape == (video.info.height, video.info.width, 3)
print(video.info.width)
"""
MISSING = """
import asyncframes as af

address = sys.argv[1]
try:
    source = af.sources.FsspecSource(address) if address.startswith("sftp") else address
    with af.sync.open_video(source):
        pass
except af.errors.MissingExtraError as error:
    print(error.extra, "|", error)
"""


def run(program: str, argument: str, folder: Path) -> str:
    """Run a program without extras, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT + program, argument],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_frames_need_no_extra(tmp_path: Path) -> None:
    """Everything public is imported, and a local video read."""
    clip = str(files("asyncframes.data").joinpath("bunny.mp4"))
    assert int(run(USE, clip, tmp_path)) > 0


@pytest.mark.parametrize(
    ("address", "extra"),
    [
        ("s3://bucket/clip.mp4", "cloud"),
        ("gs://bucket/clip.mp4", "cloud"),
        ("az://container/clip.mp4", "cloud"),
        ("sftp://host/clip.mp4", "fsspec"),
    ],
)
def test_a_missing_extra_is_named(address: str, extra: str, tmp_path: Path) -> None:
    """The error says what to install, by the distribution's name."""
    named, _, message = run(MISSING, address, tmp_path).partition(" | ")
    assert named == extra
    assert f"asyncframes-video[{extra}]" in message


ENGINE = """
import importlib

from asyncframes.errors import MissingExtraError

try:
    importlib.import_module(sys.argv[1])
except MissingExtraError as error:
    print(error.extra, "|", error)
"""


@pytest.mark.parametrize("name", ["torch", "ray"])
def test_engines_need_an_extra(name: str, tmp_path: Path) -> None:
    """Importing their module names it; the package itself never imports them."""
    named, _, message = run(ENGINE, f"asyncframes.{name}", tmp_path).partition(" | ")
    assert named == name
    assert f"asyncframes-video[{name}]" in message
