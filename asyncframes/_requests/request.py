"""A request for frames as a value: which frames, and how their images are made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from asyncframes._model.options import FrameOptions, SelectionOptions, option, part_of
from asyncframes._model.rendering import Rendering, make_rendering
from asyncframes._model.selection import Selection, make_selection
from asyncframes._types import PictureOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for, checked as far as it can be before anything is read.

    Attributes
    ----------
    selection
        Which frames.
    rendering
        What their pictures become.
    queue_maxsize
        How many frames are decoded ahead of the consumer.
    """

    selection: Selection
    rendering: Rendering
    queue_maxsize: int

    def of(self, selection: Selection) -> Request:
        """Ask for other frames in the same way."""
        return replace(self, selection=selection)


def make_request(start: int | None, end: int | None, step: int, options: FrameOptions) -> Request:
    """Check the arguments of `Video.frames`.

    Raises
    ------
    ValueError
        A value is invalid, or two ways to name frames are mixed.
    TypeError
        A value is of the wrong type.
    """
    queue_maxsize = option(options, "queue_maxsize")
    if queue_maxsize < 1:
        raise ValueError(f"queue_maxsize={queue_maxsize}: expected 1 or more")
    return Request(
        selection=make_selection(start, end, step, **part_of(options, SelectionOptions)),
        rendering=make_rendering(**part_of(options, PictureOptions)),
        queue_maxsize=queue_maxsize,
    )
