"""A web service of thumbnails of uploads: ``POST /thumbnails?count=4&width=320``, with a video as the body.

    pip install fastapi uvicorn 'asyncframes-video[isolation]'
    uvicorn upload_service:app
    curl --data-binary @holiday.mp4 'http://localhost:8000/thumbnails?count=4'

It returns JSON: index, time and JPEG (in base64) of frames spread over the video. Anybody may send
anything, so each upload is limited, and decoded in a locked process. To know where its frames are, all
of it is needed, so it is received first, into a temporary file: a slow sender holds no process.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request

import asyncframes as af
from asyncframes import errors

UPLOADS = 64
PROCESSES = os.cpu_count() or 1
WAIT_SECONDS = 20.0
RECEIVE_SECONDS = 600.0

POLICY = replace(
    af.Policy.untrusted(),
    max_source_bytes=256 * 1024**2,
    deadline_seconds=30,
    cpu_seconds=20,
    max_workers=PROCESSES,
)

LIMITS = {"deadline_seconds": 504, "min_bytes_per_second": 408, "codecs": 415, "containers": 415}
"""Statuses for limits of the policy. All others are 413: the upload is too large."""

STATUSES: dict[type[errors.AsyncFramesError], int] = {
    errors.IsolationError: 500,
    errors.DecoderCrashedError: 422,
    errors.UnsupportedMediaError: 415,
    errors.NoVideoStreamError: 415,
    errors.MediaError: 422,
    errors.SourceError: 400,
}
"""Statuses for other errors. The first one that fits counts."""

app = FastAPI()
places = asyncio.Semaphore(UPLOADS)
turns = asyncio.Semaphore(PROCESSES)


@dataclass
class Thumbnail:
    """A frame of an upload."""

    index: int
    seconds: float | None
    jpeg: str


@app.post("/thumbnails")
async def thumbnails(
    request: Request,
    count: Annotated[int, Query(ge=1, le=32)] = 4,
    width: Annotated[int, Query(ge=16, le=1920)] = 320,
) -> list[Thumbnail]:
    """Return frames that are spread evenly over the upload."""
    try:
        async with waiting_for(places), af.ForwardSource(request.stream(), keep=True) as upload:
            async with asyncio.timeout(RECEIVE_SECONDS):
                await upload.receive(POLICY)
            async with (
                waiting_for(turns),
                # One thread for each video: the CPUs are shared among uploads.
                af.open_video(upload, policy=POLICY, threads=1) as video,
            ):
                chosen = video.frames(num_frames=count, short="fewer", resize=(width, None))
                return [await thumbnail(frame) async for frame in chosen]
    except errors.AsyncFramesError as exc:
        # Otherwise the server reads on to the end of the upload, which may never come.
        raise HTTPException(status(exc), str(exc), {"Connection": "close"}) from exc
    except TimeoutError as exc:
        raise HTTPException(408, "the upload takes too long", {"Connection": "close"}) from exc


@asynccontextmanager
async def waiting_for(free: asyncio.Semaphore) -> AsyncIterator[None]:
    """Wait until a place is free, but not for long: the sender can try again."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await free.acquire()
    except TimeoutError:
        raise HTTPException(
            503, "the service is busy", {"Connection": "close", "Retry-After": "30"}
        ) from None
    try:
        yield
    finally:
        free.release()


async def thumbnail(frame: af.Frame) -> Thumbnail:
    """Encode a frame."""
    jpeg = await asyncio.to_thread(frame.encode, "jpg", quality=85)
    return Thumbnail(frame.index, frame.pts_seconds, base64.b64encode(jpeg).decode())


def status(error: errors.AsyncFramesError) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, errors.PolicyLimitError):
        return LIMITS.get(str(error.limit), 413)
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)
