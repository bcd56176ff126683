"""Clips whose frames name themselves: each shows its own index as a pattern that survives lossy coding."""

from __future__ import annotations

import binascii
import io
import itertools
import os
import sys
import tempfile
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream
from numpy.typing import NDArray

Image = NDArray[np.uint8]

BITS = 16
ROWS, COLUMNS = 4, 8
LIT = (255, 210, 90)
"""Bright in gray, and of three different values, so that swapped channels show."""

SAMPLE_RATE = 48_000

_made: dict[str, bytes] = {}


def paint(index: int, width: int, height: int) -> Image:
    """Paint `index` as an RGB image of lit and black blocks."""
    image = np.zeros((height, width, 3), np.uint8)
    for lit, (rows, columns) in zip(_bits(index), _cells(width, height), strict=True):
        if lit:
            image[rows, columns] = LIT
    return image


def painted_index(image: Image) -> int:
    """Read the index that `paint` put into an image, gray or colour, after any coding.

    Raises
    ------
    ValueError
        The pattern is damaged, turned, mirrored, or not there.
    """
    light = image if image.ndim == 2 else image[..., :3].mean(axis=2)
    height, width = light.shape
    bits = [_middle(light[cell]).mean() > 96 for cell in _cells(width, height)]
    value = int(sum(bit << place for place, bit in enumerate(bits)))
    index, check = value & (1 << BITS) - 1, value >> BITS
    if check != _check(index):
        raise ValueError(f"no painted index in this image: read {index} with check {check}")
    return index


def _check(index: int) -> int:
    return binascii.crc_hqx(index.to_bytes(2, "big"), 0x1D0F)


def _bits(index: int) -> list[bool]:
    if not 0 <= index < 1 << BITS:
        raise ValueError(f"index {index} does not fit in {BITS} bits")
    value = index | _check(index) << BITS
    return [bool(value >> place & 1) for place in range(2 * BITS)]


