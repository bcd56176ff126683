"""``asyncframes info``: prints facts about a video."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

import asyncframes as af
from asyncframes._frames.drawing import clock
from asyncframes._model.quoting import shortened
from asyncframes.cli import _common, _options, _policy
from asyncframes.cli._arguments.parser import Commands, new_command

EXAMPLES = """\
  asyncframes info film.mp4
  asyncframes info https://example.org/film.mp4 --json
  asyncframes info film.ts --count"""

_WIDTH = 11


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "info",
        "SOURCE",
        help_text="show facts about a video, from its container and its decoder",
        examples=EXAMPLES,
    )
    _options.add_source_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--count", action="store_true", help="count the frames exactly; may read the whole source"
    )
    _policy.add_policy_options(parser)
    _options.add_progress_option(parser)
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace) -> None:
    """Print the facts, for people or as JSON."""
    async with _common.opened_video(arguments) as (video, _):
        isolation = video.isolation
        count = await video.count() if arguments.count else None
    if arguments.json:
        more: dict[str, Any] = {} if count is None else {"frames": count}
        if isolation.mode != "none":
            more["isolation"] = isolation.as_dict()
        print(json.dumps(video.info.as_dict() | more, indent=2))
        return
    facts = _facts(video.info, count) | {
        "fetched": _common.amount_read(video),
        "isolation": _isolation(isolation),
    }
    for name, value in facts.items():
        if value:
            print(f"{name:<{_WIDTH}}{value}")


def _facts(info: af.VideoInfo, count: int | None) -> dict[str, Any]:
    duration = info.duration_seconds_from_header
    return {
        "size": f"{info.width}x{info.height}{_turned(info)}",
        "codec": f"{info.codec}, {info.pixel_format}",
        "colour": _colour(info),
        "pixels": info.sample_aspect_ratio != 1 and f"{info.sample_aspect_ratio} times as wide as high",
        "container": f"{info.container}, stream {info.stream_index}{_others(info)}",
        "rate": info.average_rate and f"{float(info.average_rate):.6g} frames per second on average",
        "duration": duration is not None and f"{clock(duration)} (header)",
        "frames": _frames(info, count),
        "bytes": info.size_bytes is not None and f"{info.size_bytes:,}",
        "created": info.creation_time and info.creation_time.isoformat(" ", "seconds"),
        "streams": _lines(_stream(stream) for stream in info.other_streams),
        "tags": _lines(f"{name}: {text}" for name, text in info.tags.items()),
    }


def _isolation(report: af.IsolationReport) -> str:
    """Describe what confines the process, and what is missing; nothing if there is no process."""
    if report.mode == "none":
        return ""
    return _lines([f"process: {', '.join(sorted(report.measures - {'process'}))}", *report.notes])


def _stream(stream: af.StreamInfo) -> str:
    duration = stream.duration_seconds_from_header
    facts = [
        f"{stream.index}: {stream.kind}",
        stream.codec != "unknown" and stream.codec,
        stream.sample_rate and f"{stream.sample_rate} Hz",
        stream.channels and f"{stream.channels} channel{'s' * (stream.channels > 1)}",
        stream.language,
        duration is not None and clock(duration),
        stream.title and f'"{stream.title}"',
    ]
    return ", ".join(fact for fact in facts if fact)


def _lines(texts: Iterable[str]) -> str:
    # A file may hold escape sequences, which must not reach a terminal.
    return f"\n{'':<{_WIDTH}}".join(shortened(text) for text in texts)


def _turned(info: af.VideoInfo) -> str:
    changes = [f"rotated {info.rotation} degrees counterclockwise"] if info.rotation else []
    changes += ["mirrored"] if info.mirrored else []
    stored = f"stored as {info.coded_width}x{info.coded_height}"
    return f" ({', '.join([stored, *changes])})" if changes else ""


def _colour(info: af.VideoInfo) -> str:
    told = info.color_matrix == "rgb" or info.color_space not in {0, 2, 3}
    kinds = [info.color_matrix if told else f"{info.color_matrix} (untagged)"]
    kinds += [f"{info.color_range} range"] if info.color_range != "unspecified" else []
    kinds += [f"HDR ({info.hdr})"] if info.hdr else []
    kinds += ["alpha"] if info.has_alpha else []
    kinds += ["interlaced"] if info.is_interlaced else []
    return ", ".join(kinds)


def _others(info: af.VideoInfo) -> str:
    others = [
        f"{stream.index}: {stream.codec} {stream.width}x{stream.height}"
        for stream in info.video_streams
        if stream.index != info.stream_index and not stream.is_cover_art
    ]
    return f" (other video streams: {', '.join(others)})" if others else ""


def _frames(info: af.VideoInfo, count: int | None) -> str:
    if count is not None:
        return f"{count:,}"
    return "" if info.frames_from_header is None else f"{info.frames_from_header:,} (header)"
