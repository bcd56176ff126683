"""Ask libraries for one frame of files that are hard to index, and draw what each of them gives.

::

    python -m benchmarks.peers.wrong_frames OUT_DIR

The clips are made here from the bundled one, with its number painted on each frame. Each library opens the
file anew, in a process of its own, and is asked for a single frame. Libraries that are not installed are
left out. One picture for each kind of file goes to OUT_DIR, and a table is printed.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from importlib import metadata
from importlib.resources import files
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image, ImageDraw, ImageFont

import asyncframes as af
from benchmarks.peers import ASKED_BY_INDEX, title_of
from benchmarks.peers.base import RgbImage
from tests.support.streams.clips import Clip

Answer: TypeAlias = "RgbImage | str"
"""A frame, or why there is none."""

FRAMES = 48
RATE = 25
WIDTH, HEIGHT = 208, 117
LABEL = 16
COLUMNS = 3

# Eight frames at the full rate, then eight that are shown four times as long, as a screen recorder does.
VARYING = list(accumulate([1 if place // 8 % 2 == 0 else 4 for place in range(FRAMES - 1)], initial=0))

KINDS: dict[str, tuple[str, Sequence[int], int]] = {
    "variable-rate": ("mp4", VARYING, 40),
    "mpeg-ts": ("mpegts", range(FRAMES), 6),
    "avi": ("avi", range(FRAMES), 20),
}
"""Each kind of file: container, when frames are shown in ticks of 1 / RATE, and the frame to ask for."""

PEERS = [peer for peer in ASKED_BY_INDEX if peer != "pyav-pts"]


def numbered_frames() -> Iterator[RgbImage]:
    """Yield frames of the bundled clip, with their numbers painted on them."""
    clip = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()
    font = ImageFont.load_default(HEIGHT // 2)
    for index, image in af.sync.stream_frames(clip, end=FRAMES - 1, resize=(WIDTH, HEIGHT // 2 * 2)):
        picture = Image.fromarray(image)
        middle = WIDTH / 2, HEIGHT / 2
        draw = ImageDraw.Draw(picture)
        draw.text(middle, str(index), "white", font, anchor="mm", stroke_width=4, stroke_fill="black")
        yield np.asarray(picture)


def encode(images: Sequence[RgbImage], container: str, times: Sequence[int]) -> bytes:
    """Encode images as H.264 with B-frames."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as writer:
        options = Clip(b_frames=2, gop=12).encoder_options() | {"crf": "18"}
        stream = writer.add_stream("libx264", rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, RATE)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())
    return target.getvalue()


def installed() -> dict[str, str]:
    """Return the peers whose package is installed, with its version."""
    found = {}
    for peer in PEERS:
        try:
            found[peer] = metadata.version(ASKED_BY_INDEX[peer].package)
        except metadata.PackageNotFoundError:
            continue
    return found


def frame_of(peer: str, path: str, index: int) -> Answer:
    """Open a file with one library, and ask for one frame."""
    try:
        reader = ASKED_BY_INDEX[peer]().read(path, [])
        return np.array(reader.frame(index))
    except Exception as exc:  # noqa: BLE001 - libraries raise what they like
        return type(exc).__name__


def given(answer: Answer, images: Sequence[RgbImage]) -> int | str:
    """Return which of the images an answer is nearest to."""
    if isinstance(answer, str):
        return answer
    shown = answer.astype(np.int16)
    return int(np.argmin([np.abs(shown - image).mean() for image in images]))


def panel(label: str, answer: Answer, *, is_right: bool) -> Image.Image:
    """Draw one answer under its label."""
    drawn = Image.new("RGB", (WIDTH, LABEL + HEIGHT), "white")
    if not isinstance(answer, str):
        drawn.paste(Image.fromarray(answer), (0, LABEL))
    colour = "#0a6b2d" if is_right else "#b3261e"
    ImageDraw.Draw(drawn).text((2, 1), label, colour, ImageFont.load_default(12))
    return drawn


def side_by_side(panels: Sequence[Image.Image]) -> Image.Image:
    """Arrange panels in rows."""
    gap = 8
    wide, high = panels[0].width + gap, panels[0].height + gap
    rows = -(-len(panels) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * wide - gap, rows * high - gap), "white")
    for place, one in enumerate(panels):
        picture.paste(one, (place % COLUMNS * wide, place // COLUMNS * high))
    return picture


def main() -> None:
    """Make the clips, ask every library, draw the answers and print which frames they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    images, versions = list(numbered_frames()), installed()
    print(f"| kind | asked for | {' | '.join(f'{title_of(peer)} {versions[peer]}' for peer in versions)} |")
    print(f"|---|--:|{'--:|' * len(versions)}")
    # A new process for each answer: the libraries bring FFmpegs of their own.
    pool = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    with tempfile.TemporaryDirectory() as scratch, pool:
        for kind, (container, times, asked) in KINDS.items():
            path = Path(scratch, f"{kind}.{container}")
            path.write_bytes(encode(images, container, times))
            answers = {peer: pool.submit(frame_of, peer, str(path), asked).result() for peer in versions}
            found = {peer: given(answer, images) for peer, answer in answers.items()}
            print(f"| {kind} | {asked} | {' | '.join(map(str, found.values()))} |", flush=True)
            panels = [
                panel(f"{title_of(peer)}: {found[peer]}", answers[peer], is_right=found[peer] == asked)
                for peer in versions
            ]
            side_by_side(panels).save(out / f"wrong-{kind}.jpg", quality=80)


if __name__ == "__main__":
    main()
