"""What `open_video` returns."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncframes._video import Video


class VideoOpener:
    """What `open_video` returns: await it, or enter it with ``async with``."""

    def __init__(self, video: Video) -> None:
        self._video = video

    def __await__(self) -> Generator[None, None, Video]:
        return self._open().__await__()

    async def __aenter__(self) -> Video:
        return await self._open()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._video.aclose()

    async def _open(self) -> Video:
        try:
            await self._video._open()
        except BaseException:
            await self._video.aclose()
            raise
        return self._video
