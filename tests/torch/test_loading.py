"""Clips and runs of frames are right, whichever process loads them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import multiprocessing
import pickle
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncframes as af
from asyncframes._model.options import DEFAULTS
from asyncframes.errors import CorruptMediaError, FrameIndexError, MediaError, NotPicklableError
from tests.support.streams.clips import clip_bytes, painted_index

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install 'asyncframes-video[torch]'"
)
aft: Any = pytest.importorskip("asyncframes.torch")
data = pytest.importorskip("torch.utils.data")

pytestmark = [
    # A worker that is spawned imports PyTorch, which takes long on a busy machine.
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

COUNTS = [48, 30, 40, 10, 36]
SIZE = (96, 64)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for number, frames in enumerate(COUNTS):
        found.append(folder / f"{number}.mp4")
        found[-1].write_bytes(clip_bytes(frames=frames))
    return found


def shown(frames: Any) -> list[int]:
    """Read the indices that a clip's frames show."""
    return [painted_index(frame.permute(1, 2, 0).numpy()) for frame in frames]


def clips_of(dataset: Any) -> list[list[int]]:
    return [dataset[number]["indices"].tolist() for number in range(len(dataset))]


def test_a_clip_is_what_it_says(paths: list[Path]) -> None:
    """Its frames are those of its indices, with their times; negative numbers count from the end."""
    with aft.ClipDataset(paths, num_frames=5, stride=3, clips_per_video=2, seed=4) as dataset:
        assert len(dataset) == 10
        for number in range(10):
            clip = dataset[number]
            video = number // 2
            assert clip["video"] == video
            assert clip["frames"].shape == (5, 3, *SIZE[::-1])
            assert clip["frames"].dtype == torch.uint8
            indices = clip["indices"].tolist()
            assert shown(clip["frames"]) == indices
            assert indices[-1] < COUNTS[video]
            assert clip["pts_seconds"].tolist() == pytest.approx([index / 25 for index in indices])
        assert torch.equal(dataset[-1]["frames"], dataset[9]["frames"])
        with pytest.raises(IndexError, match="clip 10 of a dataset of 10 clips"):
            dataset[10]


@pytest.mark.parametrize(("image_format", "channels"), [("rgb24", 3), ("bgr24", 3), ("gray", 1), ("rgba", 4)])
def test_both_layouts_share_the_memory_of_the_batch(
    image_format: str, channels: int, paths: list[Path]
) -> None:
    """NCHW is a view, in channels_last order."""
    made = {}
    for layout in ("NCHW", "NHWC"):
        with aft.ClipDataset(
            paths[:1], num_frames=3, layout=layout, image_format=image_format, resize=(32, 16)
        ) as dataset:
            made[layout] = dataset[0]["frames"]
    assert made["NHWC"].shape == (3, 16, 32, channels)
    assert made["NHWC"].is_contiguous()
    assert made["NCHW"].shape == (3, channels, 16, 32)
    assert made["NCHW"].permute(0, 2, 3, 1).is_contiguous()
    assert torch.equal(made["NCHW"].permute(0, 2, 3, 1), made["NHWC"])


def test_random_clips_depend_on_the_seed_the_epoch_and_the_rank(paths: list[Path]) -> None:
    """And on nothing else; every frame that can begin a clip does."""

    def drawn(epoch: int = 0, **options: Any) -> list[list[int]]:
        with aft.ClipDataset(paths, num_frames=2, clips_per_video=9, **options) as dataset:
            dataset.set_epoch(epoch)
            return clips_of(dataset)

    first = drawn()
    assert drawn() == first
    others = [drawn(seed=1), drawn(epoch=1), drawn(rank=1)]
    assert all(one != first for one in others)
    assert others[0] != others[1] != others[2]
    with aft.ClipDataset(paths[3:4], num_frames=8, clips_per_video=60) as dataset:
        assert {clip[0] for clip in clips_of(dataset)} == {0, 1, 2}


def test_regular_clips_are_spread_evenly(paths: list[Path]) -> None:
    """By the formula of the docstring."""
    with aft.ClipDataset(
        paths, num_frames=4, stride=2, clips_per_video=5, sampling="regular", seed=3
    ) as dataset:
        starts = [clip[0] for clip in clips_of(dataset)]
    expected = [np.linspace(0, max(count - 7, 0), 5).round().astype(int).tolist() for count in COUNTS]
    assert starts == [start for video in expected for start in video]


