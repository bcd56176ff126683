"""Clips and frames of many videos as tensors, for PyTorch's ``DataLoader`` (extra ``torch``)."""

from __future__ import annotations

from asyncframes.errors import MissingExtraError

try:
    import torch as _torch  # noqa: F401
except ImportError as _exc:
    raise MissingExtraError(
        "asyncframes.torch needs PyTorch: pip install 'asyncframes-video[torch]'", extra="torch"
    ) from _exc

from asyncframes.torch._clips import ClipDataset, OutOfRange, Sampling
from asyncframes.torch._options import LoadingOptions
from asyncframes.torch._stream import FrameStream
from asyncframes.torch._tensors import Clip, Layout

__all__ = ["Clip", "ClipDataset", "FrameStream", "Layout", "LoadingOptions", "OutOfRange", "Sampling"]
