"""The tasks of a job give the rows that one process gives, each once."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from asyncframes.errors import NotPicklableError, SourceNotFoundError
from asyncframes.sources import LocalSource
from tests.support.servers.s3 import ACCESS, BUCKET, moto_server
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes, painted_index

data = pytest.importorskip("ray.data", reason="Ray is not installed: pip install 'asyncframes-video[ray]'")
pa: Any = pytest.importorskip("pyarrow")
afr: Any = pytest.importorskip("asyncframes.ray")

from tests.ray.rows import (  # noqa: E402 - needs Ray
    COUNTS,
    paths_in,
    rows_here,
    rows_of_table,
    rows_of_tasks,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("split_frames", [None, 15, 0])
@pytest.mark.parametrize(
    "select",
    [
        {},
        {"step": 3},
        {"start": 5, "end": 25},
        {"start": -10},
        {"fps": 5},
        {"num_frames": 7},
        {"keyframes": True},
        {"indices": [3, 19, 0, 3]},
        {"indices": [2, 2, 11, 12, 19]},
        {"times": [0.2, 0.4]},
        {"time_range": (0.2, 0.6)},
    ],
    ids=str,
)
def test_rows_are_those_of_one_process(
    folder: Path, select: dict[str, Any], split_frames: int | None
) -> None:
    """Whatever is selected and however videos are cut, rows have the same values in the same order."""
    source = afr.VideoFrames(folder, split_frames=split_frames, **select)
    expected = [row for path in paths_in(folder) for row in rows_here(path, **select)]
    assert rows_of_tasks(source) == expected


def test_all_columns(folder: Path) -> None:
    """Each column is the attribute of the frame that it is named after."""
    names = (
        "pts",
        "is_keyframe",
        "duration_seconds",
        "index",
        "is_corrupt",
        "source",
        "pts_seconds",
        "image",
    )
    path = paths_in(folder)[0]
    rows = rows_of_tasks(afr.VideoFrames(path, include=names))
    with af.sync.open_video(path) as video:
        frames = list(video.frames(indices=range(COUNTS[0])))
    assert [tuple(row) for row in rows] == [names] * COUNTS[0]
    for name in ("pts", "is_keyframe", "duration_seconds", "index", "is_corrupt", "pts_seconds"):
        assert [row[name] for row in rows] == [getattr(frame, name) for frame in frames]


def test_videos_are_opened_once(folder: Path, server: RunningServer) -> None:
    """Ray asks for the tasks several times, and the second time costs no request."""
    for path in paths_in(folder):
        server.serve(f"/{path.name}", path.read_bytes())
    source = afr.VideoFrames([server.url(f"/{path.name}") for path in paths_in(folder)], split_frames=20)
    source.estimate_inmemory_data_size()
    asked = len(server.requests)
    assert asked
    assert [len(source.get_read_tasks(number)) for number in (1, 8, 8)]
    assert len(server.requests) == asked


def test_the_schema_is_known_before_the_job(folder: Path) -> None:
    """It names images as Ray's tensors, with their shape; without images it is plain."""
    task = afr.VideoFrames(folder).get_read_tasks(1)[0]
    assert task.schema.names == ["image", "index", "pts_seconds", "source"]
    assert task.schema.field("image").type.shape == (64, 96, 3)
    plain = afr.VideoFrames(folder, include=["index"]).get_read_tasks(1)[0]
    assert plain.schema == pa.schema([("index", pa.int64())])
    gray = afr.VideoFrames(folder, image_format="gray16", resize=(10, 8)).get_read_tasks(1)[0]
    assert gray.schema.field("image").type.shape == (8, 10)
    assert gray.schema.field("image").type.value_type == pa.uint16()


