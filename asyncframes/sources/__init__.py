"""Sources of bytes, and addresses that FFmpeg opens itself."""

from asyncframes.sources._cache.cursor import ReadCursor
from asyncframes.sources._cache.source import CachedSource
from asyncframes.sources._ffmpeg_url import FFmpegUrlSource
from asyncframes.sources._fileobj import FileObjectSource
from asyncframes.sources._forward.source import ForwardSource
from asyncframes.sources._fsspec.source import FsspecSource
from asyncframes.sources._http.source import HttpSource
from asyncframes.sources._local import LocalSource
from asyncframes.sources._memory import MemorySource
from asyncframes.sources._object_store.source import ObjectStoreSource
from asyncframes.sources._registry import SourceFactory, SourceLike, register_scheme, resolve_source

__all__ = [
    "CachedSource",
    "FFmpegUrlSource",
    "FileObjectSource",
    "ForwardSource",
    "FsspecSource",
    "HttpSource",
    "LocalSource",
    "MemorySource",
    "ObjectStoreSource",
    "ReadCursor",
    "SourceFactory",
    "SourceLike",
    "register_scheme",
    "resolve_source",
]
