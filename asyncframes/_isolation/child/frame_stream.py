"""The frames of one request, on their way through the shared memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from asyncframes._frames.frame import Frame
from asyncframes._isolation.wire.channel import Channel
from asyncframes._isolation.wire.frame_records import record_of
from asyncframes._isolation.wire.messages import Kind
from asyncframes._isolation.wire.shared_memory import Space
from asyncframes._model.table import Int64Array
from asyncframes._requests.jobs.images import with_image
from asyncframes._types import Image

_MOST_FRAMES_AT_ONCE = 64


class SharedImages:
    """Puts images into the shared memory as decoders make them, where there is room.

    Parameters
    ----------
    space
        The shared memory.
    unsent
        Gets each image and its offset, by its `id`, which no other image has meanwhile.
    is_kept
        Whether the caller gets the images where they are.
    """

    are_optional = True
    image_bytes = 0

    def __init__(self, space: Space, unsent: dict[int, tuple[Image, int]], *, is_kept: bool) -> None:
        self._space = space
        self._unsent = unsent
        self._is_kept = is_kept

    def at(self, places: Int64Array | None = None, *, delivered: int = 0) -> SharedImages:
        """Return itself: each image knows its place."""
        return self

    def put(self, frame: Frame) -> Frame:
        """Copy the image of a frame, and return the frame with the copy. Called in worker threads."""
        put = self._space.put(frame.image, is_kept=self._is_kept)
        if put is None:
            return with_image(frame, frame.image.copy())
        self._unsent[id(put[0])] = put
        return with_image(frame, put[0])


class FrameStream:
    """Sends the frames of one request through the shared memory, as the consumer takes them.

    Attributes
    ----------
    credit
        How many more frames may be sent.
    changed
        Set when there is more credit or room.
    """

    def __init__(
        self,
        channel: Channel,
        space: Space,
        number: int,
        credit: int,
        *,
        count_dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        self._channel = channel
        self._space = space
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._records: list[bytes] = []
        self._dropped = 0
        self._count_dropped = count_dropped
        self._unsent: dict[int, tuple[Image, int]] = {}
        self.credit = credit
        self.changed = asyncio.Event()

    def images(self, *, is_kept: bool) -> SharedImages:
        """Return where the decoders put the images."""
        return SharedImages(self._space, self._unsent, is_kept=is_kept)

    async def send(self, frames: AsyncGenerator[Frame, None], *, is_kept: bool) -> None:
        """Send all frames, several at a time if they come faster than the loop turns."""
        try:
            async with aclosing(frames):
                while True:
                    while not self.credit:
                        await self._wait()
                    frame = await anext(frames, None)
                    if frame is None:
                        return
                    offset = await self._placed(frame, is_kept=is_kept)
                    self._dropped = self._count_dropped()
                    self.credit -= 1
                    if not self._records:
                        self._loop.call_soon(self._flush)
                    self._records.append(record_of(frame, offset))
                    del frame
                    if len(self._records) == _MOST_FRAMES_AT_ONCE:
                        self._flush()
        finally:
            self._flush()
            self._space.free(offset for _image, offset in self._unsent.values())

    def tell_dropped(self) -> None:
        """Tell how many frames were dropped, if that has changed."""
        dropped = self._count_dropped()
        if dropped != self._dropped:
            self._dropped = dropped
            self._channel.send(Kind.FRAMES, self._number, {"dropped": dropped})

    async def _placed(self, frame: Frame, *, is_kept: bool) -> int:
        put = self._unsent.pop(id(frame.image), None)
        while put is None:
            if (put := self._space.put(frame.image, is_kept=is_kept)) is None:
                await self._wait()
        return put[1]

    async def _wait(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def _flush(self) -> None:
        if self._records:
            self._channel.send(Kind.FRAMES, self._number, {"dropped": self._dropped}, b"".join(self._records))
            self._records.clear()
