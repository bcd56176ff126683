"""``asyncframes serve``: serves exact frames over HTTP, with a page that shows them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import cast

from aiohttp import web
from yarl import URL

import asyncframes as af
from asyncframes.cli import _common, _options, _policy
from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.cli._sources.addresses import Addresses
from asyncframes.cli.serve._served import ServedVideos, as_directory
from asyncframes.web import WebLimits, frame_app

EXAMPLES = """\
  asyncframes serve film.mp4
  asyncframes serve films/ https://example.org/clip.mp4 --port 8000
  asyncframes serve --root s3://bucket/prefix --allow-original"""

_SHUTDOWN_SECONDS = 5.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "serve",
        "[SOURCE ...]",
        help_text="serve frames over HTTP, with a page to step through them",
        examples=EXAMPLES,
    )
    parser.add_argument("sources", metavar="SOURCE", nargs="*", help="a path, a directory or a URL")
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="URL",
        help="serve all videos below this directory, such as s3://bucket/prefix; may be repeated",
    )
    group = parser.add_argument_group("server")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    group.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    group.add_argument(
        "--allow-original", action="store_true", help="serve the bytes of the videos too, at /v/NAME/original"
    )
    _options.add_opening_options(parser)
    _policy.add_policy_options(parser)
    parser.set_defaults(run=run, gather=_gather)


def _gather(arguments: argparse.Namespace, more: list[str]) -> None:
    arguments.sources = [*arguments.sources, *more]


async def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM, which end the command with status 0."""
    policy = _policy.policy_of(arguments)
    sources = [*arguments.sources, *map(as_directory, arguments.root)]
    if not sources:
        raise argparse.ArgumentError(None, "expected a SOURCE or --root")
    served = ServedVideos(sources, Addresses.of(arguments, policy))
    await asyncio.to_thread(served.check)
    names = await served.names()
    async with serving(_app(arguments, served, policy), arguments.host, arguments.port) as address:
        print(f"{_common.counted(len(names), 'video')} at {address} (Ctrl-C ends)", flush=True)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[URL]:
    """Run an application, and yield its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield URL.build(scheme="http", host=host, port=runner.addresses[0][1], path="/")
    finally:
        await runner.cleanup()


def _app(arguments: argparse.Namespace, served: ServedVideos, policy: af.Policy | None) -> web.Application:
    app = frame_app(
        served.source,
        policy=policy,
        limits=WebLimits(allow_original=arguments.allow_original),
        videos=served.names,
        open_options=cast("af.OpenOptions", _common.opening_options(arguments)),
    )
    if _is_loopback(arguments.host):
        app.middlewares.append(_only_local)
    return app


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() in _LOOPBACK


@web.middleware
async def _only_local(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse other names of this machine: a web page could point its own name here, and read the answers."""
    if not _is_loopback(request.url.host or ""):
        raise web.HTTPMisdirectedRequest(text="expected localhost or a loopback address as host")
    response = await handler(request)
    if not response.prepared:
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
