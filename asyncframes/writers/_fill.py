"""Ways to write an image to a frame's temporary file."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Executor
from pathlib import Path

import aiofiles

from asyncframes._frames.encoders import Encoder
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._types import Image, ImageWriter
from asyncframes.writers._files import FrameFile

__all__ = ["call_writer", "fill_by_callback", "fill_by_encoder"]


async def fill_by_encoder(
    file: FrameFile, image: Image, *, encoder: Encoder, executor: Executor | None
) -> bool:
    """Encode an image in a thread, and write it with aiofiles.

    Returns
    -------
    bool
        ``False`` if the frame is stored already, so that nothing was encoded.
    """
    data = await in_thread(executor, _encode, file, image, encoder)
    if data is None:
        return False
    await run_to_completion(asyncio.ensure_future(_save(file.temporary, data, executor)))
    return True


async def fill_by_callback(
    file: FrameFile, image: Image, *, image_writer: ImageWriter, executor: Executor | None
) -> bool:
    """Have the user's function write the file: a coroutine function on the loop, any other in a thread.

    Returns
    -------
    bool
        ``False`` if the frame is stored already, so that the function was not called.
    """
    is_skipped = await in_thread(executor, file.is_skipped)
    await in_thread(executor, file.refuse_other_files)
    if is_skipped:
        return False
    try:
        await call_writer(image_writer, str(file.temporary), image, executor)
    except Exception as exc:
        # The text may contain an address with credentials: quote only the type, and chain the cause.
        raise file.write_error(f"image_writer raised {type(exc).__name__}") from exc
    if not await in_thread(executor, file.temporary.is_file):
        raise file.write_error("image_writer created no file at the path it was given")
    return True


async def call_writer(image_writer: ImageWriter, path: str, image: Image, executor: Executor | None) -> None:
    """Call the user's function: a coroutine function on the loop, any other in a thread."""
    if inspect.iscoroutinefunction(image_writer):
        await image_writer(path, image)
        return
    # A plain callable may still return an awaitable: a lambda, or an object with an async __call__.
    outcome = await run_to_completion(in_thread(executor, image_writer, path, image))
    if inspect.isawaitable(outcome):
        await outcome


def _encode(file: FrameFile, image: Image, encoder: Encoder) -> bytes | None:
    # In this order: a file that appears between the two calls is not kept without a check.
    is_skipped = file.is_skipped()
    file.refuse_other_files()
    if is_skipped:
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
        await file.close()  # `async with` would close it in the event loop's own executor
