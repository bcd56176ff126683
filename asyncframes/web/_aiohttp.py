"""The application under aiohttp."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web

from asyncframes._model.options import OpenOptions
from asyncframes._policy.policy import Policy
from asyncframes.web._dispatch import answer
from asyncframes.web._limits import WebLimits
from asyncframes.web._site import Auth, ListVideos, Resolve, Site, log_failure, next_piece, site_options
from asyncframes.web._values import Reply, WebRequest

_SITE: web.AppKey[Site] = web.AppKey("asyncframes_site", Site)
_REST = "/{rest:.*}"

# Nobody receives it; logs of access show it, as those of nginx do.
_LEFT = 499


def frame_app(
    resolve: Resolve,
    *,
    policy: Policy | None = None,
    limits: WebLimits | None = None,
    auth: Auth | None = None,
    videos: ListVideos | None = None,
    open_options: OpenOptions | None = None,
) -> web.Application:
    """Make an application of aiohttp that serves exact frames of videos, and a page that shows them.

    Run it with `aiohttp.web.run_app`, or add it to another application with ``add_subapp``.

    Parameters
    ----------
    resolve
        From a name in a URL to a source, as `open_video` accepts it, or ``None`` if there is no such
        video. It is called on the event loop; a coroutine function may wait. A video that stays open
        is asked for again to see whether it has changed, so return a new source each time.
    policy
        What a video may cost, and what its source may reach: ``Policy.untrusted()`` where names
        are addresses or files of other people. By default ``Policy.trusted()``.
    limits
        What the application may cost.
    auth
        Whether a request is allowed; else the answer is 403. With it, no shared cache keeps an
        answer. Middleware of yours can do the same, and add headers for CORS.
    videos
        Names of the videos for the page and for ``/videos``. None are listed by default.
    open_options
        More options of `open_video`, except ``policy``, ``seek_mode`` and ``frame_table``.

    Returns
    -------
    aiohttp.web.Application
        It closes its videos when it is cleaned up.

    Raises
    ------
    ValueError
        An option is not for servers.
    """
    options = site_options(
        resolve, policy=policy, limits=limits, auth=auth, videos=videos, open_options=open_options
    )
    app = web.Application()

    async def run_site(app: web.Application) -> AsyncIterator[None]:
        app[_SITE] = Site(options)
        yield
        await app[_SITE].aclose()

    async def end_streams(app: web.Application) -> None:
        app[_SITE].closing.set()

    app.cleanup_ctx.append(run_site)
    app.on_shutdown.append(end_streams)
    app.router.add_route("*", _REST, _handle)
    return app


async def _handle(request: web.Request) -> web.StreamResponse:
    site = request.match_info.apps[-1][_SITE]
    reply = await answer(site, _as_request(request), lambda: _is_gone(request))
    if reply is None:
        return web.Response(status=_LEFT)
    async with reply:
        if isinstance(reply.body, bytes):
            return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        try:
            await _send(request, response, reply, reply.body)
        except ConnectionError:
            pass  # a client may leave at any time
        except Exception as exc:  # noqa: BLE001 - the head is sent, so only the connection can tell
            log_failure(exc, "a stream")
            if request.transport is not None:
                request.transport.abort()
        return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    reply: Reply,
    pieces: AsyncGenerator[bytes, None],
) -> None:
    response.content_length = reply.length
    await response.prepare(request)
    if request.method == "HEAD":
        return
    while (piece := await next_piece(pieces, lambda: _is_gone(request))) is not None:
        await response.write(piece)
    await response.write_eof()


def _as_request(request: web.Request) -> WebRequest:
    return WebRequest(
        method=request.method,
        path=_path_below_app(request),
        query=request.query,
        headers={name.lower(): value for name, value in request.headers.items()},
        client=request.remote,
    )


def _path_below_app(request: web.Request) -> str:
    """Return the path below the place where the application was added to another one."""
    resource = request.match_info.route.resource
    prefix = "" if resource is None else resource.canonical.removesuffix("/{rest}")
    return request.rel_url.raw_path.removeprefix(prefix)


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
