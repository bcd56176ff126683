"""Opens videos for the commands, and reports what was read."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncframes as af
from asyncframes._model.quoting import shortened
from asyncframes.cli import _policy
from asyncframes.cli._arguments.flags import flags_of, with_flags
from asyncframes.cli._progress import Progress
from asyncframes.cli._sources.addresses import Addresses
from asyncframes.errors import PolicyError
from asyncframes.sources import SourceLike


@asynccontextmanager
async def opened_video(
    arguments: argparse.Namespace, **options: Any
) -> AsyncIterator[tuple[af.Video, Progress]]:
    """Open the video for the source options, with its progress bars."""
    policy = _policy.policy_of(arguments)
    with Progress(arguments) as progress:
        opener = af.open_video(
            await asyncio.to_thread(_source, arguments, policy),
            policy=policy,
            packet_progress=progress.count_packet if progress.is_shown else None,
            **opening_options(arguments),
            **options,
        )
        async with opener as video:
            yield video, progress


def opening_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Collect the options of `open_video` that all commands have."""
    return {
        "stream_index": arguments.stream,
        "threads": arguments.threads,
        "read_timeout_seconds": arguments.timeout,
        "table_cache": arguments.table_cache,
        "allow_containers": arguments.allow_containers,
        "max_table_frames": arguments.max_table_frames,
    }


def _source(arguments: argparse.Namespace, policy: af.Policy | None) -> SourceLike:
    addresses = Addresses.of(arguments, policy, among=[arguments.source])
    return sys.stdin.buffer if arguments.source == "-" else addresses.source(arguments.source)


def said(exc: BaseException, arguments: argparse.Namespace) -> str:
    """Describe an error in one line, with options of the command in place of Python's arguments."""
    verbatim = getattr(exc, "path", None) or getattr(exc, "source", None)
    text = with_flags(str(exc), flags_of(arguments.parser), verbatim=verbatim and shortened(str(verbatim)))
    return " ".join(f"{text}{_remedy(exc, arguments)}".split()) or type(exc).__name__


def _remedy(exc: BaseException, arguments: argparse.Namespace) -> str:
    if isinstance(exc, PolicyError) and exc.limit == "schemes" and arguments.untrusted:
        return f"; --allow-scheme {exc.found} allows it"
    return ""


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
