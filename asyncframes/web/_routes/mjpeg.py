"""A video at its own pace, as JPEG images that replace each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from asyncframes._frames.encoders import Encoder
from asyncframes._model.selection import checked_index
from asyncframes._model.timing import ticks_to_seconds
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._types import PictureOptions
from asyncframes.web._query import PICTURE, Query
from asyncframes.web._routes.facts import table_of
from asyncframes.web._routes.frames import encoder_of, headers_of
from asyncframes.web._routes.multipart import Multipart
from asyncframes.web._site import Ask
from asyncframes.web._values import Reply

_BOUNDARY = "asyncframes-frame"
_MULTIPART = Multipart(_BOUNDARY)
_QUALITY = 80


async def mjpeg(ask: Ask) -> Reply:
    """Answer with a stream of frames. A client that reads slowly misses frames, and is not late."""
    query = Query(ask.request, "start", "fps", *PICTURE)
    rate = query.seconds("fps")
    if rate is not None and rate <= 0:
        raise ValueError(f"fps={float(rate):g}: expected more than 0")
    table = await table_of(ask)
    start = checked_index(query.integer("start") or 0, len(table))
    encode = await encoder_of("jpg", query.quality(_QUALITY))
    headers = {
        "Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
        "Cache-Control": "no-store",
    }
    reply = Reply(headers=headers)
    reply.held.enter_context(ask.site.turns.stream())
    times = ticks_to_seconds(table.ticks(), table.time_base)
    reply.body = _parts(ask, Pace(times, start, rate), encode, query.picture(ask.video.info))
    return reply


class Pace:
    """Tells which frame is shown now, and when the next one is.

    Parameters
    ----------
    times
        When each frame is shown, in seconds, ascending.
    start
        The frame that is shown first.
    rate
        Most frames in a second; ``None`` for all.
    """

    def __init__(self, times: NDArray[np.float64], start: int, rate: Fraction | None) -> None:
        self._times = times
        self._start = start
        self._step = 0.0 if rate is None else float(1 / rate)

    def index_at(self, elapsed: float) -> int:
        """Return the frame that is shown so long after the first one."""
        shown = float(self._times[self._start]) + elapsed
        return max(self._start, int(np.searchsorted(self._times, shown, side="right")) - 1)

    def next_after(self, index: int) -> float | None:
        """Return how long after the first frame another is shown; ``None`` if it was the last."""
        first, shown = float(self._times[self._start]), float(self._times[index])
        following = int(np.searchsorted(self._times, max(shown + self._step, np.nextafter(shown, np.inf))))
        return None if following >= len(self._times) else float(self._times[following]) - first


async def _parts(
    ask: Ask, pace: Pace, encode: Encoder, options: PictureOptions
) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    began: float | None = None
    due: float | None = 0.0
    yield _MULTIPART.start
    while due is not None and not await _closes_within(ask.site.closing, due, began):
        began = loop.time() if began is None else began
        index = pace.index_at(max(due, loop.time() - began))
        async with ask.site.turns.turn(is_admitted=True):
            frame = await ask.video.frame(index, **options)
            body = await run_to_completion(in_thread(None, encode, frame.image))
        yield _MULTIPART.part({"Content-Type": "image/jpeg", **headers_of(frame)}, body)
        due = pace.next_after(index)
    yield _MULTIPART.end


async def _closes_within(closing: asyncio.Event, due: float, began: float | None) -> bool:
    """Wait until a frame is due. Return whether the application closes meanwhile."""
    wait = 0.0 if began is None else began + due - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(max(0.0, wait)):
            await closing.wait()
    except TimeoutError:
        return False
    return True