@pytest.mark.parametrize(
    ("out_of_range", "indices"),
    [("repeat_last", [0, 4, 8, 8, 8, 8]), ("wrap", [0, 4, 8, 0, 4, 8])],
)
def test_a_short_video_fills_its_clip(out_of_range: str, indices: list[int], paths: list[Path]) -> None:
    """As the policy says, with its own frames."""
    with aft.ClipDataset(paths[3:4], num_frames=6, stride=4, out_of_range=out_of_range) as dataset:
        clip = dataset[0]
    assert clip["indices"].tolist() == shown(clip["frames"]) == indices


def test_a_short_video_can_be_an_error(paths: list[Path]) -> None:
    """It names both numbers and the policies; a clip that just fits is none."""
    options: dict[str, Any] = {"stride": 9, "out_of_range": "error"}
    with aft.ClipDataset(paths[3:4], num_frames=2, **options) as dataset:
        assert dataset[0]["indices"].tolist() == [0, 9]
    with (
        aft.ClipDataset(paths[3:4], num_frames=3, **options) as dataset,
        pytest.raises(FrameIndexError, match=r"frame 18, but the video has 10.*'wrap'") as caught,
    ):
        dataset[0]
    assert (caught.value.index, caught.value.length) == (18, 10)
    assert caught.value.__notes__ == ["while loading clip 0, of video 0 of the dataset"]


def files_open(paths: list[Path]) -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        # Threads of PyTorch close theirs meanwhile.
        with contextlib.suppress(FileNotFoundError):
            found.add(str(link.readlink()))
    return found & {*map(str, paths)}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read from /proc")
def test_few_videos_are_open_at_once(paths: list[Path]) -> None:
    """The least recently used is closed, not just forgotten, and close closes all."""
    dataset = aft.ClipDataset(paths, num_frames=2, max_open_videos=2, clips_per_video=2)
    assert files_open(paths) == set()
    for number in (0, 1, 2, 0, 4):
        dataset[number]
    assert files_open(paths) == {str(paths[0]), str(paths[2])}
    for number in range(10):
        dataset[number]
        assert len(files_open(paths)) <= 2
    dataset.close()
    assert files_open(paths) == set()
    assert dataset[0]["indices"].tolist() == clips_of(dataset)[0]
    dataset.close()


def test_videos_in_processes_do_not_wait_for_each_other(paths: list[Path]) -> None:
    """There may be one process here, and the video that has it is closed for the next one."""
    options: af.OpenOptions = {"policy": af.Policy(isolation="process", max_workers=1)}
    with (
        aft.ClipDataset(paths, num_frames=2, sampling="regular") as expected,
        aft.ClipDataset(paths, num_frames=2, sampling="regular", open_options=options) as dataset,
    ):
        for number in (0, 1, 2, 0):
            assert torch.equal(dataset[number]["frames"], expected[number]["frames"])


def test_every_source_can_be_opened_again(paths: list[Path]) -> None:
    """A source is closed with its video, and the dataset needs it once more."""
    source = af.LocalSource(paths[1])
    with aft.ClipDataset(
        [source, paths[1].read_bytes(), str(paths[1])],
        num_frames=2,
        max_open_videos=1,
        sampling="regular",
    ) as dataset:
        assert clips_of(dataset) + clips_of(dataset) == [[0, 1]] * 6


def test_tables_made_once_are_used(paths: list[Path]) -> None:
    """A table that is given is not built again, and a wrong number of them is refused."""
    with af.sync.open_video(paths[0]) as video:
        table = video.frame_table()
    with aft.ClipDataset(paths[:2], num_frames=2, frame_tables=[table, None]) as dataset:
        assert shown(dataset[0]["frames"]) == dataset[0]["indices"].tolist()
        assert shown(dataset[1]["frames"]) == dataset[1]["indices"].tolist()
    with (
        aft.ClipDataset(paths[1:2], num_frames=2, frame_tables=[table]) as dataset,
        pytest.raises((af.errors.SourceChangedError, MediaError)),
    ):
        dataset[0]
    with pytest.raises(ValueError, match="frame_tables has 1 entries"):
        aft.ClipDataset(paths, num_frames=2, frame_tables=[table])


