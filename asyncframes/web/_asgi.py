"""The application under ASGI: alone, or mounted in Starlette or FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl, quote

from asyncframes._model.options import OpenOptions
from asyncframes._policy.policy import Policy
from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import wait_until_done
from asyncframes.web._dispatch import answer
from asyncframes.web._limits import WebLimits
from asyncframes.web._site import (
    Auth,
    ListVideos,
    Resolve,
    Site,
    SiteOptions,
    log_failure,
    next_piece,
    site_options,
)
from asyncframes.web._values import Reply, WebRequest

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def asgi(
    resolve: Resolve,
    *,
    policy: Policy | None = None,
    limits: WebLimits | None = None,
    auth: Auth | None = None,
    videos: ListVideos | None = None,
    open_options: OpenOptions | None = None,
) -> FrameAsgi:
    """Make an ASGI application with the routes of `frame_app`.

    Run it with uvicorn, or mount it: ``app.mount("/frames", asgi(resolve))``. A server closes it at
    the end. A mounted application is told nothing of the end, so enter it in the lifespan of the outer
    one, with ``async with``, or call `FrameAsgi.aclose`.

    Parameters
    ----------
    resolve, policy, limits, auth, videos, open_options
        As for `frame_app`.

    Returns
    -------
    FrameAsgi
        The application.

    Raises
    ------
    ValueError
        An option is not for servers.
    """
    return FrameAsgi(
        site_options(
            resolve, policy=policy, limits=limits, auth=auth, videos=videos, open_options=open_options
        )
    )


class FrameAsgi:
    """An ASGI application that serves frames; see `asgi`."""

    def __init__(self, options: SiteOptions) -> None:
        self._options = options
        self._site: Site | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End streams, and close all videos. The next request opens them again."""
        site, self._site = self._site, None
        if site is not None:
            await site.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            # The first request belongs to the loop that all others come from.
            self._site = self._site or Site(self._options)
            await _answer(self._site, scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})


async def _answer(site: Site, scope: Scope, receive: Receive, send: Send) -> None:
    left = asyncio.Event()
    listening = begin(_listen(receive, left), "asyncframes listen")
    try:
        reply = await answer(site, _as_request(scope), left.is_set)
        if reply is not None:
            async with reply:
                await _send(scope, send, reply, left.is_set)
    finally:
        listening.cancel()
        await wait_until_done(listening)


async def _listen(receive: Receive, left: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    left.set()


async def _send(scope: Scope, send: Send, reply: Reply, is_gone: Callable[[], bool]) -> None:
    body = reply.body
    length = len(body) if isinstance(body, bytes) else reply.length
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()
    ]
    if length is not None and reply.status != 304:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if scope["method"] == "HEAD" or isinstance(body, bytes):
        sent = body if isinstance(body, bytes) and scope["method"] != "HEAD" else b""
        await send({"type": "http.response.body", "body": sent})
        return
    try:
        while (piece := await next_piece(body, is_gone)) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except OSError:
        return  # a client may leave at any time
    except Exception as exc:  # noqa: BLE001 - the head is sent, so only the connection can tell
        log_failure(exc, "a stream")
        raise ConnectionAbortedError("the stream ended early") from None
    await send({"type": "http.response.body", "body": b""})


def _as_request(scope: Scope) -> WebRequest:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope.get("query_string", b"").decode("latin-1")
    return WebRequest(
        method=scope["method"],
        path=_path_below_mount(scope),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        client=scope["client"][0] if scope.get("client") else None,
    )


def _path_below_mount(scope: Scope) -> str:
    """Return the percent-encoded path below the place where the application is mounted."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"])
    root = scope.get("root_path", "").rstrip("/")
    for prefix in (quote(root), root):
        if prefix and path.startswith(f"{prefix}/"):
            return path.removeprefix(prefix)
    return "/" if root and path in {quote(root), root} else path
