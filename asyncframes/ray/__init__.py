"""Frames of many videos as datasets of Ray Data, and back to files (extra ``ray``)."""

from __future__ import annotations

from asyncframes.errors import MissingExtraError

try:
    import ray.data as _data  # noqa: F401
except ImportError as _exc:
    raise MissingExtraError(
        "asyncframes.ray needs Ray Data: pip install 'asyncframes-video[ray]'", extra="ray"
    ) from _exc

from asyncframes.ray._options import Column, OnError, ReadOptions
from asyncframes.ray._videos import VideoFrames, read_frames
from asyncframes.ray._writing import FrameFiles, WriteFilesOptions, write_frames

__all__ = [
    "Column",
    "FrameFiles",
    "OnError",
    "ReadOptions",
    "VideoFrames",
    "WriteFilesOptions",
    "read_frames",
    "write_frames",
]
