"""A web service that shows uploads frame by frame: ``POST /uploads`` with a video as the body.

    pip install fastapi uvicorn 'asyncframes-video[isolation]'
    uvicorn serve_uploads:app
    curl --data-binary @holiday.mp4 http://localhost:8000/uploads

It returns the name of the upload. ``/frames/v/NAME/frames/120.jpg`` is then its frame 120, and ``/frames/``
a page. Anybody may send anything, so uploads are limited, and decoded in locked processes.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiofiles
from fastapi import FastAPI, HTTPException, Request

import asyncframes as af
from asyncframes.web import WebLimits, asgi

MOST_BYTES = 256 * 1024**2
POLICY = replace(af.Policy.untrusted(), schemes={"file"}, max_source_bytes=MOST_BYTES, deadline_seconds=30)
FOLDER = Path(tempfile.mkdtemp(prefix="uploads-"))

uploads: dict[str, Path] = {}
frames = asgi(uploads.get, policy=POLICY, limits=WebLimits(max_open_videos=4), videos=lambda: [*uploads])


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Close the videos at the end, and delete what was uploaded."""
    async with frames:
        yield
    await asyncio.to_thread(shutil.rmtree, FOLDER, ignore_errors=True)


app = FastAPI(lifespan=lifespan)
app.mount("/frames", frames)


@app.post("/uploads")
async def upload(request: Request) -> dict[str, str]:
    """Store an upload under a name that nobody can guess."""
    name = uuid.uuid4().hex
    path = FOLDER / name
    size = 0
    async with aiofiles.open(path, "wb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > MOST_BYTES:
                raise HTTPException(413, f"expected at most {MOST_BYTES} bytes", {"Connection": "close"})
            await file.write(piece)
    uploads[name] = path
    return {"id": name}
