"""Stream decoded video frames by exact index, without blocking asyncio."""

from __future__ import annotations

from asyncframes import abc, errors, sources, sync, writers
from asyncframes._frames.batch import FrameBatch
from asyncframes._frames.frame import Frame
from asyncframes._frames.sheet import ContactSheet
from asyncframes._isolation.report import IsolationReport
from asyncframes._many import Extraction, extract_many
from asyncframes._model.options import (
    BatchOptions,
    FrameOptions,
    OpenOptions,
    SaveOptions,
    SelectionOptions,
    SheetOptions,
    WriteOptions,
)
from asyncframes._model.table import NO_TIMESTAMP, FrameTable, Packets, SourceIdentity
from asyncframes._opening import open_video
from asyncframes._policy.policy import Policy
from asyncframes._streaming import stream_frames, stream_frames_to_dir, stream_frames_to_writer
from asyncframes._types import (
    Fit,
    Image,
    ImageFormat,
    OnCorrupt,
    Overwrite,
    PictureOptions,
    SeekMode,
    StreamInfo,
    VideoInfo,
    VideoStreamInfo,
    WhenShort,
)
from asyncframes._version import __version__
from asyncframes._video import Video
from asyncframes.abc import FrameWriter, StreamSource
from asyncframes.sources import (
    FFmpegUrlSource,
    FileObjectSource,
    ForwardSource,
    FsspecSource,
    HttpSource,
    LocalSource,
    MemorySource,
    ObjectStoreSource,
)
from asyncframes.writers import DirectoryWriter, NpyWriter, TarWriter, write_frames

__all__ = [
    "NO_TIMESTAMP",
    "BatchOptions",
    "ContactSheet",
    "DirectoryWriter",
    "Extraction",
    "FFmpegUrlSource",
    "FileObjectSource",
    "Fit",
    "ForwardSource",
    "Frame",
    "FrameBatch",
    "FrameOptions",
    "FrameTable",
    "FrameWriter",
    "FsspecSource",
    "HttpSource",
    "Image",
    "ImageFormat",
    "IsolationReport",
    "LocalSource",
    "MemorySource",
    "NpyWriter",
    "ObjectStoreSource",
    "OnCorrupt",
    "OpenOptions",
    "Overwrite",
    "Packets",
    "PictureOptions",
    "Policy",
    "SaveOptions",
    "SeekMode",
    "SelectionOptions",
    "SheetOptions",
    "SourceIdentity",
    "StreamInfo",
    "StreamSource",
    "TarWriter",
    "Video",
    "VideoInfo",
    "VideoStreamInfo",
    "WhenShort",
    "WriteOptions",
    "__version__",
    "abc",
    "errors",
    "extract_many",
    "open_video",
    "sources",
    "stream_frames",
    "stream_frames_to_dir",
    "stream_frames_to_writer",
    "sync",
    "write_frames",
    "writers",
]
