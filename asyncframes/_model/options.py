"""Options that several calls share: each is defined once, with its default, and checked by name."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import fields
from difflib import get_close_matches
from fractions import Fraction
from functools import wraps
from os import PathLike
from typing import Any, ForwardRef, ParamSpec, SupportsIndex, TypedDict, TypeVar, cast

from asyncframes._model.quoting import quoted_option
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import FrameTable
from asyncframes._policy.policy import Isolation, Policy
from asyncframes._types import (
    ImageWriter,
    OnCorrupt,
    Overwrite,
    PacketProgress,
    PictureOptions,
    ProgressCallback,
    SeekMode,
    TimeRange,
    WhenShort,
)

P = ParamSpec("P")
T = TypeVar("T")


class SelectionOptions(TypedDict, total=False):
    """Ways to select frames besides ``start``, ``end`` and ``step``.

    Attributes
    ----------
    indices
        Up to 10,000,000 frames by index, including repeats, in the order requested; integers
        of Python or NumPy, or an array of them. Floats are refused: round them first.
        Each GOP is decoded once if the frames that wait for their turn fit into
        ``reorder_bytes``. A long iterable is read and checked when the first frame is
        requested.
    times
        Frames shown at these seconds, in the order requested. Containers round times
        to ticks, so a time selects a frame from half a tick before its pts, unless
        frames are one tick apart. If frames have the same pts, or one before an earlier
        frame's, a time selects the first in presentation order, and a warning is logged.
    time_range
        Bounds in seconds in place of ``start`` and ``end``: the frames shown
        from the first time up to, but not including, the second; ``None`` for an
        open end. Goes with ``step``, `fps`, `num_frames` and `keyframes`.
    fps
        Resample the bounds: for each tick of this rate, counted from the first frame,
        the frame shown at that time; up to 10,000,000. A frame may begin one tick of its
        container late, so a video's own constant rate gives each frame once. Otherwise,
        except for the duration of the last frame, the result equals FFmpeg's filter
        ``fps=…:round=up`` with ``start_time`` at the first frame.
    max_frames, min_frames
        Bounds for `fps`, no limit by default. If the rate gives more than `max_frames` or
        fewer than `min_frames`, that many frames are spread over the bounds as by `num_frames`.
    num_frames
        This many frames spread evenly over the bounds, first and last included: the indices
        ``numpy.linspace(first, last, num_frames).round()``. One frame is the first.
    short
        If `num_frames`, `min_frames` or `max_frames` asks for more frames than there are
        within the bounds: ``"repeat"`` (the default) repeats some, so that the number is as
        requested; ``"fewer"`` gives each frame once.
    keyframes
        Only the keyframes within the bounds. Off by default.
    tolerance_seconds
        How much earlier than a frame's pts a time may be, beyond half a tick: use 0.0005
        for times rounded to three decimals. 0 by default; always less than half the time
        from one frame to the next.
    """

    indices: Iterable[SupportsIndex] | None
    times: Iterable[float | Fraction] | None
    time_range: TimeRange | None
    fps: float | Fraction | None
    max_frames: int | None
    min_frames: int | None
    num_frames: int | None
    short: WhenShort
    keyframes: bool
    tolerance_seconds: float | Fraction


class FrameOptions(SelectionOptions, PictureOptions, total=False):
    """Options of a request for frames.

    Attributes
    ----------
    queue_maxsize
        How many frames to decode ahead of the consumer, 32 by default, and at most
        256 MiB of them. Besides the codec's own memory, a request takes at most
        ``(queue_maxsize + 1) * frame_bytes``.
    """

    queue_maxsize: int


class BatchOptions(SelectionOptions, PictureOptions, total=False):
    """Options of a request for frames in one array.

    Attributes
    ----------
    max_batch_bytes
        Refuse a batch that would take more memory, 2 GiB by default.
    """

    max_batch_bytes: int


class WriteOptions(FrameOptions, total=False):
    """Options of a request whose frames go to a writer.

    Attributes
    ----------
    progress_cb
        Called with 1 after each frame is stored, on the event loop; plain or async.
    max_write_workers
        How many frames to encode and write at once, 4 by default.
    """

    progress_cb: ProgressCallback | None
    max_write_workers: int


class SaveOptions(WriteOptions, total=False):
    """Options of a request whose frames become image files.

    Attributes
    ----------
    ext
        Kind of image file: png (the default), jpg, npy, raw (the array's bytes), or any
        format that imageio writes.
    template
        File name, formatted with ``index``, which it must contain, ``ext``, ``pts`` and
        ``seconds``; ``"frame_{index:06d}.{ext}"`` by default.
    quality, compression_level
        Options of the encoder, if it has them.
    overwrite
        What to do if a file already exists: ``"error"`` (the default), ``"replace"``, or
        ``"skip"``, which keeps the file and does not decode its frame, so that a killed
        run continues where it stopped. It keeps only files that this request would
        write: the hidden file ``.asyncframes.json`` in the directory records the source
        (name, size and validator) and the options of the files. A file that it does not
        record is an error.
    image_writer
        Plain or async function ``(path, image)`` that stores an image at a temporary
        path, in place of the encoder.
    """

    ext: str
    template: str
    quality: int | None
    compression_level: int | None
    overwrite: Overwrite
    image_writer: ImageWriter | None


class SheetOptions(SelectionOptions, PictureOptions, total=False):
    """Options of a contact sheet.

    Attributes
    ----------
    columns, rows
        Frames per row, 5 by default, and the most rows, 4 by default. If more frames are
        selected than fit, those from the middles of as many equal parts are shown.
    width
        Width of the sheet in pixels, 1600 by default. It may be some pixels less, because all
        frames have one width.
    title
        A line at the top. None by default.
    progress_cb
        Called with 1 after each frame is decoded, on the event loop; plain or async.
    """

    columns: int
    rows: int
    width: int
    title: str | None
    progress_cb: ProgressCallback | None


class OpenOptions(TypedDict, total=False):
    """Options of `open_video`; see there."""

    policy: Policy | None
    isolation: Isolation | None
    stream_index: int | None
    on_corrupt: OnCorrupt
    threads: int | None
    idle_priority: bool
    cache_bytes: int
    read_ahead_bytes: int
    reorder_bytes: int
    picture_cache_bytes: int
    read_timeout_seconds: float
    deadline_seconds: float | None
    max_pixels: int | None
    max_table_frames: int | None
    max_read_bytes: int | None
    allow_containers: Sequence[str]
    seek_mode: SeekMode
    frame_table: FrameTable | None
    table_cache: str | PathLike[str] | None
    executor: Executor | None
    packet_progress: PacketProgress | None


class StreamOptions(FrameOptions, OpenOptions, total=False):
    """Options of `stream_frames`: those of `Video.frames` and of `open_video`."""


class StreamToWriterOptions(WriteOptions, OpenOptions, total=False):
    """Options of `stream_frames_to_writer`: those of `Video.write` and of `open_video`."""


class StreamToDirOptions(SaveOptions, OpenOptions, total=False):
    """Options of `stream_frames_to_dir`: those of `Video.save` and of `open_video`.

    Attributes
    ----------
    show_decoding_progress
        Show tqdm bars that count packets. Off by default.
    """

    show_decoding_progress: bool


DEFAULTS: dict[str, Any] = {
    "start": None,
    "end": None,
    "step": 1,
    "indices": None,
    "times": None,
    "time_range": None,
    "fps": None,
    "max_frames": None,
    "min_frames": None,
    "num_frames": None,
    "short": "repeat",
    "keyframes": False,
    "tolerance_seconds": 0,
    **{field.name: field.default for field in fields(Rendering)},
    "queue_maxsize": 32,
    "max_batch_bytes": 2 * 1024**3,
    "columns": 5,
    "rows": 4,
    "width": 1600,
    "title": None,
    "progress_cb": None,
    "max_write_workers": 4,
    "ext": "png",
    "template": "frame_{index:06d}.{ext}",
    "quality": None,
    "compression_level": None,
    "overwrite": "error",
    "image_writer": None,
    "show_decoding_progress": False,
    "policy": None,
    "isolation": None,
    "stream_index": None,
    "on_corrupt": "raise",
    "threads": None,
    "idle_priority": False,
    "cache_bytes": 64 * 1024 * 1024,
    "read_ahead_bytes": 8 * 1024 * 1024,
    "reorder_bytes": 256 * 1024 * 1024,
    "picture_cache_bytes": 256 * 1024 * 1024,
    "read_timeout_seconds": 60.0,
    "deadline_seconds": None,
    "max_pixels": None,
    "max_table_frames": None,
    "max_read_bytes": None,
    "allow_containers": (),
    "seek_mode": "exact",
    "frame_table": None,
    "table_cache": None,
    "executor": None,
    "packet_progress": None,
}
"""Default of each option."""


def with_options(
    options: type, *, name: str | None = None, defaults: Mapping[str, Any] = DEFAULTS
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function that takes ``**options``: show each option, and refuse any other by name.

    `inspect.signature`, `help` and completion in notebooks see the options as parameters with
    their defaults. An unknown option is a `TypeError` that suggests the nearest known one.

    Parameters
    ----------
    options
        The class that lists the options.
    name
        What errors call the function, by default its qualified name.
    defaults
        The default of each option.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = _explicit(inspect.signature(function), options, defaults)
        shown = _checking(function, name or function.__qualname__, signature)
        setattr(shown, "__signature__", signature)  # noqa: B010 - inspect looks for it, types do not know it
        return shown

    return decorate


def refusing_unknown(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that names its options: refuse any other as `with_options` does."""
    return _checking(function, function.__qualname__, inspect.signature(function))


def _checking(function: Callable[P, T], called: str, signature: inspect.Signature) -> Callable[P, T]:
    """Return a function that refuses the options that a signature lacks."""
    known = [parameter for parameter in signature.parameters if parameter != "self"]

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        _refuse_unknown(called, kwargs, known)
        return function(*args, **kwargs)

    @wraps(function)
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
        _refuse_unknown(called, kwargs, known)
        return await cast("Callable[P, Awaitable[Any]]", function)(*args, **kwargs)

    return cast("Callable[P, T]", awaited if inspect.iscoroutinefunction(function) else checked)


def _explicit(signature: inspect.Signature, options: type, defaults: Mapping[str, Any]) -> inspect.Signature:
    """Replace ``**options`` by a keyword parameter for each option."""
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=_as_written(annotation)
        )
        for name, annotation in options.__annotations__.items()
    ]
    return signature.replace(parameters=[*own, *more])


def _as_written(annotation: Any) -> Any:
    # Aliases keep their names, so that signatures stay readable.
    return annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation


def _refuse_unknown(function: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse unknown options.

    Raises
    ------
    TypeError
        An option is unknown. The message suggests the nearest known one.
    """
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}=?" if near else f"expected one of {', '.join(known)}"
            raise TypeError(f"{function}() has no option {quoted_option(name)}: {hint}")


def part_of(options: Mapping[str, Any], kind: type[T]) -> T:
    """Return the options that belong to one kind."""
    return cast("T", {name: value for name, value in options.items() if name in kind.__annotations__})


def option(options: Mapping[str, Any], name: str) -> Any:
    """Return an option, or its default."""
    return options.get(name, DEFAULTS[name])