@pytest.fixture
def two_sizes(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").write_bytes(clip_bytes(frames=10))
    (tmp_path / "b.mp4").write_bytes(clip_bytes(frames=10, width=64, height=64))
    return tmp_path


def test_different_sizes_are_refused_before_the_job(two_sizes: Path) -> None:
    """The error names both videos and what to do; a size or an encoder of files helps."""
    with pytest.raises(ValueError, match=r"a\.mp4 have the shape .*b\.mp4 .*resize=.*encode="):
        afr.VideoFrames(two_sizes).get_read_tasks(2)
    shapes = {row["image"][0] for row in rows_of_tasks(afr.VideoFrames(two_sizes, resize=(32, 32)))}
    assert shapes == {(32, 32, 3)}
    rows = rows_of_tasks(afr.VideoFrames(two_sizes, encode="png"))
    images = [np.asarray(Image.open(io.BytesIO(row["image"]))) for row in rows]
    assert [image.shape for image in images] == [(64, 96, 3)] * 10 + [(64, 64, 3)] * 10
    assert [painted_index(image) for image in images] == [row["index"] for row in rows] == [*range(10)] * 2


def test_encoded_images_are_those_of_the_frame(folder: Path) -> None:
    """The column is binary, and each value is what `Frame.encode` returns."""
    path = paths_in(folder)[0]
    source = afr.VideoFrames(path, indices=[0, 33], encode="jpg", quality=70)
    assert source.get_read_tasks(1)[0].schema.field("image").type == pa.binary()
    with af.sync.open_video(path) as video:
        expected = [video.frame(index).encode("jpg", quality=70) for index in (0, 33)]
    assert [row["image"] for row in rows_of_tasks(source)] == expected
    assert (source.threads, afr.VideoFrames(path, open_options={"threads": 3}).threads) == (2, 3)


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> list[Path]:
    """A good video, one that is none, one that breaks off, one that is not there, and a good one."""
    good = paths_in(folder)
    (tmp_path / "none.mp4").write_bytes(b"no video" * 200)
    clip = bytearray(clip_bytes(frames=60, container="matroska", gop=10))
    clip[len(clip) // 2 : len(clip) // 2 + 200] = bytes(200)
    (tmp_path / "damaged.mkv").write_bytes(bytes(clip))
    return [good[0], tmp_path / "none.mp4", tmp_path / "damaged.mkv", tmp_path / "missing.mp4", good[1]]


def test_an_error_ends_the_job_by_default(broken: list[Path]) -> None:
    """It is raised by the task, and names the video."""
    source = afr.VideoFrames(broken)
    with pytest.raises(af.errors.AsyncFramesError, match=r"none\.mp4"):
        rows_of_tasks(source)


def test_an_error_leaves_out_the_rest_of_a_video(
    broken: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    """With ``skip``, frames before it and all other videos are there, and a warning names each video."""
    rows = rows_of_tasks(afr.VideoFrames(broken, on_error="skip"))
    counts = Counter(Path(row["source"]).name for row in rows)
    assert counts[broken[0].name] == COUNTS[0]
    assert counts[broken[4].name] == COUNTS[1]
    assert 0 < counts["damaged.mkv"] < 60
    assert set(counts) == {broken[0].name, "damaged.mkv", broken[4].name}
    assert all(name in caplog.text for name in ("none.mp4", "damaged.mkv", "missing.mp4"))


def test_an_error_may_be_a_row(broken: list[Path]) -> None:
    """With ``column``, each broken video has one more row, which says why and has no image."""
    rows = rows_of_tasks(afr.VideoFrames(broken, on_error="column"))
    failed = [row for row in rows if row["error"] is not None]
    assert [Path(row["source"]).name for row in failed] == ["none.mp4", "damaged.mkv", "missing.mp4"]
    assert all(row["image"] is None and row["index"] is None for row in failed)
    assert "UnsupportedMediaError" in failed[0]["error"]
    assert "CorruptMediaError" in failed[1]["error"]
    assert "SourceNotFoundError" in failed[2]["error"]
    skipped = rows_of_tasks(afr.VideoFrames(broken, on_error="skip"))
    assert [{**row, "error": None} for row in skipped] == [row for row in rows if row["error"] is None]


def test_columns_of_a_table_are_carried_along(folder: Path) -> None:
    """Rows repeat the other columns of their video, which may be of any type."""
    table = pa.table(
        {
            "label": ["a", None],
            "where": [str(path) for path in paths_in(folder)[:2]],
            "box": [[1.5, 2.0], []],
        }
    )
    source = afr.VideoFrames(table, paths="where", num_frames=2, include=["index", "source"])
    rows = rows_of_tasks(source)
    assert [(row["label"], row["box"]) for row in rows] == [("a", [1.5, 2.0])] * 2 + [(None, [])] * 2
    assert [row["index"] for row in rows] == [0, 59, 0, 39]
    assert source.get_read_tasks(1)[0].schema.names == ["index", "source", "label", "box"]
    bodies = pa.table({"video": [path.read_bytes() for path in paths_in(folder)[:2]], "n": [7, 8]})
    rows = rows_of_tasks(afr.VideoFrames(bodies, paths="video", indices=[1], include=["index"]))
    assert rows == [{"index": 1, "n": 7}, {"index": 1, "n": 8}]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"path": ["a.mp4"]}, "paths='source': expected one of the columns path"),
        ({"source": ["a.mp4"], "index": [1]}, "both have columns named index"),
    ],
)
def test_tables_that_cannot_be_read(table: dict[str, Any], message: str) -> None:
    """The error names the column."""
    with pytest.raises(ValueError, match=message):
        afr.VideoFrames(pa.table(table))


