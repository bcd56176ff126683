"""The programs of README's cookbook: a service, a sampler, a training loop and a notebook."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import imageio.v3 as iio
import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.streams.clips import clip_bytes, painted_index

EXAMPLES = Path(__file__).parents[2] / "examples"
FRAMES = 100


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES))
    return path


@pytest.fixture
async def service(clip: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the thumbnail service, which runs in this process."""
    monkeypatch.setenv("VIDEOS", str(clip.parent))
    spec = importlib.util.spec_from_file_location("thumbnail_service", EXAMPLES / "thumbnail_service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # FastAPI looks annotations up in the module.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    transport = httpx.ASGITransport(app=module.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://thumbnails") as client:
        yield client


@pytest.mark.anyio
async def test_a_service_gives_the_frame_that_is_shown(service: httpx.AsyncClient) -> None:
    """At a time, in the width asked for."""
    reply = await service.get("/thumbnail", params={"name": "clip.mp4", "seconds": 1.21, "width": 192})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["x-frame-index"] == "30"
    image = iio.imread(io.BytesIO(reply.content))
    assert image.shape == (128, 192, 3)
    assert painted_index(image) == 30


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"name": "clip.mp4", "seconds": 5000}, 404),
        ({"name": "none.mp4"}, 404),
        ({"name": "../../../etc/passwd"}, 404),
        ({"name": "broken.mp4"}, 422),
        ({"name": "clip.mp4", "width": 99999}, 422),
    ],
    ids=str,
)
async def test_a_service_refuses_by_status(
    service: httpx.AsyncClient, clip: Path, params: dict[str, str | int], status: int
) -> None:
    """What is not there, what is no video, and what is out of bounds."""
    (clip.parent / "broken.mp4").write_bytes(b"no video")
    assert (await service.get("/thumbnail", params=params)).status_code == status


def run(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sampler_says_which_frames_it_took(clip: Path) -> None:
    """Eight frames of four seconds, with sides that are multiples of 28."""
    said = run("video_sampler.py", clip)
    assert said.startswith("(8, 56, 84, 3) ")
    assert "'frames_indices': [0, 12, 25, 37, 50, 62, 75, 87]" in said


def test_a_training_loop_ends(clip: Path) -> None:
    """Two epochs in two worker processes."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed (extra torch)")
    said = run("training_loader.py", clip, clip)
    assert said.count("epoch 0: (4, 8, 3, 112, 112)") == said.count("epoch 1: ") == 2


def test_a_notebook_shows_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs, and frames and sheets show themselves."""
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(EXAMPLES / "look_at_a_video.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": os.fspath(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output["output_type"] for output in outputs] == ["execute_result"] * 4
    pictures = [output for output in outputs if "image/png" in output["data"]]
    assert len(pictures) == 2
    assert "(8, 126, 224, 3)" in outputs[-1]["data"]["text/plain"]
