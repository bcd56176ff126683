"""Rows of frames become files, each whole, wherever they go."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from asyncframes.errors import FrameExistsError, FrameWriteError
from tests.support.servers.s3 import ACCESS, BUCKET, S3Server, moto_server
from tests.support.streams.clips import clip_bytes, painted_index

pytest.importorskip("ray.data", reason="Ray is not installed: pip install 'asyncframes-video[ray]'")
cloudpickle: Any = pytest.importorskip("ray.cloudpickle")
afr: Any = pytest.importorskip("asyncframes.ray")

from asyncframes.ray._writing import default_name  # noqa: E402 - needs Ray

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    path = tmp_path_factory.mktemp("clips") / "clip.one.mp4"
    path.write_bytes(clip_bytes(frames=8))
    (path.parent / "none.mp4").write_bytes(b"none")
    source = afr.VideoFrames(path.parent, on_error="column", batch_frames=3)
    return [block for task in source.get_read_tasks(1) for block in task()]


def write(blocks: list[Any], target: Any, *, task: int = 0, **options: Any) -> Any:
    """Do what Ray does: on the driver, and in a task that gets the sink pickled."""
    sink = afr.FrameFiles(target, **options)
    sink.on_write_start(blocks[0].schema)
    cloudpickle.loads(cloudpickle.dumps(sink)).write(iter(blocks), SimpleNamespace(task_idx=task))
    return sink


def shown(data: bytes) -> int:
    return painted_index(np.asarray(Image.open(io.BytesIO(data))))


@pytest.fixture(params=["directory", "fsspec", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A place for files: its address, options, and a function that returns them by path."""
    if request.param == "directory":

        def read() -> dict[str, bytes]:
            found = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
            return {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in found}

        yield tmp_path / "out", {}, read
    elif request.param == "fsspec":
        files = pytest.importorskip("fsspec").filesystem("memory")
        yield (
            "memory://out/deep",
            {},
            lambda: {
                name.removeprefix("/out/deep/"): files.cat_file(name) for name in files.find("/out/deep")
            },
        )
        files.rm("/out", recursive=True)
    else:
        server: S3Server = request.getfixturevalue("s3")
        obstore = pytest.importorskip("obstore")
        options = {**ACCESS, "endpoint": server.endpoint, "client_options": {"allow_http": True}}
        store = obstore.store.S3Store(BUCKET, prefix=f"out/{tmp_path.name}", **options)
        yield (
            f"s3://{BUCKET}/out/{tmp_path.name}",
            options,
            lambda: {
                one["path"]: bytes(obstore.get(store, one["path"]).bytes())
                for chunk in obstore.list(store)
                for one in chunk
            },
        )


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


def test_each_row_is_a_file(blocks: list[Any], place: Any) -> None:
    """It is named after its source and index, and shows its frame; a row without an image has none."""
    target, options, read = place
    write(blocks, target, ext="png", storage_options=options)
    found = read()
    assert len(found) == 8
    assert {name.partition("-")[0] for name in found} == {"clip_one_mp4"}
    assert {int(name[-10:-4]): shown(data) for name, data in found.items()} == {i: i for i in range(8)}


def test_a_place_with_files_is_refused_or_completed(blocks: list[Any], place: Any) -> None:
    """``error`` refuses it when the job starts, ``skip`` keeps what is there, ``replace`` replaces it."""
    target, options, read = place
    write(blocks, target, storage_options=options)
    with pytest.raises(FrameExistsError, match="has files already"):
        write(blocks, target, storage_options=options)
    first = read()
    sink = afr.FrameFiles(target, overwrite="skip", quality=20, storage_options=options)
    name = sorted(first)[0]
    sink._target.put(name, b"mine")
    write(blocks, target, overwrite="skip", quality=20, storage_options=options)
    assert read() == {**first, name: b"mine"}
    write(blocks, target, overwrite="replace", quality=20, storage_options=options)
    assert set(read()) == set(first)
    assert all(data != first[name] for name, data in read().items())


def test_shards_are_for_webdataset(blocks: list[Any], place: Any) -> None:
    """Each image has a JSON file beside it; a task that runs again writes the same shards."""
    target, options, read = place
    write(blocks, target, task=3, frames_per_shard=5, storage_options=options)
    write(blocks, target, task=3, frames_per_shard=5, overwrite="replace", storage_options=options)
    found = read()
    assert sorted(found) == ["000003-000000.tar", "000003-000001.tar"]
    members = {}
    for data in found.values():
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for one in tar:
                file = tar.extractfile(one)
                assert file is not None
                members[one.name] = file.read()
    images = [shown(data) for name, data in members.items() if name.endswith(".jpg")]
    facts = [json.loads(data) for name, data in members.items() if name.endswith(".json")]
    assert images == [one["index"] for one in facts] == [*range(8)]
    assert set(facts[0]) == {"index", "pts_seconds", "source", "error"}
    write(blocks, target, task=3, frames_per_shard=5, overwrite="skip", quality=5, storage_options=options)
    assert read() == found


def test_encoded_images_are_stored_unchanged(tmp_path: Path) -> None:
    """What `read_frames` encoded is not decoded and encoded again."""
    (tmp_path / "clip.mp4").write_bytes(clip_bytes(frames=2))
    [task] = afr.VideoFrames(tmp_path / "clip.mp4", encode="jpg").get_read_tasks(1)
    write([*task()], tmp_path / "out", name=lambda row: f"{row['index']}")
    with af.sync.open_video(tmp_path / "clip.mp4") as video:
        assert (tmp_path / "out" / "1.jpg").read_bytes() == video.frame(1).encode("jpg")


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ""])
def test_names_stay_below_the_target(blocks: list[Any], tmp_path: Path, name: str) -> None:
    """A name that leads elsewhere is refused."""
    with pytest.raises(FrameWriteError, match="is no path below the target"):
        write(blocks, tmp_path / "out", name=lambda row: name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ext": "xyz"}, "xyz"),
        ({"overwrite": "never"}, "overwrite='never'"),
        ({"frames_per_shard": 0}, "frames_per_shard=0"),
        ({"image_format": "bgr24"}, "the encoders take RGB"),
    ],
)
def test_options_are_checked_on_the_driver(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """A wrong option is refused when the sink is made."""
    with pytest.raises(ValueError, match=message):
        afr.FrameFiles(tmp_path, **options)


def test_a_dataset_without_images_is_refused(blocks: list[Any], tmp_path: Path) -> None:
    """The error names the columns that there are."""
    with pytest.raises(FrameWriteError, match="column='picture': the dataset has image, index"):
        write(blocks, tmp_path, column="picture")


def test_default_names_tell_sources_apart() -> None:
    """Sources of the same last part have different folders, of plain characters."""
    rows = [{"source": source, "index": 7} for source in ("s3://a/b c.mp4", "s3://b/b c.mp4")]
    names = {default_name(row) for row in rows}
    assert len(names) == 2
    assert all(name.startswith("b_c_mp4-") and name.endswith("/frame_000007") for name in names)
    assert default_name({"index": 7}) == "frame_000007"