def _cells(width: int, height: int) -> list[tuple[slice, slice]]:
    def slices(length: int, parts: int) -> list[slice]:
        edges = [length * part // parts for part in range(parts + 1)]
        return [slice(*edge) for edge in itertools.pairwise(edges)]

    return [(rows, columns) for rows in slices(height, ROWS) for columns in slices(width, COLUMNS)]


def _middle(cell: NDArray[Any]) -> NDArray[Any]:
    height, width = cell.shape
    return cell[height // 4 : height - height // 4, width // 4 : width - width // 4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What to encode; the defaults are the hard case of an MP4: B-frames, header last.

    Attributes
    ----------
    frames
        How many frames.
    codec, pixel_format, container
        As FFmpeg spells them.
    width, height
        Size as stored.
    rate
        Frames per second.
    pts
        Presentation time of each frame in ticks of ``1 / rate``, for varying rates
        and starts that are not zero; 0, 1, 2, … by default.
    gop
        Frames from one keyframe to the next.
    b_frames
        B-frames in a row, for the codecs that have them.
    open_gop
        Whether the B-frames before a keyframe refer to it (libx264 and libx265).
    options
        More options of the encoder.
    muxer_options
        More options of the muxer.
    audio
        Whether a tone runs along, interleaved.
    faststart, fragmented
        Where an MP4 keeps its header: first, or in fragments; last by default.
    rotation
        Degrees counterclockwise that the display matrix asks players to turn.
    mirrored
        Whether it also asks to mirror left and right, after that turn.
    """

    frames: int = 48
    codec: str = "libx264"
    container: str = "mp4"
    width: int = 96
    height: int = 64
    rate: Fraction = Fraction(25)
    pts: Sequence[int] | None = None
    gop: int = 12
    b_frames: int = 2
    open_gop: bool = False
    pixel_format: str = "yuv420p"
    options: Mapping[str, str] | None = None
    muxer_options: Mapping[str, str] | None = None
    audio: bool = False
    faststart: bool = False
    fragmented: bool = False
    rotation: int = 0
    mirrored: bool = False

    def encoder_options(self) -> dict[str, str]:
        fixed = f"scenecut=0:b-adapt=0:keyint={self.gop}:min-keyint={self.gop}:open-gop={int(self.open_gop)}"
        gop, b_frames = {"g": str(self.gop)}, {"bf": str(self.b_frames)}
        by_codec = {
            "libx264": gop | b_frames | {"preset": "veryfast", "x264-params": fixed},
            "libx265": gop | b_frames | {"preset": "ultrafast", "x265-params": f"log-level=none:{fixed}"},
            "libvpx": gop | {"deadline": "realtime", "cpu-used": "8", "b": "1M"},
            "libvpx-vp9": gop | {"deadline": "realtime", "cpu-used": "8", "b": "1M"},
            "libsvtav1": gop | {"preset": "8", "crf": "20"},
            "mpeg2video": gop | b_frames,
            "mpeg4": gop | b_frames,
        }
        return by_codec.get(self.codec, {}) | dict(self.options or {})

    def container_options(self) -> dict[str, str]:
        chosen = {}
        if self.faststart:
            chosen["movflags"] = "+faststart"
        if self.fragmented:
            chosen["movflags"] = "+frag_keyframe+empty_moov+default_base_moof"
        return chosen | dict(self.muxer_options or {})


def make_clip(target: str | Path | io.BytesIO, **options: Any) -> Clip:
    """Encode a clip of painted frames to a path or a buffer.

    Parameters
    ----------
    target
        Where to; a buffer is left at its start.
    **options
        Attributes of `Clip`.
    """
    clip = Clip(**options)
    if isinstance(target, io.BytesIO):
        target.write(clip_bytes(**options))
        target.seek(0)
    else:
        _encode(Path(target), clip)
    return clip


def clip_bytes(**options: Any) -> bytes:
    """Encode a clip of painted frames, once a session for each set of `Clip` attributes."""
    clip = Clip(**options)
    if repr(clip) not in _made:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, "clip")
            _encode(path, clip)
            _made[repr(clip)] = path.read_bytes()
    return _made[repr(clip)]


def repeated(
    clip: bytes,
    times: int,
    *,
    container: str = "mp4",
    options: Mapping[str, str] | None = None,
    also_keyframes: Container[int] = (),
) -> bytes:
    """Repeat the packets of a clip, shifted in time, without encoding anything.

    Parameters
    ----------
    clip
        The clip's bytes.
    times
        How often.
    container, options
        Where the packets go.
    also_keyframes
        Numbers of packets to be flagged as keyframes although they are none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "clip")  # some options make the muxer open what it wrote once more
        with (
            av.open(io.BytesIO(clip), "r") as reader,
            av.open(path, "w", format=container, container_options=dict(options or {})) as writer,
        ):
            for number, packet in enumerate(_repeated_packets(reader, writer, times)):
                packet.is_keyframe = packet.is_keyframe or number in also_keyframes
                writer.mux(packet)
        return path.read_bytes()


def _repeated_packets(
    reader: InputContainer, writer: OutputContainer, times: int
) -> Iterator[av.Packet[Any]]:
    template = reader.streams.video[0]
    stream = writer.add_stream_from_template(template)
    length, time_base = template.duration or 0, template.time_base or Fraction(1)
    packets = [packet for packet in reader.demux(template) if packet.size]
    originals = [(bytes(packet), packet.pts or 0, packet.dts or 0, packet.is_keyframe) for packet in packets]
    for turn in range(times):
        for data, pts, dts, is_keyframe in originals:
            packet: av.Packet[Any] = av.Packet(data)
            packet.stream, packet.time_base = stream, time_base
            packet.pts, packet.dts = pts + turn * length, dts + turn * length
            packet.is_keyframe = is_keyframe
            yield packet


def audio_bytes(*, seconds: float = 1.0, container: str = "mp4") -> bytes:
    """Encode a tone without any picture."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "audio")
        with av.open(path, "w", format=container) as writer:
            _mux_tone(writer, _add_audio(writer), seconds)
        return path.read_bytes()


@contextmanager
def own_priority() -> Iterator[None]:
    """Keep the priority of this thread: SVT-AV1 makes the thread that calls it a real-time one, if it may.

    All threads and processes that it starts later would be real-time ones too, and keep the CPUs
    from everything else on the machine.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)


def _encode(path: Path, clip: Clip) -> None:
    with (
        own_priority(),
        av.open(path, "w", format=clip.container, container_options=clip.container_options()) as writer,
    ):
        pictures = _add_pictures(writer, clip)
        tone = _add_audio(writer) if clip.audio else None
        for frame in _painted_frames(clip):
            writer.mux(pictures.encode(frame))
        writer.mux(pictures.encode())
        if tone is not None:
            _mux_tone(writer, tone, float(clip.frames / clip.rate))


def _add_pictures(writer: OutputContainer, clip: Clip) -> VideoStream:
    stream = writer.add_stream(clip.codec, rate=clip.rate, options=clip.encoder_options())
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pixel_format
    stream.codec_context.thread_count = 1
    if clip.rotation or clip.mirrored:
        stream.set_display_rotation(clip.rotation, hflip=clip.mirrored)
    return stream


def _painted_frames(clip: Clip) -> Iterator[av.VideoFrame]:
    for index, pts in zip(range(clip.frames), clip.pts or range(clip.frames), strict=True):
        image = paint(index, clip.width, clip.height)
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=clip.pixel_format)
        frame.pts, frame.time_base = pts, 1 / clip.rate
        frame.pict_type = PictureType.NONE
        yield frame


def _add_audio(writer: OutputContainer) -> AudioStream:
    codec = "libopus" if writer.format.name == "webm" else "aac"
    stream = writer.add_stream(codec, rate=SAMPLE_RATE)
    assert isinstance(stream, AudioStream)
    stream.layout = "mono"
    return stream


def _mux_tone(writer: OutputContainer, stream: AudioStream, seconds: float) -> None:
    times = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    samples = np.sin(times * 440 * 2 * np.pi, dtype=np.float32)[np.newaxis]
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    writer.mux(stream.encode(frame))
    writer.mux(stream.encode())
