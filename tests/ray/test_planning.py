"""How videos are divided among tasks, and tasks into blocks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

data = pytest.importorskip("ray.data", reason="Ray is not installed: pip install 'asyncframes-video[ray]'")
afr: Any = pytest.importorskip("asyncframes.ray")

from asyncframes.ray._plan import Piece, cut_at_keyframes, grouped  # noqa: E402 - needs Ray
from asyncframes.ray._sources import Entry  # noqa: E402
from tests.ray.rows import COUNTS, paths_in  # noqa: E402
from tests.unit.test_table_parts import gops, table_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_cut_video_is_cut_at_keyframes(folder: Path) -> None:
    """Parts have about as many frames as wanted, begin at keyframes, and their numbers are certain."""
    source = afr.VideoFrames([*paths_in(folder)][:3], split_frames=15)
    counts = [task.metadata.num_rows for task in source.get_read_tasks(8)]
    assert counts == [20, 20, 20, 20, 20, 20, 20, 20, 20, 10]
    assert source.estimate_inmemory_data_size() == pytest.approx(190 * 96 * 64 * 3, rel=0.02)


@pytest.mark.parametrize("tasks", [1, 2, 3, 4])
def test_a_long_video_is_divided_evenly(folder: Path, monkeypatch: pytest.MonkeyPatch, tasks: int) -> None:
    """There are as many tasks as wanted, and none has more than its share and a GOP."""
    monkeypatch.setattr("asyncframes.ray._videos._LEAST_WORK", 1e-6)
    source = afr.VideoFrames(paths_in(folder)[2])
    counts = [task.metadata.num_rows for task in source.get_read_tasks(tasks)]
    assert len(counts) == tasks
    assert max(counts) <= COUNTS[2] / tasks + 10


def test_ray_cuts_blocks_only_for_idle_cpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the tasks are enough for all CPUs, there are as many blocks as tasks."""
    monkeypatch.setattr("asyncframes.ray._videos._LEAST_WORK", 1e-6)
    source = afr.VideoFrames(paths_in(folder), split_frames=10)
    assert source.blocks_for(4) == len(source.get_read_tasks(source.blocks_for(4))) == 30
    assert source.blocks_for(16) is None
    assert source.blocks_for(0) is None


def test_large_blocks_are_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More blocks than tasks are asked for if these would be large, but not more than Ray's own number."""
    monkeypatch.setattr("asyncframes.ray._videos._LEAST_WORK", 1e-6)
    source = afr.VideoFrames(paths_in(folder), split_frames=10)
    size = source.estimate_inmemory_data_size()
    for blocks, expected in ((50, 50), (100_000, data.DataContext.get_current().read_op_min_num_blocks)):
        monkeypatch.setattr("asyncframes.ray._videos._HANDY_BYTES", size / blocks)
        assert source.blocks_for(4) == expected
        assert len(source.get_read_tasks(expected)) == 30


@given(works=st.lists(st.floats(0, 100), min_size=1, max_size=30), tasks=st.integers(1, 40))
def test_no_task_has_much_more_than_its_share(works: list[float], tasks: int) -> None:
    """Videos stay in order, and the last one of a task is at most half beyond its share."""
    pieces = [Piece(Entry(b"", ""), 1, is_exact=True, work=work) for work in works]
    share = sum(works) / tasks or 1.0
    groups = [*grouped(pieces, share, parts_alone=False)]
    assert [piece for group in groups for piece in group] == pieces
    assert len(groups) <= tasks + 1
    for group in groups:
        between = [piece.work for piece in group[1:-1]]
        ends = (group[0].work + group[-1].work) / 2 if len(group) > 1 else 0
        assert sum(between) + ends <= share * (1 + 1e-9)


@given(
    shape=gops(),
    step=st.integers(1, 5),
    split=st.one_of(st.none(), st.integers(1, 40)),
    parts=st.integers(0, 12),
)
def test_runs_share_no_gop(
    shape: list[tuple[int, int, bool]], step: int, split: int | None, parts: int
) -> None:
    """Runs follow each other, cover all frames, and each reads packets after those of the run before."""
    table = table_of(shape)
    order = np.arange(0, len(table), step)
    runs = cut_at_keyframes(table, order, split_frames=split, parts=parts)
    assert runs[0][0] == 0
    assert runs[-1][1] == len(order)
    for (begin, stop), (following, _) in pairwise(runs):
        assert stop == following
        assert table.starts_for(order[begin:stop]).max() < table.starts_for(order[following:]).min()
    if split is None:
        assert len(runs) <= max(parts, 1)
