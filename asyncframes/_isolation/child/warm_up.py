"""Imports and tries everything that decoding needs later, while files can still be opened."""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401 - imported by codecs when they are first used
import os
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from importlib.resources import files

from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.pyav import import_late_modules
from asyncframes._model.options import FrameOptions
from asyncframes._model.selection import make_selection
from asyncframes._policy.policy import Policy
from asyncframes._requests.decoder_session import ReadOptions
from asyncframes._requests.inputs import CachedInput
from asyncframes._requests.request import make_request
from asyncframes._requests.requests import Requests
from asyncframes._requests.video_requests import VideoOptions
from asyncframes.abc import StreamSource
from asyncframes.sources._cache.source import CachedSource

# Each reaches code that the others do not: tables, threads, filters, pixel formats.
_TRIED: tuple[FrameOptions, ...] = (
    {},
    {"deinterlace": True, "resize": (64, 48)},
    {"image_format": "rgb48", "crop": (0, 0, 32, 32)},
    {"image_format": "rgba"},
    {"image_format": "i420"},
)


_TASKS = "/proc/self/task"


class _Clip(StreamSource):
    """The clip, read as a source in another process is: through the event loop."""

    def __init__(self) -> None:
        self._data = (files("asyncframes") / "data" / "bunny.mp4").read_bytes()

    @property
    def name(self) -> str:
        return "the clip of asyncframes"

    @property
    def size(self) -> int:
        return len(self._data)

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        return self._data[start:stop]


def warm_up() -> None:
    """Decode frames of the clip that the package ships, in many ways. No thread is left."""
    import_late_modules()
    with ThreadPoolExecutor(4) as executor:
        asyncio.run(_decode(executor))
    # A thread that was joined may still be ending.
    for _ in range(100 if sys.platform == "linux" else 0):
        if len(os.listdir(_TASKS)) == 1:  # noqa: PTH208 - names are enough
            return
        time.sleep(0.01)


async def _decode(executor: Executor) -> None:
    source = _Clip()
    reading = ReadOptions(
        executor=executor,
        read_timeout_seconds=60,
        container=ContainerOptions(stream_index=None, threads=2, max_pixels=Policy().max_pixels),
        packet_progress=None,
        cpu_seconds=60,
    )
    options = VideoOptions(
        on_corrupt="raise",
        reorder_bytes=1024,
        seek_mode="exact",
        frame_table=None,
        table_cache=None,
        deadline_seconds=None,
        picture_cache_bytes=1024,
        policy=Policy(),
    )
    requests = Requests(CachedInput(source, CachedSource(source)), reading, options)
    await requests.open()
    try:
        for picture in _TRIED:
            async with aclosing(requests.frames(make_request(0, 9, 9, picture))) as frames:
                async for _ in frames:
                    pass
        await requests.resolve(make_selection(None, None, 1, fps=1))
    finally:
        await requests.aclose()
