"""A web service of thumbnails: ``GET /thumbnail?name=holiday.mp4&seconds=12.5&width=320`` returns a JPEG.

    pip install fastapi uvicorn
    VIDEOS=/srv/videos uvicorn thumbnail_service:app

Requests run side by side. Each opens its video, decodes one group of pictures, and closes it.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Response

import asyncframes as af
from asyncframes.errors import AsyncFramesError, FrameIndexError

VIDEOS = Path(os.environ.get("VIDEOS", ".")).resolve()

app = FastAPI()


@app.get("/thumbnail")
async def thumbnail(
    name: str,
    seconds: float = 0,
    width: Annotated[int, Query(ge=16, le=1920)] = 320,
) -> Response:
    """Return the frame that is shown at a time."""
    path = await asyncio.to_thread((VIDEOS / name).resolve)
    if not path.is_relative_to(VIDEOS) or not await asyncio.to_thread(path.is_file):
        raise HTTPException(404, "there is no such video")
    try:
        # One thread for each video: the CPUs are shared among requests, not among the frames of one.
        async with af.open_video(path, threads=1, deadline_seconds=10) as video:
            frame = await video.frame_at(seconds, resize=(width, None))
    except FrameIndexError as exc:
        raise HTTPException(404, str(exc)) from exc
    except AsyncFramesError as exc:
        raise HTTPException(422, str(exc)) from exc
    jpeg = await asyncio.to_thread(frame.encode, "jpg", quality=85)
    return Response(jpeg, media_type="image/jpeg", headers={"X-Frame-Index": str(frame.index)})
