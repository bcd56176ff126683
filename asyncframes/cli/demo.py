"""``asyncframes demo``: extracts frames and a contact sheet from a bundled clip, over HTTP on loopback."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path

from aiohttp import web

import asyncframes as af
from asyncframes.cli import _common, _options, sheet
from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.cli._progress import Progress

CLIP = "bunny.mp4"
FIRST, LAST = 105, 114

EXAMPLES = """\
  asyncframes demo
  asyncframes demo /tmp/demo"""


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "demo",
        "[DIR]",
        help_text="extract frames and a contact sheet from a bundled clip, which it serves over HTTP",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        default=Path("asyncframes-demo"),
        metavar="DIR",
        help="where the files go (default: ./%(default)s)",
    )
    _options.add_progress_option(parser)
    parser.set_defaults(run=run)


class ClipServer:
    """Serves a clip by byte ranges, and counts the bytes it sends."""

    def __init__(self, clip: bytes) -> None:
        self.clip = clip
        self.bytes_sent: int = 0
        self.requests: int = 0

    async def send(self, request: web.Request) -> web.Response:
        """Answer a GET with the whole clip or the requested range."""
        start, stop, _ = request.http_range.indices(len(self.clip))
        if start >= stop:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.clip)}"})
        body = self.clip[start:stop]
        self.requests += 1
        self.bytes_sent += len(body)
        headers = {"Accept-Ranges": "bytes", "Content-Type": "video/mp4", "ETag": '"the only one"'}
        if "Range" not in request.headers:
            return web.Response(body=body, headers=headers)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(self.clip)}"
        return web.Response(status=206, body=body, headers=headers)

    def sent(self) -> str:
        """Say how much was sent so far."""
        share = self.bytes_sent / len(self.clip)
        requests = _common.counted(self.requests, "request")
        return f"{self.bytes_sent:,} of {len(self.clip):,} bytes ({share:.0%}) in {requests}"


@asynccontextmanager
async def serving(server: ClipServer) -> AsyncIterator[str]:
    """Run the server on a free loopback port, and yield the clip's address."""
    app = web.Application()
    app.router.add_get(f"/{CLIP}", server.send)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{CLIP}"
    finally:
        await runner.cleanup()


async def run(arguments: argparse.Namespace) -> None:
    """Serve the clip, extract frames from it over HTTP, and print how many bytes that took."""
    clip = await asyncio.to_thread(files("asyncframes").joinpath("data", CLIP).read_bytes)
    server = ClipServer(clip)
    async with serving(server) as url, af.open_video(url) as video:
        say = partial(_common.report, arguments)
        say(f"{url}: {sheet.facts(video.info)}, {len(clip):,} bytes, header last")
        progress = Progress(arguments)
        say(await _frames(video, arguments.directory, progress))
        say(f"  the server sent {server.sent()} for these frames")
        say(await _sheet(video, arguments.directory, progress))
        say(f"  the server sent {server.sent()} in total")


async def _frames(video: af.Video, directory: Path, progress: Progress) -> str:
    directory /= "frames"
    with progress.frames(LAST - FIRST + 1) as advance:
        paths = await video.save(directory, FIRST, LAST, overwrite="replace", progress_cb=advance)
    return f"frames {FIRST} to {LAST} are in {directory}: {Path(paths[0]).name} to {Path(paths[-1]).name}"


async def _sheet(video: af.Video, directory: Path, progress: Progress) -> str:
    out = directory / "sheet.png"
    drawn = await sheet.draw(video, out, progress, name="Big Buck Bunny", overwrite="replace")
    return f"a contact sheet of {drawn} frames is in {out}"
