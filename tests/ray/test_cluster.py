"""Jobs on two nodes give the rows that one process gives, each once, also if a part of Ray is lost."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from tests.support.servers.s3 import ACCESS, BUCKET, moto_server
from tests.support.streams.clips import clip_bytes, repeated

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install 'asyncframes-video[ray]'")
afr: Any = pytest.importorskip("asyncframes.ray")

from tests.ray.nodes import Peaks, TwoNodes, kill_a_reader, two_nodes  # noqa: E402 - needs Ray
from tests.ray.rows import write_clips  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # Of Ray itself.
    pytest.mark.filterwarnings("ignore"),
]

VIDEOS, BROKEN, RATE = 199, 10, 5
TWO_HOURS = 2 * 3600

Key = tuple[str, int, int]


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as running:
        yield running


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 200 videos in three containers: 10 are broken, and one lasts 2 hours."""
    folder = tmp_path_factory.mktemp("s3") / BUCKET
    folder.mkdir()
    paths = write_clips(folder, [12 + number % 4 * 12 for number in range(VIDEOS)], gop=12)
    for number, path in enumerate(paths[5 : 5 + 19 * BROKEN : 19]):
        whole = path.read_bytes()
        path.write_bytes(b"broken" * 100 if number % 2 else whole[: len(whole) // 3])
    clip = clip_bytes(frames=600, gop=20, rate=Fraction(RATE), width=64, height=48)
    hours = repeated(clip, TWO_HOURS * RATE // 600, options={"movflags": "+faststart"})
    (folder / "film.mp4").write_bytes(hours)
    return folder


@pytest.fixture(scope="module")
def options(bucket: Path) -> Iterator[dict[str, Any]]:
    """Serve the bucket; options of its sources."""
    with moto_server() as server:
        for path in bucket.iterdir():
            server.put(path.name, path.read_bytes())
        yield {**ACCESS, "endpoint": server.endpoint, "client_options": {"allow_http": True}}


@pytest.fixture(scope="module")
def expected(bucket: Path) -> Counter[Key]:
    """The rows that one process makes, without Ray: every 5th frame."""
    rows: Counter[Key] = Counter()
    for path in sorted(bucket.iterdir()):
        try:
            with af.sync.open_video(path, threads=1) as video:
                for frame in video.frames(step=5, resize=(32, 32)):
                    rows[f"s3://{BUCKET}/{path.name}", frame.index, zlib.crc32(frame.image.tobytes())] += 1
        except af.errors.AsyncFramesError:
            continue
    return rows


def rows_of(
    options: dict[str, Any], *, after: int = 0, then: Callable[[], object] = lambda: None, **more: Any
) -> Counter[Key]:
    """Run the job, and do something once there are some rows."""
    frames = afr.read_frames(
        f"s3://{BUCKET}/", step=5, resize=(32, 32), on_error="skip", storage_options=options, **more
    )
    rows: Counter[Key] = Counter()
    is_done = False
    for batch in frames.iter_batches(batch_size=256, batch_format="numpy", prefetch_batches=0):
        for source, index, image in zip(batch["source"], batch["index"], batch["image"], strict=True):
            rows[str(source), int(index), zlib.crc32(image.tobytes())] += 1
        if rows.total() >= after and not is_done:
            is_done = True
            then()
    assert is_done
    return rows


def test_rows_are_those_of_one_process(
    nodes: TwoNodes, options: dict[str, Any], expected: Counter[Key]
) -> None:
    """200 videos in a bucket, on two nodes: the same frames, bit for bit, each once."""
    assert max(expected.values()) == 1
    assert len({source for source, _, _ in expected}) >= VIDEOS + 1 - BROKEN
    assert sum(source.endswith("film.mp4") for source, _, _ in expected) == TWO_HOURS * RATE // 5
    assert rows_of(options, split_frames=300) == expected


def test_a_killed_worker_costs_no_rows(
    nodes: TwoNodes, options: dict[str, Any], expected: Counter[Key]
) -> None:
    """Ray runs its task again, to the same rows."""
    killed: list[int] = []
    found = rows_of(options, after=500, then=lambda: killed.append(kill_a_reader()), split_frames=300)
    assert killed
    assert found == expected


def test_a_film_streams_through_a_small_store(
    nodes: TwoNodes, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Images of many times the size of the object store pass through it, in bounded memory."""
    clip = clip_bytes(frames=300, gop=30, width=320, height=180)
    (tmp_path / "film.mp4").write_bytes(repeated(clip, 60))
    frames = afr.read_frames(tmp_path / "film.mp4")
    assert frames.count() == 18_000
    peaks, counts = Peaks(), Counter[int]()
    with peaks.watched():
        for batch in frames.iter_batches(batch_size=64, batch_format="numpy", prefetch_batches=0):
            counts.update(batch["index"].tolist())
    assert counts == Counter(range(18_000))
    most = max(peaks.of.values())
    record_property("peak_bytes_of_a_worker", most)
    assert most < 1_000_000_000


def test_files_are_written_by_all_nodes(nodes: TwoNodes, tmp_path: Path) -> None:
    """A dataset of images becomes a file of each, and reading it again gives all frames."""
    write_clips(tmp_path, [24, 36, 48], gop=12)
    frames = afr.read_frames(tmp_path, step=2, encode="png", split_frames=6)
    afr.write_frames(frames, tmp_path / "out", ext="png")
    assert len([*(tmp_path / "out").rglob("frame_*.png")]) == 54
    with pytest.raises(Exception, match="has files already"):
        afr.write_frames(frames, tmp_path / "out", ext="png")
    afr.write_frames(frames, tmp_path / "shards", ext="png", frames_per_shard=20)
    assert len([*(tmp_path / "shards").glob("*.tar")]) >= 3


def test_sources_may_come_from_a_dataset(nodes: TwoNodes, tmp_path: Path) -> None:
    """Columns of the dataset are carried along, and an error of a video may be a row."""
    paths = [str(path) for path in write_clips(tmp_path, [24, 36, 48])]
    videos = ray.data.from_items(
        [{"url": path, "label": number} for number, path in enumerate([*paths, "no.mp4"])]
    )
    frames = afr.read_frames(videos, paths="url", num_frames=3, on_error="column")
    rows = frames.take_all()
    assert Counter(row["label"] for row in rows) == {0: 3, 1: 3, 2: 3, 3: 1}
    [failed] = [row for row in rows if row["error"]]
    assert failed["label"] == 3
    assert failed["image"] is None
    shapes = frames.map_batches(
        lambda batch: {"ndim": [batch["image"].ndim] * len(batch["index"])}
    ).take_all()
    assert {row["ndim"] for row in shapes} == {4}


def test_errors_reach_the_driver(nodes: TwoNodes, tmp_path: Path) -> None:
    """By default, an error ends the job and names the video."""
    (tmp_path / "none.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(Exception, match=r"UnsupportedMediaError.*none\.mp4"):
        afr.read_frames(tmp_path).materialize()


def test_a_lost_node_costs_no_rows(nodes: TwoNodes, options: dict[str, Any], expected: Counter[Key]) -> None:
    """The node that is left runs its tasks again, to the same rows. The last test: there is one node now."""
    assert rows_of(options, after=500, then=nodes.lose_second, split_frames=300) == expected