def test_a_video_that_changed_is_opened_afresh(tmp_path: Path) -> None:
    """The table that is remembered of a closed video does not outlive its bytes."""
    changing, other = tmp_path / "changing.mp4", tmp_path / "other.mp4"
    changing.write_bytes(clip_bytes(frames=20))
    other.write_bytes(clip_bytes(frames=12))
    with aft.ClipDataset(
        [changing, other], num_frames=12, max_open_videos=1, sampling="regular", out_of_range="wrap"
    ) as dataset:
        for _ in range(3):
            for number in range(2):
                assert shown(dataset[number]["frames"]) == [*range(12)]
        changing.write_bytes(clip_bytes(frames=9))
        dataset[1]
        assert shown(dataset[0]["frames"]) == [*range(9), 0, 1, 2]


def test_remembered_tables_are_bounded(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """By their rows, however many videos there are."""
    monkeypatch.setattr("asyncframes.torch._videos._MOST_ROWS", 60)
    with aft.ClipDataset(paths, num_frames=2, max_open_videos=1) as dataset:
        for number in (0, 1, 2, 3, 4, 0, 2):
            dataset[number]
            tables = dataset._open._tables.values()
            assert sum(map(len, tables)) == dataset._open._rows <= 60
        assert tables


def test_the_loop_runs_between_videos(paths: list[Path]) -> None:
    """Closing one video and opening another does not start a thread; closing the dataset ends it."""
    loops = set()
    with aft.ClipDataset(paths, num_frames=2, max_open_videos=1) as dataset:
        for number in range(5):
            dataset[number]
            loops |= {one for one in threading.enumerate() if one.name == "asyncframes loop"}
    assert len(loops) == 1
    assert not loops.pop().is_alive()


def test_what_cannot_be_loaded_is_refused_at_once(paths: list[Path]) -> None:
    """In the parent, before any worker starts."""
    with paths[0].open("rb") as file, pytest.raises(NotPicklableError, match="pass its path"):
        aft.ClipDataset([file], num_frames=2)
    with pytest.raises(TypeError, match="one source"):
        aft.ClipDataset(str(paths[0]), num_frames=2)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"num_frames": 0}, "num_frames=0"),
        ({"stride": 0}, "stride=0"),
        ({"clips_per_video": 0}, "clips_per_video=0"),
        ({"max_open_videos": 0}, "max_open_videos=0"),
        ({"seed": -1}, "seed=-1"),
        ({"sampling": "no"}, "sampling='no'"),
        ({"out_of_range": "no"}, "out_of_range='no'"),
        ({"layout": "no"}, "layout='no'"),
        ({"image_format": "i420"}, "image_format='i420'"),
        ({"resize": (0, 0)}, "resize"),
        ({"open_options": {"cache_bytes": 1}}, "cache_bytes=1"),
    ]
    for wrong, match in cases:
        with pytest.raises(ValueError, match=match):
            aft.ClipDataset(paths, **{"num_frames": 2, **wrong})
    with pytest.raises(ValueError, match="world_size"):
        aft.FrameStream(paths, rank=2, world_size=2)
    with pytest.raises(ValueError, match="size=0"):
        aft.FrameStream(paths, size=0)


@pytest.mark.parametrize("name", ["ClipDataset", "FrameStream"])
def test_data_sets_take_the_same_options(name: str, paths: list[Path]) -> None:
    """They show each with its default, and refuse any other by name."""
    shown = inspect.signature(getattr(aft, name)).parameters
    expected = {**DEFAULTS, "layout": "NCHW", "frame_tables": None, "open_options": None}
    for option in aft.LoadingOptions.__annotations__:
        assert shown[option].default == expected[option], option
    assert {"resize", "image_format", "layout"} <= set(shown)
    required = {"num_frames": 2} if name == "ClipDataset" else {}
    with pytest.raises(TypeError, match=rf"^{name}\(\) has no option 'resise': did you mean resize=\?"):
        getattr(aft, name)(paths, **required, resise=(2, 2))


