"""Options that data sets share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asyncframes._model.options import DEFAULTS, OpenOptions
from asyncframes._model.table import FrameTable
from asyncframes._types import PictureOptions
from asyncframes.torch._tensors import Layout


class LoadingOptions(PictureOptions, total=False):
    """Options of `ClipDataset` and `FrameStream`, besides those of `PictureOptions`.

    Videos of different sizes need ``resize=`` to be joined into one batch. `image_format` is
    ``rgb24``, ``bgr24``, ``gray`` or ``rgba``.

    Attributes
    ----------
    layout
        Order of the dimensions of `Clip.frames`, ``"NCHW"`` by default.
    frame_tables
        A table for each video, or ``None`` for those without; see `open_video`.
    open_options
        Options of `open_video`; ``threads`` is 1 unless it is among them.
    """

    layout: Layout
    frame_tables: Iterable[FrameTable | None] | None
    open_options: OpenOptions | None


LOADING_DEFAULTS: dict[str, Any] = {**DEFAULTS, "layout": "NCHW", "frame_tables": None, "open_options": None}
"""Default of each option."""
