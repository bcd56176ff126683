"""How many decoders are open while something runs."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncframes._media.codec.decoder import Decoder


@asynccontextmanager
async def counted_decoders() -> AsyncIterator[list[int]]:
    """Count the open decoders every few milliseconds, as long as the context lasts."""
    opened: list[int] = []
    # What earlier tests left in cycles does not count.
    gc.collect()

    async def watch() -> None:
        while True:
            opened.append(sum(1 for o in gc.get_objects() if isinstance(o, Decoder) and hasattr(o, "stream")))
            await asyncio.sleep(0.005)

    watcher = asyncio.create_task(watch())
    try:
        yield opened
    finally:
        watcher.cancel()
