"""`VideoFrames`, a datasource of Ray Data, and `read_frames`, which reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeVar, Unpack

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.data import DataContext, Dataset
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from asyncframes._model.options import with_options
from asyncframes.ray._blocks import Blocks
from asyncframes.ray._options import READ_DEFAULTS, ReadOptions, make_reading
from asyncframes.ray._plan import Piece, plan_tasks
from asyncframes.ray._probe import Found, Worth, look_at
from asyncframes.ray._sources import Entry, Videos, make_entries
from asyncframes.ray._tasks import ReadPieces

T = TypeVar("T")

# A task decodes at least this much, some seconds of it: starting one takes milliseconds. See `work_of`.
_LEAST_WORK = 400.0

# A video is cut if it has twice a task's work, and read once for its table if it has much more.
_WORTH_CUTTING, _WORTH_SCANNING = 2, 10

# So many videos are opened before the job to plan it: all, or the longest and some others.
_MOST_OPENED = 1000
_SAMPLED = 64
_OPENED_PER_TASK = 16

# With so many tasks for each CPU, all stay busy to the end.
_TASKS_PER_CPU = 2

# Blocks of this size cost little, and an object store holds those of many tasks.
_HANDY_BYTES = 32 * 1024**2

# Ray's target if its context has none.
_BLOCK_BYTES = 128 * 1024**2


class VideoFrames(Datasource):
    """Frames of videos, for ``ray.data.read_datasource``. `read_frames` is the short way.

    Videos are listed, and opened in Ray's tasks, when the dataset is made, and once only. That tells
    the schema, the number of rows and their size, and finds the frame tables of long videos, which
    are cut at keyframes into several tasks. A task decodes one video at a time, in `threads` threads:
    pass that as ``num_cpus=``.

    Parameters
    ----------
    sources
        A source or several: URLs, paths, and whatever else `open_video` accepts, except what
        belongs to one process (streams, open files and descriptors). A directory (a URL of one
        ends with a slash) stands for the files in it and below whose suffix is of a video, and a
        pattern with ``*`` for those that match, in the order of their names. Or a dataset or an
        Arrow table, with a column of URLs, paths or files as bytes; see ``paths``.
    **options
        Which frames, what images and what rows; see `ReadOptions`.

    Raises
    ------
    NotPicklableError
        A source belongs to this process.
    SourceError
        A directory or a pattern has no videos, or cannot be listed.
    TypeError, ValueError
        An argument or an option is invalid.
    """

    @with_options(ReadOptions, name="VideoFrames", defaults=READ_DEFAULTS)
    def __init__(self, sources: Videos, **options: Unpack[ReadOptions]) -> None:
        super().__init__()
        self._reading = make_reading(options)
        self._split_frames = options.get("split_frames")
        self._entries = make_entries(
            sources,
            column=options.get("paths", "source"),
            options=options.get("storage_options") or {},
            policy=options.get("policy"),
        )
        carried = next((entry.carried.schema for entry in self._entries if entry.carried is not None), None)
        _refuse_repeated_columns([*self._reading.columns, "error"], carried)
        self._carried = carried
        self._found: list[Found] | None = None
        self._planned: dict[int, list[list[Piece]]] = {}

    def __repr__(self) -> str:
        return f"VideoFrames({len(self._entries):,} videos)"

    @property
    def threads(self) -> int:
        """How many threads compute in a task."""
        return self._reading.threads

    def get_name(self) -> str:
        """Return the name of the read tasks."""
        return "VideoFrames"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return about how many bytes all rows take; ``None`` if no video tells."""
        return self._bytes_of([facts.rows for facts in self._look()])

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        """Return about as many tasks as wanted, fewer if they would have too little to do.

        Raises
        ------
        ValueError
            The images of the videos differ in shape.
        """
        context = data_context or DataContext.get_current()
        blocks = Blocks(self._reading, self._shape(), self._carried)
        if parallelism not in self._planned:
            self._planned[parallelism] = self._plan(parallelism)
        limits = [most for most in (self._reading.batch_frames, per_task_row_limit) if most is not None]
        return [
            ReadTask(
                ReadPieces(
                    pieces,
                    self._reading,
                    blocks,
                    block_bytes=context.target_max_block_size or _BLOCK_BYTES,
                    block_rows=min(limits, default=None),
                ),
                self._metadata(pieces),
                schema=blocks.schema,
                per_task_row_limit=per_task_row_limit,
            )
            for pieces in self._planned[parallelism]
        ]

    def blocks_for(self, cpus: float) -> int | None:
        """Return how many blocks are enough, if the tasks keep so many CPUs busy; otherwise ``None``.

        If there are fewer tasks than Ray asks for, it cuts their blocks for whatever comes next, down to a
        megabyte. Each block costs some hundredths of a second, in which the task's CPU has nothing to do.
        But large ones fill the object store, and then fewer tasks run at a time.

        Parameters
        ----------
        cpus
            CPUs of all nodes; 0 if none has started yet.

        Raises
        ------
        ValueError
            The images of the videos differ in shape.
        """
        least: int = DataContext.get_current().read_op_min_num_blocks
        asked = max(least, math.ceil(_TASKS_PER_CPU * cpus))
        tasks = len(self.get_read_tasks(asked))
        size = self.estimate_inmemory_data_size()
        if not cpus or size is None or tasks * self.threads < _TASKS_PER_CPU * cpus:
            return None
        blocks = min(asked, max(tasks, math.ceil(size / _HANDY_BYTES)))
        self._planned[blocks] = self._planned[asked]
        return blocks

    def _plan(self, parallelism: int) -> list[list[Piece]]:
        return plan_tasks(
            self._entries,
            self._look(),
            self._reading,
            parallelism=parallelism,
            split_frames=self._split_frames,
            least_work=_LEAST_WORK,
        )

    def _look(self) -> list[Found]:
        """Open the videos once, and return what is known of each."""
        if self._found is None:
            self._found = [Found() for _ in self._entries]
            numbers = _worth_opening(self._entries)
            looks = _look_in_tasks(
                [self._entries[number] for number in numbers], self._reading, self._worth()
            )
            for number, facts in zip(numbers, looks, strict=True):
                self._found[number] = facts
        return self._found

    def _worth(self) -> Worth:
        split = self._split_frames
        is_exact = self._reading.open_options.get("seek_mode", "exact") == "exact"
        return Worth(
            cutting=split != 0 and is_exact and not self._reading.limits_requests,
            cut_work=_WORTH_CUTTING * _LEAST_WORK,
            scan_work=_WORTH_SCANNING * _LEAST_WORK,
            cut_rows=None if not split else split + 1,
        )

    def _shape(self) -> tuple[int, ...] | None:
        """Return the shape of all images.

        Raises
        ------
        ValueError
            They have several, which a column of arrays cannot have.
        """
        first: tuple[Entry, tuple[int, ...]] | None = None
        for entry, facts in zip(self._entries, self._look(), strict=True):
            if facts.shape is None:
                continue
            first = first or (entry, facts.shape)
            if facts.shape != first[1] and self._reading.encode is None and "image" in self._reading.columns:
                raise ValueError(
                    f"images of {first[0].name:.100} have the shape {first[1]}, those of {entry.name:.100} "
                    f'{facts.shape}: pass resize=, with fit="cover" for other proportions, or encode="jpg"'
                )
        return None if first is None else first[1]

    def _bytes_of(self, counts: Sequence[int | None]) -> int | None:
        """Return about how many bytes the rows of some videos take."""
        usual, shape = self._typical
        if None in counts and usual is None:
            return None
        # Videos of an unknown length are taken for as long as the others are on average.
        rows = sum((usual or 0) if count is None else count for count in counts)
        if "image" not in self._reading.columns:
            return rows * _FACTS_BYTES
        if shape is None:
            return None
        image = math.prod(shape) * self._reading.rendering.dtype.itemsize
        # A jpg or png of a video's frame takes about a tenth.
        return rows * (_FACTS_BYTES + (image if self._reading.encode is None else image // 10))

    @cached_property
    def _typical(self) -> tuple[int | None, tuple[int, ...] | None]:
        """The mean number of rows of a video and the shape of an image, as far as they are known."""
        known = [facts.rows for facts in self._look() if facts.rows]
        shape = next((facts.shape for facts in self._look() if facts.shape is not None), None)
        return round(float(np.mean(known))) if known else None, shape

    def _metadata(self, pieces: Sequence[Piece]) -> BlockMetadata:
        counts = [piece.rows for piece in pieces]
        # Ray answers `Dataset.count` with this number, so it has to be certain.
        is_exact = self._reading.counts_exactly and all(piece.is_exact for piece in pieces)
        return BlockMetadata(
            num_rows=sum(count or 0 for count in counts) if is_exact else None,
            size_bytes=self._bytes_of(counts),
            input_files=[*dict.fromkeys(piece.entry.name for piece in pieces)],
            exec_stats=None,
        )


# What a row takes besides its image.
_FACTS_BYTES = 100


def _refuse_repeated_columns(own: Sequence[str], carried: pa.Schema | None) -> None:
    """Refuse columns of a table that have the names of columns of frames.

    Raises
    ------
    ValueError
        There are some.
    """
    if both := sorted({*own} & {*(carried.names if carried is not None else ())}):
        raise ValueError(
            f"the table and the rows of frames both have columns named {', '.join(both)}: rename those "
            "of the table, or omit them from include="
        )


def _worth_opening(entries: Sequence[Entry]) -> list[int]:
    """Return the places of the videos to open before the job."""
    if len(entries) <= _MOST_OPENED:
        return [*range(len(entries))]
    sampled = np.linspace(0, len(entries) - 1, _SAMPLED).round().astype(int).tolist()
    longest = sorted(range(len(entries)), key=lambda number: entries[number].size or 0, reverse=True)
    return sorted(
        {*sampled, *(number for number in longest[: _MOST_OPENED - _SAMPLED] if entries[number].size)}
    )


def _look_in_tasks(entries: Sequence[Entry], reading: Any, worth: Worth) -> list[Found]:
    """Open videos in tasks of Ray if it runs, otherwise here."""
    if not ray.is_initialized():
        return look_at(entries, reading, worth)
    look = ray.remote(look_at).options(num_cpus=1, name="look at videos")
    batches = [
        entries[place : place + _OPENED_PER_TASK] for place in range(0, len(entries), _OPENED_PER_TASK)
    ]
    return [
        facts
        for found in ray.get([look.remote(batch, reading, worth) for batch in batches])
        for facts in found
    ]


@with_options(ReadOptions, name="read_frames", defaults=READ_DEFAULTS)
def read_frames(
    sources: Videos,
    *,
    concurrency: int | None = None,
    override_num_blocks: int | None = None,
    **options: Unpack[ReadOptions],
) -> Dataset:
    """Read frames of videos as a dataset, a row for each frame.

    Each frame is exact, and fetched with only the ranges that it needs. The rows of a video are in
    the order requested; those of different tasks arrive as they are done, unless Ray's context has
    ``execution_options.preserve_order``. Ray starts by itself if it does not run yet.

    Parameters
    ----------
    sources
        As for `VideoFrames`.
    concurrency
        Most tasks at a time; by default as many as there are CPUs for. A task takes one CPU for each
        thread of its decoder, which has one unless ``open_options`` says otherwise, and one more if it
        encodes, but not more than a node has.
    override_num_blocks
        How many tasks to read with, and blocks at least; by default as many as the videos have work for,
        up to those that Ray asks for.
    **options
        Which frames (``start``, ``fps``, ``indices`` and the others of `SelectionOptions`), what images
        (``resize`` and the others of `PictureOptions`), and what rows; see `ReadOptions`.

    Returns
    -------
    ray.data.Dataset
        ``image`` is a tensor of ``uint8`` of the shape of `Frame.image`, or binary with ``encode=``.

    Raises
    ------
    ValueError
        An option is invalid, or the images of the videos differ in shape.
    AsyncFramesError
        As `VideoFrames` does. Errors of a video end the job when it runs, unless ``on_error`` says
        otherwise.
    """
    source = VideoFrames(sources, **options)
    cpus = _cpus_of_nodes()
    if override_num_blocks is None:
        override_num_blocks = source.blocks_for(sum(cpus))
    return ray.data.read_datasource(
        source,
        num_cpus=min(source.threads, max(cpus, default=0) or 1),
        concurrency=concurrency,
        override_num_blocks=override_num_blocks,
    )


def _cpus_of_nodes() -> list[float]:
    """Return how many CPUs each node has. A task that asks for more than any has would wait forever."""
    if not ray.is_initialized():
        ray.init()
    return [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
