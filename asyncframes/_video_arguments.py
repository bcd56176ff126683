"""The arguments of `open_video`, checked, and the video that they make."""

from __future__ import annotations

import sys
from concurrent.futures import Executor
from dataclasses import dataclass

from asyncframes._media.container.opening import ContainerOptions
from asyncframes._policy.policy import Policy
from asyncframes._requests.decoder_session import ReadOptions
from asyncframes._requests.inputs import CachedInput, UrlInput, VideoInput
from asyncframes._requests.requests import Requests
from asyncframes._requests.video_requests import VideoOptions
from asyncframes._runtime.threads import shared_executor
from asyncframes._types import PacketProgress
from asyncframes._video import Video
from asyncframes.abc import StreamSource
from asyncframes.errors import IsolationError
from asyncframes.sources import CachedSource, FFmpegUrlSource
from asyncframes.sources._cache.source import check_cache

if sys.platform != "win32":
    from asyncframes._isolation.requests import IsolatedRequests


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """How the bytes of a source are cached; see `open_video`."""

    cache_bytes: int
    read_ahead_bytes: int
    max_read_bytes: int | None

    def __post_init__(self) -> None:
        check_cache(cache_bytes=self.cache_bytes, read_ahead_bytes=self.read_ahead_bytes)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VideoArguments:
    """The arguments of `open_video`, checked. It holds no lock, thread or cache, so it can be pickled."""

    source: StreamSource | FFmpegUrlSource
    policy: Policy
    cache: CacheOptions
    container: ContainerOptions
    options: VideoOptions
    read_timeout_seconds: float
    executor: Executor | None
    packet_progress: PacketProgress | None

    def video(self) -> Video:
        """Make the video, which is not open yet.

        Raises
        ------
        IsolationError
            This system cannot isolate it.
        """
        reading = ReadOptions(
            executor=self.executor or shared_executor(),
            read_timeout_seconds=self.read_timeout_seconds,
            container=self.container,
            packet_progress=self.packet_progress,
            cpu_seconds=self.policy.cpu_seconds,
        )
        if self.options.policy.isolation == "none":
            return Video(Requests(self._input(), reading, self.options))
        if sys.platform == "win32":
            raise IsolationError(
                "isolation='process' is not available on Windows: pass isolation='none', "
                "or dataclasses.replace(policy, isolation='none'), if threads are good enough",
                source=self.source.name,
                limit="isolation",
            )
        return Video(
            IsolatedRequests(
                self._input(),
                reading,
                self.options,
                cache_bytes=self.cache.cache_bytes,
                read_ahead_bytes=self.cache.read_ahead_bytes,
            )
        )

    def _input(self) -> VideoInput:
        source = self.source
        if isinstance(source, FFmpegUrlSource):
            source._limit(self.policy)
            return UrlInput(source)
        cached = CachedSource(
            source,
            cache_bytes=self.cache.cache_bytes,
            read_ahead_bytes=self.cache.read_ahead_bytes,
            max_read_bytes=self.cache.max_read_bytes,
        )
        cached._limit(self.policy)
        return CachedInput(source, cached)
