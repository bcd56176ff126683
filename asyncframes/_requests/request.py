"""A request for frames, as a value."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Unpack

from asyncframes._model.options import FrameOptions, SelectionOptions, option, part_of
from asyncframes._model.rendering import Rendering, make_rendering
from asyncframes._model.selection import Selection, make_selection
from asyncframes._types import PictureOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for frames, checked as far as possible before the video is read.

    Attributes
    ----------
    selection
        Which frames to decode.
    rendering
        How to make their images.
    queue_maxsize
        How many frames to decode ahead of the consumer.
    """

    selection: Selection
    rendering: Rendering
    queue_maxsize: int


def select(start: int | None, end: int | None, step: int, **options: Unpack[SelectionOptions]) -> Selection:
    """Check the arguments that select frames; see `make_selection`.

    Long iterables are left to be read later, unless no event loop is running: a generator may
    belong to its thread, as a database cursor does.
    """
    selection = make_selection(start, end, step, **options)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return selection.read_at_once()
    return selection


def make_request(start: int | None, end: int | None, step: int, options: FrameOptions) -> Request:
    """Check the arguments of `Video.frames`.

    Raises
    ------
    ValueError
        A value is invalid, or options that select frames contradict each other.
    TypeError
        A value has the wrong type.
    """
    queue_maxsize = option(options, "queue_maxsize")
    if queue_maxsize < 1:
        raise ValueError(f"queue_maxsize={queue_maxsize}: expected 1 or more")
    return Request(
        selection=select(start, end, step, **part_of(options, SelectionOptions)),
        rendering=make_rendering(**part_of(options, PictureOptions)),
        queue_maxsize=queue_maxsize,
    )