def test_one_address_of_each_scheme_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """All would take minutes: each makes a client of a cloud, and there may be a million."""
    with pytest.raises(af.errors.SourceAddressError, match="no source opens"):
        aft.ClipDataset(["nonsense://a.mp4"], num_frames=2)
    with pytest.raises(af.errors.SourceAddressError):
        aft.ClipDataset(["a\0.mp4"], num_frames=2)
    made: list[str] = []
    monkeypatch.setattr("asyncframes.sources._picklable.resolve_source", made.append)
    videos = [f"{scheme}://host/{number}.mp4" for number in range(1000) for scheme in ("s3", "https")]
    assert len(aft.ClipDataset(videos, num_frames=2)) == 2000
    assert made == videos[:2]


METHODS = multiprocessing.get_all_start_methods()


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize(
    "method", [pytest.param(one, marks=[] if one == "fork" else [pytest.mark.slow]) for one in METHODS]
)
def test_workers_load_what_the_parent_would(method: str, persistent: bool, paths: list[Path]) -> None:
    """Also if the parent has used both APIs, is using them, and runs a loop; epochs reach living workers."""
    options: dict[str, Any] = {"num_frames": 3, "clips_per_video": 3, "seed": 8}
    expected = []
    with aft.ClipDataset(paths, **options) as here:
        for epoch in range(2):
            here.set_epoch(epoch)
            expected.append(clips_of(here))
    assert expected[0] != expected[1]

    async def main() -> None:
        async with af.open_video(paths[0]) as video:
            assert (await video.frame(7)).index == 7
            with af.sync.open_video(paths[0]) as blocking:
                assert blocking.frame(9).index == 9
                load()
                assert blocking.frame(3).index == 3
            assert (await video.frame(8)).index == 8

    def load() -> None:
        dataset = aft.ClipDataset(paths, **options)
        loader = data.DataLoader(
            dataset,
            batch_size=4,
            num_workers=2,
            multiprocessing_context=method,
            persistent_workers=persistent,
            pin_memory=torch.cuda.is_available(),
        )
        for epoch in range(2):
            dataset.set_epoch(epoch)
            found = []
            for batch in loader:
                assert batch["frames"].shape[1:] == (3, 3, *SIZE[::-1])
                assert batch["frames"].is_pinned() == torch.cuda.is_available()
                for frames, indices in zip(batch["frames"], batch["indices"], strict=True):
                    assert shown(frames) == indices.tolist()
                    found.append(indices.tolist())
            assert found == expected[epoch]
        assert not files_open(paths[1:])

    asyncio.run(main())


KILLED = """
import os, signal, sys
import asyncframes.torch as aft
from torch.utils.data import DataLoader

videos = sys.argv[1:] * 40
dataset = DATASET
loader = iter(
    DataLoader(dataset, batch_size=None, num_workers=2, prefetch_factor=1, multiprocessing_context="fork")
)
next(loader)
os.kill(loader._workers[0].pid, signal.SIGKILL)
for _ in loader:
    pass
print("all were loaded")
"""


