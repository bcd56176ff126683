"""A long film behind a link of 50 ms and 100 Mbit/s: what a sprite sheet fetches of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from asyncframes.web._sprites import COLUMNS, TILES
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes, painted_index, repeated
from tests.web.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
GOP, REPEATED, TIMES = 25, 100, 100
BLOCK_BYTES = 16 * 1024

# Constant bitrate, so that pictures which are easy to encode take their share of bytes too.
PADDED = {
    "b": "400k",
    "x264-params": "scenecut=0:b-adapt=0:keyint=25:min-keyint=25:nal-hrd=cbr:filler=1:"
    "bitrate=400:vbv-maxrate=400:vbv-bufsize=400",
}


@asynccontextmanager
async def linked(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Any, str]]:
    """Relay a server over the link; yield the link and the address behind it."""
    monkeypatch.syspath_prepend(ROOT)  # it is not installed
    from benchmarks.servers.shaped_link import ShapedLink

    link = ShapedLink(server.port, round_trip_seconds=0.05, bytes_per_second=12.5e6)
    port = await link.start()
    try:
        yield link, f"http://127.0.0.1:{port}/film.mp4"
    finally:
        await link.aclose()


async def get(client: Any, path: str) -> Any:
    async with client.get(f"/v/c/{path}") as reply:
        assert reply.status == 200
        return await (reply.json() if reply.content_type == "application/json" else reply.read())


async def test_a_hundred_tiles_fetch_a_hundred_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is of a group of pictures that a tile is in, or shares a block with one, and comes once."""
    clip = await asyncio.to_thread(clip_bytes, frames=REPEATED, gop=GOP, options=PADDED)
    data = await asyncio.to_thread(repeated, clip, TIMES, options={"movflags": "faststart"})
    async with af.open_video(data) as video:
        table = await video.frame_table()
    seconds = len(table) / 25
    shown = [table.index_at(place * seconds / TILES) for place in range(TILES)]
    groups = [index // GOP * GOP for index in shown]
    ranges = [one for first in groups for one in table.byte_ranges(first, first + GOP - 1)]
    allowed = {block for start, stop in ranges for block in blocks_of(start, stop)}
    with RunningServer() as server:
        server.serve("/film.mp4", data)
        async with linked(server, monkeypatch) as (link, url), serving({"c": url}) as client:
            for path in ("info", "keyframes", "table"):
                await get(client, path)
            opened = len(server.requests)
            before, carried = await get(client, "stats"), link.bytes_back
            sheet = np.asarray(Image.open(io.BytesIO(await get(client, "sprites.jpg"))))
            after = await get(client, "stats")
            carried = link.bytes_back - carried
        asked = [request.byte_range for request in server.requests[opened:]]
        sent = sum(request.bytes_sent for request in server.requests[opened:])
    fetched = [block for one in asked if one is not None for block in blocks_of(*one)]
    assert None not in asked
    assert len(set(groups)) == TILES
    assert set(fetched) <= allowed
    assert len(fetched) == len(set(fetched))
    assert after["bytes_fetched"] - before["bytes_fetched"] == sent <= len(fetched) * BLOCK_BYTES
    assert sent <= carried < sent + 1024 * len(asked)
    assert sent < len(data) / 3
    height, width = sheet.shape[0] * COLUMNS // TILES, sheet.shape[1] // COLUMNS
    for place, index in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        tile = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert painted_index(tile) == index % REPEATED


def blocks_of(start: int, stop: int) -> range:
    """Return the blocks that bytes lie in, in which they are fetched."""
    return range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES))
