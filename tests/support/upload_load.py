"""Many uploads at once, good and hostile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.servers.uploads import NAME
from tests.support.streams.uploads import GOOD, HOSTILE, in_pieces

WIDTH = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What one upload got.

    Attributes
    ----------
    name
        Its name: the number of one of `GOOD`, or the name of one of `HOSTILE`.
    status
        ``None`` if the sender broke off, or sent on and missed it.
    frames
        The JSON of the body.
    seconds
        From the first byte sent to the last one received.
    """

    name: str
    status: int | None
    frames: Any
    seconds: float


async def send_all(url: str, good: int, hostile: list[str]) -> list[Answer]:
    """Send that many good uploads and the hostile ones, all at once, in a fixed disorder."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=None, limits=limits) as client:  # noqa: S113 - some answers take long
        loads = [(str(number % len(GOOD)), in_pieces(GOOD[number % len(GOOD)]())) for number in range(good)]
        for place, name in enumerate(hostile):
            loads.insert(place * 4, (name, HOSTILE[name][0]()))
        return await asyncio.gather(*(_send(client, url, *load) for load in loads))


async def _send(client: httpx.AsyncClient, url: str, name: str, body: AsyncIterator[bytes]) -> Answer:
    begin = time.perf_counter()
    status, frames = None, None
    try:
        reply = await client.post(f"{url}/thumbnails?width={WIDTH}", content=body, headers={NAME: name})
        status = reply.status_code
        frames = reply.json() if status == 200 else reply.text
    except (ConnectionAbortedError, httpx.NetworkError):
        # Who sends on after the service has closed the connection may miss its answer.
        pass
    return Answer(name, status, frames, time.perf_counter() - begin)


def percentiles(answers: list[Answer]) -> dict[str, float]:
    """Return the median, the 90th and the 99th percentile, and the longest time of the good uploads."""
    times = sorted(answer.seconds for answer in answers if answer.name.isdigit())
    return {f"p{p}": times[min(len(times) - 1, p * len(times) // 100)] for p in (50, 90, 99, 100)}
