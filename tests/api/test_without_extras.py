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
    "prometheus_client": "web",
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


SERVE = """
import asyncio

import aiohttp
from aiohttp import web

from asyncframes.web import frame_app


async def main():
    runner = web.AppRunner(frame_app({"clip": sys.argv[1]}.get))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
        for path in ("/v/clip/frames/3.jpg", "/metrics"):
            async with client.get(path) as reply:
                print(reply.status, await reply.text() if reply.status > 200 else "")
    await runner.cleanup()


asyncio.run(main())
"""


def test_frames_are_served_without_metrics(tmp_path: Path) -> None:
    """Only the numbers for Prometheus need an extra, which the answer names."""
    clip = str(files("asyncframes.data").joinpath("bunny.mp4"))
    frame, metrics = run(SERVE, clip, tmp_path).splitlines()
    assert frame.strip() == "200"
    assert metrics.startswith("501")
    assert "asyncframes-video[web]" in metrics


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
