"""Batches of frames as tensors."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

import torch

from asyncframes._frames.batch import FrameBatch

Layout: TypeAlias = Literal["NCHW", "NHWC"]
"""Order of the dimensions: frames, then channels, height and width, or height, width and channels."""


class Clip(TypedDict):
    """Some frames of one video. PyTorch's default collate function joins clips of equal size.

    Attributes
    ----------
    frames
        ``uint8``, of shape ``(n, channels, height, width)`` (``"NCHW"``, the default) or
        ``(n, height, width, channels)``. In memory it is always the latter (PyTorch's
        ``channels_last``), so neither is a copy.
    indices
        ``int64``: place of each frame in the video.
    pts_seconds
        ``float64``: presentation times in seconds; NaN for a frame without one.
    video
        Place of the video in the dataset.
    """

    frames: torch.Tensor
    indices: torch.Tensor
    pts_seconds: torch.Tensor
    video: int


def as_clip(batch: FrameBatch, video: int, layout: Layout) -> Clip:
    """Make tensors that share the memory of a batch."""
    images = torch.from_numpy(batch.images)
    frames = images if images.ndim == 4 else images[..., None]
    return {
        "frames": frames.permute(0, 3, 1, 2) if layout == "NCHW" else frames,
        "indices": torch.from_numpy(batch.indices),
        "pts_seconds": torch.from_numpy(batch.pts_seconds),
        "video": video,
    }


def check_layout(layout: str) -> None:
    """Refuse an unknown layout.

    Raises
    ------
    ValueError
        It is none of `Layout`.
    """
    if layout not in {"NCHW", "NHWC"}:
        raise ValueError(f"layout={layout!r}: expected 'NCHW' or 'NHWC'")
