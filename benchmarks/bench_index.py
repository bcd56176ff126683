"""Measure what a frame table costs over HTTP: bytes, requests and seconds, for each container and length.

::

    python -m benchmarks.bench_index --minutes 30 --only Matroska

Each file loops the packets of a short clip, with one GOP and one fragment a second. This process serves it;
another opens the video, builds its frame table, and then decodes a frame near the end. A second video gets
the table that the first one saved.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

import asyncframes as af
from benchmarks.make_media import DEMO_CLIP, looped
from benchmarks.servers.counting import CountingServer

WIDTH, HEIGHT, RATE, BITS_PER_SECOND = 320, 180, 25, "360k"
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"


@dataclass(frozen=True)
class Kind:
    """A container that is generated here, and the codec of the clip that is copied into it."""

    name: str
    container: str
    codec: str = "libx264"
    b_frames: int = 3
    movflags: str = ""


KINDS = [
    Kind("MP4, header last", "mp4"),
    Kind("MP4, header first", "mp4", movflags="faststart"),
    Kind("fragmented MP4, sidx", "mp4", movflags=f"{FRAGMENTS}+global_sidx"),
    Kind("fragmented MP4, mfra", "mp4", movflags=FRAGMENTS),
    Kind("fragmented MP4, neither", "mp4", movflags=f"{FRAGMENTS}+skip_trailer"),
    Kind("Matroska", "matroska"),
    Kind("WebM", "webm", codec="libvpx-vp9", b_frames=0),
    Kind("MPEG-TS", "mpegts"),
    Kind("AVI", "avi", codec="mpeg4", b_frames=0),
    Kind("FLV", "flv"),
]


def make_seed(target: Path, kind: Kind) -> None:
    """Encode the shipped clip in the codec of a kind, unless that was done for another."""
    if target.exists():
        return
    options = {"b": BITS_PER_SECOND, "maxrate": BITS_PER_SECOND, "bufsize": BITS_PER_SECOND, "g": str(RATE)}
    options |= {"bf": str(kind.b_frames)} if kind.b_frames else {}
    if kind.codec == "libx264":
        options |= {"preset": "veryfast", "x264-params": f"keyint={RATE}:min-keyint={RATE}:scenecut=0"}
    if kind.codec == "libvpx-vp9":
        options |= {"deadline": "realtime", "cpu-used": "8"}
    with av.open(DEMO_CLIP) as reader, av.open(target, "w", format="mp4") as writer:
        stream = writer.add_stream(kind.codec, rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, frame in enumerate(reader.decode(video=0)):
            if index == 5 * RATE:
                break
            resized = frame.reformat(WIDTH, HEIGHT, "yuv420p")
            resized.pts, resized.time_base = index, 1 / stream.codec_context.rate
            resized.pict_type = av.video.frame.PictureType.NONE
            writer.mux(stream.encode(resized))
        writer.mux(stream.encode())


def make_long(target: Path, kind: Kind, seed: Path, minutes: float) -> None:
    """Copy the packets of a seed until some minutes are full."""
    options = {"movflags": kind.movflags} if kind.movflags else {}
    with av.open(target, "w", format=kind.container, container_options=options) as writer:
        for packet in looped(seed, minutes * 60, writer):
            if kind.container == "avi":
                # The muxer fills finer ticks than frames with empty chunks.
                packet.stream.time_base = Fraction(1, RATE)
            writer.mux(packet)


async def use(address: str, table: Path) -> dict[str, Any]:
    """Open a video, make its table or take the one that is there, and decode a frame near the end."""
    given = await asyncio.to_thread(saved, table)
    steps = {}
    began = time.perf_counter()
    async with af.open_video(address, frame_table=given) as video:

        def step(name: str) -> None:
            nonlocal began
            now = time.perf_counter()
            steps[name] = {
                "seconds": now - began,
                "bytes": video.bytes_read,
                "requests": video.range_requests,
            }
            began = now

        step("open")
        found = await video.frame_table()
        step("table")
        await video.frame(len(found) - 40)
        step("frame")
        if given is None:
            await asyncio.to_thread(found.save, table)
    return {"frames": len(found), "table_bytes": len(found.to_bytes()), **steps}


def saved(table: Path) -> af.FrameTable | None:
    return af.FrameTable.load(table) if table.exists() else None


def use_in_another_process(address: str, table: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.bench_index", "--use", address, str(table)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def measure(kind: Kind, seed: Path, minutes: float, scratch: Path) -> dict[str, Any]:
    """Measure one kind at one length."""
    path, table = scratch / "long", scratch / "long.table"
    await asyncio.to_thread(make_long, path, kind, seed, minutes)
    try:
        server = CountingServer(path)
        async with server as url:
            cold = await asyncio.to_thread(use_in_another_process, url, table)
            sent, requests = server.bytes_sent, server.requests
            warm = await asyncio.to_thread(use_in_another_process, url, table)
        # Whoever reads ahead and stops is sent more than it counts.
        sent_warm, requests_warm = server.bytes_sent - sent, server.requests - requests
        return {
            "kind": kind.name,
            "minutes": minutes,
            "size": path.stat().st_size,
            "cold": cold,
            "warm": warm,
            "sent": {"cold": [sent, requests], "warm": [sent_warm, requests_warm]},
        }
    finally:
        path.unlink()
        table.unlink(missing_ok=True)


def row(found: dict[str, Any]) -> str:
    """Write one line of the table: what opening and listing cost together, then what a frame does."""
    cold, warm = found["cold"], found["warm"]
    seconds = cold["open"]["seconds"] + cold["table"]["seconds"]
    then = [cold["frame"][unit] - cold["table"][unit] for unit in ("bytes", "requests")]
    cells = [
        found["kind"],
        f"{found['minutes'] / 60:g} h",
        f"{found['size'] / 1e6:.0f}",
        f"{cold['table']['bytes'] / 1e6:.2f}",
        f"{cold['table']['requests']}",
        f"{seconds:.1f}",
        f"{then[0] / 1e6:.2f}",
        f"{warm['frame']['bytes'] / 1e6:.2f}",
        f"{warm['frame']['requests']}",
        f"{sum(warm[step]['seconds'] for step in ('open', 'table', 'frame')):.1f}",
        f"{cold['table_bytes'] / 1e6:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


HEADINGS = """\
| container | length | file, MB | table: MB read | requests | seconds | then a frame: MB | \
warm, all: MB | requests | seconds | table on disk, MB |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


async def run(arguments: argparse.Namespace) -> None:
    results = []
    if not arguments.json:
        print(
            f"{platform.python_implementation()} {platform.python_version()}, asyncframes {af.__version__}, "
            f"PyAV {version('av')}, {os.cpu_count()} CPUs, loopback HTTP\n\n{HEADINGS}",
            flush=True,
        )
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        for kind in (kind for kind in KINDS if arguments.only in kind.name):
            seed = Path(folder, f"{kind.codec}-{kind.b_frames}.mp4")
            await asyncio.to_thread(make_seed, seed, kind)
            for minutes in arguments.minutes:
                results.append(await measure(kind, seed, minutes, Path(folder)))
                if not arguments.json:
                    print(row(results[-1]), flush=True)
    if arguments.json:
        print(json.dumps(results, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[30, 120], help="lengths (default: 30 120)"
    )
    parser.add_argument("--scratch", type=Path, help="folder for files of some 350 MB, one at a time")
    parser.add_argument("--only", default="", help="containers whose name holds this text")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--use", nargs=2, metavar=("ADDRESS", "TABLE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.use:
        address, table = arguments.use
        print(json.dumps(asyncio.run(use(address, Path(table)))))
    else:
        asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
