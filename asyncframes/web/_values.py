"""A request and an answer, independent of the framework that carries them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """What a client asks for, as `auth` sees it.

    Attributes
    ----------
    method
        ``"GET"`` or ``"HEAD"``.
    path
        Path below the application's root, percent-encoded, such as ``"/v/clip.mp4/info"``.
    video_id
        Decoded name of the video; ``None`` for the list of videos, metrics and the page.
    query
        Parameters after the question mark.
    headers
        By names in lower case.
    client
        Address of the other side, which is the proxy if there is one; ``None`` if unknown.
    """

    method: str
    path: str
    video_id: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str | None = None


@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer. It holds what its body is made of, so close it.

    Attributes
    ----------
    status
        Status of HTTP.
    headers
        All but the length.
    body
        The whole body, or its pieces as they are made.
    length
        Length of a body in pieces, ``None`` if unknown.
    held
        What the pieces need while they are made.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncGenerator[bytes, None] = b""
    length: int | None = None
    held: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if not isinstance(self.body, bytes):
                await self.body.aclose()
        finally:
            await self.held.aclose()
