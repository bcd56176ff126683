"""Options of reading frames, checked on the driver and sent to the tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from asyncframes._frames.encoders import encoder_for
from asyncframes._model.options import DEFAULTS, OpenOptions, SelectionOptions, part_of
from asyncframes._model.quoting import quoted_option
from asyncframes._model.rendering import Rendering, make_rendering
from asyncframes._model.selection import Selection, make_selection
from asyncframes._opening import open_video
from asyncframes._policy.policy import Policy
from asyncframes._types import PictureOptions
from asyncframes.sources._limits import check_counts

OnError: TypeAlias = Literal["raise", "skip", "column"]
"""What becomes of a video that cannot be read: an error, nothing, or a row that says why."""

Column: TypeAlias = Literal[
    "image", "index", "pts", "pts_seconds", "duration_seconds", "is_keyframe", "is_corrupt", "source"
]
"""A column of the rows of frames."""

DEFAULT_COLUMNS: tuple[Column, ...] = ("image", "index", "pts_seconds", "source")


class ReadOptions(SelectionOptions, PictureOptions, total=False):
    """Options of `read_frames` and `VideoFrames`: which frames, what images, what rows.

    Attributes
    ----------
    start, end, step
        First and last frame, both inclusive, and every how many, as for `Video.frames`.
    paths
        Name of the column of sources, if `sources` is a table: ``"source"`` by default. Each row of a
        frame repeats the other columns of its video.
    include
        Columns of the rows, in this order; by default ``image``, ``index``, ``pts_seconds`` and
        ``source``. `Frame` describes each; ``source`` is the name of the source, without secrets.
        A frame without a pts has NaN in ``pts_seconds`` and null in ``pts``.
    batch_frames
        Most frames in a block. By default, as many as fit Ray's target size, 128 MiB.
    split_frames
        Cut videos at keyframes into tasks of about this many selected frames. By default it follows
        from the number of tasks that Ray asks for, and from what the videos take to decode. 0 cuts
        none.
    encode
        Encode images as files of this kind, such as ``"jpg"``: a binary column in place of an array.
        Frames of different sizes need this, or `resize`.
    quality
        Option of that encoder; see `Frame.encode`.
    on_error
        What to do if a video cannot be opened, read or decoded, after the retries of its source.
        ``"raise"`` (the default) ends the job. ``"skip"`` logs a warning and goes on with the next
        video. ``"column"`` adds the column ``error``, which is null except in one more row for each
        such video, where everything else about the frame is null. Frames before the error are kept. A
        part of a video that is cut counts as a video.
    policy
        What a video may cost and reach; see `open_video`.
    storage_options
        Options of the sources of URLs: those of `ObjectStoreSource` for s3, gs and az, of
        `HttpSource` for http and https, and of fsspec for other schemes.
    open_options
        More options of `open_video`; ``threads`` is 1 unless it is among them.
    """

    start: int | None
    end: int | None
    step: int
    paths: str
    include: Sequence[Column]
    batch_frames: int | None
    split_frames: int | None
    encode: str | None
    quality: int | None
    on_error: OnError
    policy: Policy | None
    storage_options: Mapping[str, Any] | None
    open_options: OpenOptions | None


READ_DEFAULTS: dict[str, Any] = {
    **DEFAULTS,
    "paths": "source",
    "include": DEFAULT_COLUMNS,
    "batch_frames": None,
    "split_frames": None,
    "encode": None,
    "on_error": "raise",
    "storage_options": None,
    "open_options": None,
}
"""Default of each option."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """How tasks read videos. It can be pickled.

    Attributes
    ----------
    selection
        Which frames.
    select
        The same, as arguments of `Video.batches`.
    picture, rendering
        How images are made.
    open_options
        How videos are opened.
    columns, batch_frames, encode, quality, on_error
        As for `ReadOptions`.
    """

    selection: Selection
    select: Mapping[str, Any]
    picture: PictureOptions
    rendering: Rendering
    open_options: OpenOptions
    columns: tuple[Column, ...]
    batch_frames: int | None
    encode: str | None
    quality: int | None
    on_error: OnError

    @property
    def threads(self) -> int:
        """How many threads compute in a task: those of the decoder, and one that encodes."""
        return (self.open_options.get("threads") or 1) + (self.encode is not None)

    @property
    def counts_exactly(self) -> bool:
        """Whether a job that succeeds has a row for every frame that is selected."""
        return self.on_error == "raise" and self.open_options.get("on_corrupt", "raise") != "skip"

    @property
    def limits_requests(self) -> bool:
        """Whether a policy limits what a request may cost, so that a video has to be one request."""
        policy = self.open_options.get("policy")
        if self.open_options.get("deadline_seconds") is not None:
            return True
        if policy is None:
            return False
        names = ("max_output_frames", "max_output_bytes", "deadline_seconds", "cpu_seconds", "max_read_bytes")
        return any(getattr(policy, name) is not None for name in names)


def make_reading(options: ReadOptions) -> Reading:
    """Check options, on the driver rather than in each task.

    Raises
    ------
    TypeError, ValueError
        An option is invalid.
    """
    columns = _columns(options.get("include", DEFAULT_COLUMNS))
    batch_frames, split_frames = options.get("batch_frames"), options.get("split_frames")
    check_counts(least=1, batch_frames=1 if batch_frames is None else batch_frames)
    check_counts(least=0, split_frames=0 if split_frames is None else split_frames)
    on_error: OnError = options.get("on_error", "raise")
    if on_error not in get_args(OnError):
        raise ValueError(
            f"on_error={quoted_option(on_error)}: expected one of {', '.join(get_args(OnError))}"
        )
    bounds: dict[str, Any] = {name: options.get(name, DEFAULTS[name]) for name in ("start", "end", "step")}
    ways = part_of(options, SelectionOptions)
    selection = make_selection(bounds["start"], bounds["end"], bounds["step"], **ways).read_at_once()
    # Iterables are read once, here: each task needs all of their entries.
    read = {name: getattr(selection, name) for name in ("indices", "times") if ways.get(name) is not None}
    picture = part_of(options, PictureOptions)
    rendering = make_rendering(**picture)
    encode, quality = options.get("encode"), options.get("quality")
    if encode is not None:
        encoder_for(encode, quality=quality, image_format=rendering.image_format)
    elif quality is not None:
        raise ValueError("quality goes with encode: it is not given")
    open_options: OpenOptions = {**(options.get("open_options") or {})}
    # Tasks decode beside each other, so codec threads of their own gain nothing.
    if open_options.get("threads") is None:
        open_options["threads"] = 1
    if options.get("policy") is not None:
        open_options["policy"] = options["policy"]
    # Wrong options are refused here, and not by each worker.
    open_video(b"", **open_options).__reduce__()
    return Reading(
        selection=selection,
        select={**bounds, **ways, **read},
        picture=picture,
        rendering=rendering,
        open_options=open_options,
        columns=columns,
        batch_frames=batch_frames,
        encode=encode,
        quality=quality,
        on_error=on_error,
    )


def _columns(include: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns of the rows.

    Raises
    ------
    TypeError, ValueError
        They are one name, an unknown one, none or repeated.
    """
    if isinstance(include, str):
        raise TypeError(f"include={quoted_option(include)}: expected several names, such as ({include!r},)")
    columns = tuple(include)
    for name in columns:
        if name not in get_args(Column):
            expected = ", ".join(get_args(Column))
            raise ValueError(f"include: {quoted_option(name)} is not a column: expected some of {expected}")
    if not columns or len({*columns}) < len(columns):
        raise ValueError(f"include={quoted_option(columns)}: expected each column once, and at least one")
    return columns
