"""Ways to put an image into a frame's temporary file."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Executor
from pathlib import Path

import aiofiles

from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._types import Image, ImageWriter
from asyncframes.writers._encoders import Encoder
from asyncframes.writers._files import FrameFile

__all__ = ["call_writer", "fill_by_callback", "fill_by_encoder"]


async def fill_by_encoder(
    file: FrameFile, image: Image, *, encoder: Encoder, executor: Executor | None
) -> bool:
    """Encode in a thread, write with aiofiles.

    Returns
    -------
    bool
        ``False`` if the frame's own file is there to stay, and nothing was encoded.
    """
    data = await in_thread(executor, _encode, file, image, encoder)
    if data is None:
        return False
    await run_to_completion(asyncio.ensure_future(_save(file.temporary, data, executor)))
    return True


async def fill_by_callback(
    file: FrameFile, image: Image, *, image_writer: ImageWriter, executor: Executor | None
) -> bool:
    """Let the user's function write: coroutine functions on the loop, others in a thread.

    Returns
    -------
    bool
        ``False`` if the frame's own file is there to stay, and the function was not called.
    """
    await in_thread(executor, file.refuse_other_files)
    if await in_thread(executor, file.is_skipped):
        return False
    try:
        await call_writer(image_writer, str(file.temporary), image, executor)
    except Exception as exc:
        # Its text may hold an address with credentials, so only the type is told; the cause is chained.
        raise file.write_error(f"image_writer raised {type(exc).__name__}") from exc
    if not await in_thread(executor, file.temporary.is_file):
        raise file.write_error("image_writer left no file at the path it was given")
    return True


async def call_writer(image_writer: ImageWriter, path: str, image: Image, executor: Executor | None) -> None:
    """Call the user's function: a coroutine function on the loop, any other in a thread."""
    if inspect.iscoroutinefunction(image_writer):
        await image_writer(path, image)
        return
    # A plain callable may still hand out an awaitable: a lambda, an object with an async __call__.
    outcome = await run_to_completion(in_thread(executor, image_writer, path, image))
    if inspect.isawaitable(outcome):
        await outcome


def _encode(file: FrameFile, image: Image, encoder: Encoder) -> bytes | None:
    file.refuse_other_files()
    if file.is_skipped():
        return None
    try:
        return encoder(image)
    except Exception as exc:
        raise file.write_error(str(exc) or type(exc).__name__) from exc


async def _save(path: Path, data: bytes, executor: Executor | None) -> None:
    file = await aiofiles.open(path, "xb", executor=executor)
    try:
        await file.write(data)
    finally:
        await file.close()  # `async with` would close in the event loop's own executor
