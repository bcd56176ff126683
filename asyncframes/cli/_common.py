"""Opens videos for the commands, and reports what was read."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import asyncframes as af
from asyncframes._model.quoting import shortened
from asyncframes.abc import StreamSource
from asyncframes.cli import _policy, _supervisely
from asyncframes.cli._arguments.flags import flags_of, with_flags
from asyncframes.cli._progress import Progress
from asyncframes.sources import HttpSource


@asynccontextmanager
async def opened_video(
    arguments: argparse.Namespace, **options: Any
) -> AsyncIterator[tuple[af.Video, Progress]]:
    """Open the video for the source options, with its progress bars."""
    with Progress(arguments) as progress:
        opener = af.open_video(
            await asyncio.to_thread(_source, arguments),
            policy=_policy.policy_of(arguments),
            stream_index=arguments.stream,
            threads=arguments.threads,
            read_timeout_seconds=arguments.timeout,
            table_cache=arguments.table_cache,
            packet_progress=progress.count_packet if progress.is_shown else None,
            **options,
        )
        async with opener as video:
            yield video, progress


def _source(arguments: argparse.Namespace) -> str | BinaryIO | StreamSource:
    """Return the source for the arguments. This may read settings from files."""
    if arguments.source == "-" and not arguments.header:
        return sys.stdin.buffer
    scheme = urlsplit(arguments.source).scheme.lower()
    if scheme == _supervisely.SCHEME and not arguments.header:
        return _supervisely.source_from_settings(arguments.source)
    if not arguments.header:
        return str(arguments.source)
    if scheme not in {"http", "https"}:
        raise argparse.ArgumentError(None, "argument --header: expected a SOURCE with http:// or https://")
    return HttpSource(arguments.source, headers=dict(arguments.header))


def said(exc: BaseException, arguments: argparse.Namespace) -> str:
    """Describe an error in one line, with options of the command in place of Python's arguments."""
    verbatim = getattr(exc, "path", None) or getattr(exc, "source", None)
    text = with_flags(str(exc), flags_of(arguments.parser), verbatim=verbatim and shortened(str(verbatim)))
    return " ".join(text.split()) or type(exc).__name__


def report(arguments: argparse.Namespace, done: str, video: af.Video | None = None) -> None:
    """Print what was done, and how much was fetched for it, unless --quiet is given."""
    if not arguments.quiet:
        print("; ".join(part for part in (done, amount_read(video) if video else "") if part))


def amount_read(video: af.Video) -> str:
    """Say how much of the source was fetched; empty if nothing was, as for local files."""
    if not video.bytes_read:
        return ""
    size = video.info.size_bytes
    of_all = f" of {size:,}" if size else ""
    return f"{video.bytes_read:,}{of_all} bytes read in {counted(video.range_requests, 'request')}"


def counted(number: int, noun: str) -> str:
    """Format a number with its noun, singular or plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