def test_a_row_without_a_source(folder: Path) -> None:
    """The error names the row."""
    table = pa.table({"source": [str(paths_in(folder)[0]), None]})
    with pytest.raises(af.errors.SourceError, match="row 1 has no source in the column 'source'"):
        afr.VideoFrames(table)


def test_directories_and_patterns(folder: Path, tmp_path: Path) -> None:
    """Both stand for their videos, in the order of their names, and for nothing hidden or of another kind."""
    for name in ("b/2.mp4", "a/1.MKV", "a/.hidden.mp4", "a/notes.txt", "3.webm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def names(source: Any) -> list[str]:
        return [str(Path(entry.name).relative_to(tmp_path)) for entry in source._entries]

    assert names(afr.VideoFrames(tmp_path)) == ["3.webm", "a/1.MKV", "b/2.mp4"]
    assert names(afr.VideoFrames(str(tmp_path / "*" / "*.[mM]*"))) == ["a/1.MKV", "b/2.mp4"]
    assert names(afr.VideoFrames([tmp_path / "a", str(tmp_path / "b/*.mp4")])) == ["a/1.MKV", "b/2.mp4"]
    with pytest.raises(SourceNotFoundError, match="no video matches the pattern"):
        afr.VideoFrames(str(tmp_path / "*.mov"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFoundError, match="no video is in the directory"):
        afr.VideoFrames(tmp_path / "empty")


def test_directories_of_fsspec(folder: Path) -> None:
    """They are listed through fsspec, with its options, and read through it."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    path = paths_in(folder)[0]
    for name in ("/clips/b.mp4", "/clips/deep/a.mp4", "/clips/c.txt"):
        files.pipe_file(name, path.read_bytes())
    try:
        for place in ("memory://clips/", "memory://clips/**/*.mp4"):
            rows = rows_of_tasks(afr.VideoFrames(place, indices=[5], include=["index", "source"]))
            assert rows == [
                {"index": 5, "source": "memory:///clips/b.mp4"},
                {"index": 5, "source": "memory:///clips/deep/a.mp4"},
            ]
    finally:
        files.rm("/clips", recursive=True)


def test_directories_of_a_bucket(folder: Path) -> None:
    """They are listed through obstore, with its options, and read through it."""
    clip = paths_in(folder)[0].read_bytes()
    with moto_server() as server:
        for key in ("a/1.mp4", "a/b/2.mp4", "a/b/c.txt", "ab/3.mp4"):
            server.put(key, clip)
        options = {**ACCESS, "endpoint": server.endpoint, "client_options": {"allow_http": True}}
        listed = {
            place: [
                entry.name.removeprefix(f"s3://{BUCKET}/")
                for entry in afr.VideoFrames(f"s3://{BUCKET}/{place}", storage_options=options)._entries
            ]
            for place in ("a/", "", "*/*.mp4", "a/**/*.mp4", "a/b/[0-9].*", "a/1.mp4")
        }
        assert listed == {
            "a/": ["a/1.mp4", "a/b/2.mp4"],
            "": ["a/1.mp4", "a/b/2.mp4", "ab/3.mp4"],
            "*/*.mp4": ["a/1.mp4", "ab/3.mp4"],
            "a/**/*.mp4": ["a/1.mp4", "a/b/2.mp4"],
            "a/b/[0-9].*": ["a/b/2.mp4"],
            "a/1.mp4": ["a/1.mp4"],
        }
        source = afr.VideoFrames(f"s3://{BUCKET}/a/", storage_options=options, indices=[7], include=["index"])
        assert rows_of_tasks(source) == [{"index": 7}] * 2
        with pytest.raises(SourceNotFoundError, match="no video is in the directory"):
            afr.VideoFrames(f"s3://{BUCKET}/none/", storage_options=options)


def test_a_path_is_made_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks have another working directory."""
    path = paths_in(folder)[0]
    monkeypatch.chdir(folder)
    for sources in (path.name, [Path(path.name)], pa.table({"source": [path.name]})):
        [entry] = afr.VideoFrames(sources)._entries
        assert entry.name == entry.source == str(path)


class OwnSource(LocalSource):
    """A source of the caller's own."""

    opened = 0

    async def open(self) -> None:
        type(self).opened += 1
        await super().open()


def test_sources_of_ones_own_are_pickled(folder: Path) -> None:
    """They are sent unopened, opened in each task, and those of this process are refused."""
    path = paths_in(folder)[0]
    source = afr.VideoFrames([OwnSource(path)], indices=[1, 2], split_frames=1)
    assert [row["index"] for row in rows_of_tasks(source)] == [1, 2]
    assert OwnSource.opened >= 2
    with path.open("rb") as file, pytest.raises(NotPicklableError):
        afr.VideoFrames([file])


def test_blocks_are_of_the_size_that_ray_wants(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is slightly larger than the target, so that Ray passes it on, or has `batch_frames`."""
    context = data.DataContext.get_current()
    image = 96 * 64 * 3
    monkeypatch.setattr(context, "target_max_block_size", image * 32)
    monkeypatch.setattr("asyncframes.ray._tasks._BATCH_BYTES", image * 4)
    tasks = afr.VideoFrames(folder).get_read_tasks(1)
    counts = [block.num_rows for task in tasks for block in task()]
    assert sum(counts) == sum(COUNTS)
    assert all(32 <= count <= 36 for count in counts[:-1])
    tasks = afr.VideoFrames(folder, batch_frames=7).get_read_tasks(1)
    counts = [block.num_rows for task in tasks for block in task()]
    assert sum(counts) == sum(COUNTS)
    assert max(counts) == 7


def test_work_is_shared_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """About as many tasks as wanted have about the same to do, and small jobs have fewer."""
    assert len(afr.VideoFrames(folder).get_read_tasks(8)) == 1
    monkeypatch.setattr("asyncframes.ray._videos._LEAST_WORK", 0.01)
    for wanted in (2, 4, 8):
        tasks = afr.VideoFrames(folder).get_read_tasks(wanted)
        assert wanted * 0.7 <= len(tasks) <= wanted * 1.3
        rows = [sum(rows.num_rows for rows in task()) for task in tasks]
        assert sum(rows) == sum(COUNTS)
        assert max(rows) <= 2.5 * sum(COUNTS) / wanted


def test_rows_are_limited(folder: Path) -> None:
    """A limit that Ray pushes down ends a task early."""
    tasks = afr.VideoFrames(folder).get_read_tasks(1, per_task_row_limit=13)
    assert [sum(block.num_rows for block in task()) for task in tasks] == [13] * len(tasks)


def test_a_policy_holds_in_tasks(folder: Path) -> None:
    """It is passed to `open_video`; a video that it limits as a whole is not cut."""
    path = paths_in(folder)[2]
    policy = af.Policy(max_output_frames=10)
    source = afr.VideoFrames([path], policy=policy, split_frames=5, on_error="column")
    assert len(source.get_read_tasks(8)) == 1
    rows = rows_of_tasks(source)
    assert "PolicyLimitError" in rows[-1]["error"]
    with pytest.raises(af.errors.PolicyAccessError, match="local files"):
        afr.VideoFrames(folder, policy=af.Policy.untrusted())


def test_videos_may_be_decoded_in_processes_of_their_own(folder: Path) -> None:
    """Isolation is passed to `open_video`, and whole and cut videos have the same rows with it."""
    paths = paths_in(folder)[:2]
    options = {"isolation": "process"}
    isolated = afr.VideoFrames(paths, split_frames=15, open_options=options)
    assert len(isolated.get_read_tasks(8)) > 2
    assert rows_of_tasks(isolated) == rows_of_tasks(afr.VideoFrames(paths, split_frames=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "ignore"}, "on_error='ignore': expected one of raise, skip, column"),
        ({"include": ["picture"]}, "'picture' is not a column"),
        ({"include": []}, "expected each column once"),
        ({"batch_frames": 0}, "batch_frames=0"),
        ({"split_frames": -1}, "split_frames=-1"),
        ({"quality": 90}, "quality goes with encode"),
        ({"encode": "xyz"}, "xyz"),
        ({"step": 0}, "step=0"),
        ({"open_options": {"threads": 0}}, "threads=0"),
    ],
)
def test_options_are_checked_on_the_driver(folder: Path, options: dict[str, Any], message: str) -> None:
    """A wrong option is refused when the datasource is made."""
    with pytest.raises(ValueError, match=message):
        afr.VideoFrames(folder, **options)


def test_an_iterable_of_indices_is_read_once(folder: Path) -> None:
    """Each task gets all of its entries."""
    source = afr.VideoFrames(folder, indices=(index for index in (1, 2, 3)), include=["index"])
    assert [row["index"] for row in rows_of_tasks(source)] == [1, 2, 3] * len(COUNTS)


def test_images_are_not_copied(folder: Path) -> None:
    """A block shares the memory that frames were decoded into."""
    from asyncframes.ray._blocks import Blocks
    from asyncframes.ray._options import make_reading
    from asyncframes.ray._sources import Entry

    with af.sync.open_video(paths_in(folder)[0]) as video:
        batch = video.batch(indices=[1, 2])
    table = Blocks(make_reading({}), (64, 96, 3), None).of_batch(batch, Entry("a.mp4", "a.mp4"))
    values = table.column("image").chunk(0).storage.flatten()
    assert values.buffers()[1].address == batch.images.ctypes.data
    assert [row["index"] for row in rows_of_table(table)] == [1, 2]