@pytest.mark.parametrize(
    "dataset", ["aft.ClipDataset(videos, num_frames=8)", "aft.FrameStream(videos, size=4)"]
)
def test_a_worker_that_is_killed_is_an_error(dataset: str, paths: list[Path], tmp_path: Path) -> None:
    """In the parent, which does not wait for ever."""
    # In a process of its own: PyTorch raises it in a signal handler, wherever the program is.
    script = tmp_path / "script.py"
    script.write_text(KILLED.replace("DATASET", dataset))
    done = subprocess.run(
        [sys.executable, str(script), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    # The parent notices that the worker is gone, or cannot fetch a tensor that the worker had sent. While
    # Python prints the one, PyTorch's signal handler may raise the other, and lines then begin otherwise.
    assert re.search(r"RuntimeError: DataLoader worker|(Connection|EOF|FileNotFound)\w*Error", done.stderr)


@pytest.mark.parametrize("kind", ["clips", "stream"])
def test_an_error_in_a_worker_keeps_its_type_and_names_the_video(
    kind: str, paths: list[Path], tmp_path: Path
) -> None:
    """Although PyTorch makes another one of its text."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(paths[0].read_bytes()[:-3000])
    videos = [*paths[:2], broken]
    dataset = aft.ClipDataset(videos, num_frames=2) if kind == "clips" else aft.FrameStream(videos)
    loader = data.DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork")
    with pytest.raises(MediaError, match=r"broken\.mp4.*video 2 of the (dataset|stream)"):
        for _ in loader:
            pass


def test_a_video_that_failed_is_opened_again(paths: list[Path], tmp_path: Path) -> None:
    """The dataset does not hold on to one that was bad when it was opened."""
    path = tmp_path / "arriving.mp4"
    path.write_bytes(paths[0].read_bytes()[:-3000])
    with aft.ClipDataset([path], num_frames=2) as dataset:
        with pytest.raises((CorruptMediaError, MediaError)):
            dataset[0]
        path.write_bytes(paths[0].read_bytes())
        assert shown(dataset[0]["frames"]) == dataset[0]["indices"].tolist()


def test_a_dataset_travels_while_it_is_in_use(paths: list[Path]) -> None:
    """Without the videos that it holds open."""
    with aft.ClipDataset(paths, num_frames=2) as dataset:
        expected = clips_of(dataset)
        with pickle.loads(pickle.dumps(dataset)) as arrived:
            assert clips_of(arrived) == expected
            assert repr(arrived) == repr(dataset)


def runs_of(stream: Any, workers: int) -> list[tuple[int, list[int]]]:
    loader = data.DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    return [(run["video"], run["indices"].tolist()) for run in loader]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("world_size", [1, 2])
def test_every_frame_is_read_once(workers: int, world_size: int, paths: list[Path]) -> None:
    """By one worker of one rank, in order, and in runs of the given size."""
    runs = [
        run
        for rank in range(world_size)
        for run in runs_of(aft.FrameStream(paths, size=16, rank=rank, world_size=world_size), workers)
    ]
    read = Counter((video, index) for video, indices in runs for index in indices)
    assert read == Counter((video, index) for video, count in enumerate(COUNTS) for index in range(count))
    for video, count in enumerate(COUNTS):
        assert [indices for number, indices in runs if number == video] == [
            [*range(start, min(start + 16, count))] for start in range(0, count, 16)
        ]


def test_streamed_frames_are_right(paths: list[Path]) -> None:
    """With a step, and without short runs."""
    stream = aft.FrameStream(paths[1:3], size=4, step=3, drop_last=True)
    runs = [*stream]
    for run in runs:
        assert shown(run["frames"]) == run["indices"].tolist()
    assert [run["indices"].tolist() for run in runs if run["video"] == 0] == [[0, 3, 6, 9], [12, 15, 18, 21]]


def test_ranks_shuffle_alike(paths: list[Path]) -> None:
    """Each epoch has an order of its own, which all ranks divide among them."""
    orders = []
    for epoch in range(3):
        videos = []
        for rank in range(2):
            stream = aft.FrameStream(paths, size=64, shuffle=True, seed=1, rank=rank, world_size=2)
            stream.set_epoch(epoch)
            videos.append([video for video, _ in runs_of(stream, 0)])
        assert sorted(videos[0] + videos[1]) == [*range(5)]
        orders.append(tuple(videos[0]))
    assert len({*orders}) > 1


QUIET = """
import sys
import asyncframes.torch as aft
from torch.utils.data import DataLoader

if __name__ == "__main__":
    dataset = aft.ClipDataset(sys.argv[1:], num_frames=2)
    dataset[0]
    run = next(iter(aft.FrameStream(sys.argv[1:], size=2)))
    stream = iter(aft.FrameStream(sys.argv[1:], size=2))
    next(stream)
    for _ in DataLoader(dataset, num_workers=1, multiprocessing_context=METHOD):
        pass
    loading = iter(DataLoader(dataset, num_workers=1, multiprocessing_context=METHOD))
    next(loading)
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_nothing_has_to_be_closed(method: str, paths: list[Path], tmp_path: Path) -> None:
    """A program that ends with datasets, streams and workers in use ends at once, without a warning."""
    script = tmp_path / "script.py"
    script.write_text(QUIET.replace("METHOD", repr(method)))
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(script), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
