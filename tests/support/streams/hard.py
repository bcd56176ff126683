"""Streams that libraries get wrong and that the corpus lacks, each made on the spot.

Every maker takes the path of the ffmpeg program and an empty folder, and returns a file.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet

from tests.support.streams.clips import clip_bytes
from tests.support.streams.fields import field_pairs
from tests.support.streams.remux import VideoPacket, copied, encoded, from_second_keyframe, moved, remux

Maker = Callable[[str, Path], bytes]

FRAMES = 36
_TS_PACKET = 188
_WRAP = 1 << 33
_HALF_SECOND = 45_000  # ticks of 1/90000 s
_FIELD_TICKS = 1800

_HEVC = {"codec": "libx265", "width": 128, "height": 96}
_INTERLACED = {"height": 96, "options": {"x264-params": "tff=1:keyint=12:scenecut=0:b-adapt=0"}}
_XVID = ("-c:v", "libxvid", "-g", "12", "-q:v", "3")
_REFRESH = {"b_frames": 0, "options": {"x264-params": "intra-refresh=1:keyint=12:scenecut=0:bframes=0"}}


def _clip(**options: object) -> Maker:
    return lambda _ffmpeg, _folder: clip_bytes(frames=FRAMES, **options)


def _program(name: str, *arguments: str) -> Maker:
    return lambda ffmpeg, folder: encoded(ffmpeg, folder / name, *arguments, frames=FRAMES)


def _copied(clip: dict[str, object], name: str, *before: str) -> Maker:
    return lambda ffmpeg, folder: copied(ffmpeg, clip_bytes(frames=FRAMES, **clip), folder / name, *before)


def _headless(container: str, **options: object) -> Maker:
    """Begin at a keyframe that is no IDR, with leading pictures whose references are missing."""
    return lambda _ffmpeg, _folder: remux(
        clip_bytes(frames=FRAMES, container=container, open_gop=True, **options),
        container=container,
        edit=from_second_keyframe,
    )


def _two_sizes(container: str, **options: object) -> Maker:
    sizes = [(128, 96), (192, 128)]
    return lambda _ffmpeg, _folder: remux(
        *(
            clip_bytes(frames=FRAMES // 2, container=container, width=w, height=h, **options)
            for w, h in sizes
        ),
        container=container,
    )


# Fields coded as pictures of their own


def _raw_fields(_ffmpeg: str, _folder: Path) -> bytes:
    return b"".join(top + bottom for top, bottom in field_pairs(FRAMES))


def _fields(container: str, *, together: bool) -> Maker:
    """Mux field pairs: one packet a frame, or one a field."""

    def make(_ffmpeg: str, _folder: Path) -> bytes:
        target = io.BytesIO()
        with (
            av.open(io.BytesIO(_raw_fields("", Path()))) as reader,
            av.open(target, "w", format=container) as writer,
        ):
            stream = writer.add_stream_from_template(reader.streams.video[0])
            for index, (top, bottom) in enumerate(field_pairs(FRAMES)):
                for place, data in enumerate([top + bottom] if together else [top, bottom]):
                    packet = Packet(data)
                    packet.stream, packet.time_base = stream, Fraction(1, 90_000)
                    packet.pts = packet.dts = (2 * index + place) * _FIELD_TICKS
                    packet.is_keyframe = index % 12 == 0 and place == 0
                    writer.mux(packet)
        return target.getvalue()

    return make


# Timestamps


def _wrapping_timestamps(_ffmpeg: str, _folder: Path) -> bytes:
    clip = clip_bytes(frames=FRAMES, container="mpegts")
    return remux(clip, container="mpegts", edit=lambda packets: moved(packets, _WRAP - 2 * _HALF_SECOND))


def _repeated_pts(_ffmpeg: str, _folder: Path) -> bytes:
    def repeat(packets: list[VideoPacket]) -> list[VideoPacket]:
        for packet, following in list(itertools.pairwise(packets))[1::3]:
            packet.pts = following.pts
        return packets

    return remux(clip_bytes(frames=FRAMES, b_frames=0, container="mpegts"), container="mpegts", edit=repeat)


def _finer_than_a_tick(_ffmpeg: str, _folder: Path) -> bytes:
    """Three frames to a millisecond, which is Matroska's tick."""
    return clip_bytes(frames=FRAMES, rate=Fraction(3000), container="matroska", b_frames=0)


# Wrappings


def _cut_ts(_ffmpeg: str, _folder: Path) -> bytes:
    clip = clip_bytes(frames=FRAMES, container="mpegts", gop=16)
    return clip[len(clip) // 5 // _TS_PACKET * _TS_PACKET :]


def _cut_anywhere_ts(_ffmpeg: str, _folder: Path) -> bytes:
    clip = clip_bytes(frames=FRAMES, container="mpegts", codec="mpeg2video", gop=16)
    return clip[len(clip) // 5 + 77 :]


def _two_passes(name: str, codec: str, *arguments: str) -> Maker:
    """Encode with alternate reference frames, which are decoded and never shown."""

    def make(ffmpeg: str, folder: Path) -> bytes:
        settings = ["-c:v", codec, "-b:v", "60k", "-g", "48", "-auto-alt-ref", "1", "-lag-in-frames", "16"]
        settings += ["-passlogfile", str(folder / "log")]
        encoded(ffmpeg, folder / "first.webm", *settings, "-pass", "1", frames=2 * FRAMES)
        return encoded(ffmpeg, folder / name, *settings, "-pass", "2", *arguments, frames=2 * FRAMES)

    return make


STREAMS: dict[str, Maker] = {
    "MBAFF in MP4": _clip(**_INTERLACED),
    "MBAFF in MPEG-TS": _clip(container="mpegts", **_INTERLACED),
    "MBAFF, raw": _clip(container="h264", **_INTERLACED),
    "PAFF, raw": _raw_fields,
    "PAFF in MPEG-TS, frames": _fields("mpegts", together=True),
    "PAFF in MPEG-TS, fields": _fields("mpegts", together=False),
    "PAFF in MP4, frames": _fields("mp4", together=True),
    "PAFF in MP4, fields": _fields("mp4", together=False),
    "PAFF in Matroska, frames": _fields("matroska", together=True),
    "PAFF in Matroska, fields": _fields("matroska", together=False),
    "intra refresh in MP4": _clip(**_REFRESH),
    "intra refresh in MPEG-TS": _clip(container="mpegts", **_REFRESH),
    "intra refresh in Matroska": _clip(container="matroska", **_REFRESH),
    "intra refresh, raw": _clip(container="h264", **_REFRESH),
    "H.264 10 bits": _clip(pixel_format="yuv420p10le"),
    "H.264 4:2:2": _clip(pixel_format="yuv422p"),
    "H.264 4:2:2 10 bits": _clip(pixel_format="yuv422p10le"),
    "packed B-frames in AVI": _program("packed.avi", "-bf", "2", *_XVID),
    "one packed B-frame in AVI": _program(
        "packed.avi", "-c:v", "libxvid", "-bf", "1", "-g", "12", "-q:v", "3"
    ),
    "MPEG-4 B-frames in AVI": _clip(container="avi", codec="mpeg4"),
    "H.264 B-frames in AVI": _clip(container="avi"),
    "H.264 open GOP in AVI": _clip(container="avi", open_gop=True),
    "MPEG-2 B-frames in AVI": _clip(container="avi", codec="mpeg2video"),
    "MPEG-2 B-frames in MXF": _clip(container="mxf", codec="mpeg2video"),
    "H.264 B-frames in NUT": _clip(container="nut"),
    "H.264 B-frames in ASF": _clip(container="asf"),
    "H.264 B-frames in MPEG-PS": _clip(container="vob"),
    "Theora in Ogg": _program("theora.ogv", "-c:v", "libtheora", "-g", "12"),
    "VP9 of two sizes in WebM": _two_sizes("webm", codec="libvpx-vp9"),
    "VP9 of two sizes in MP4": _two_sizes("mp4", codec="libvpx-vp9"),
    "AV1 of two sizes in WebM": _two_sizes("webm", codec="libsvtav1"),
    "AV1 of two sizes in MP4": _two_sizes("mp4", codec="libsvtav1"),
    "VP8 of two sizes in WebM": _two_sizes("webm", codec="libvpx"),
    "H.264 of two sizes in MPEG-TS": _two_sizes("mpegts"),
    "VP8 hidden frames in WebM": _two_passes("clip.webm", "libvpx"),
    "VP9 hidden frames in WebM": _two_passes("clip.webm", "libvpx-vp9"),
    "VP9 hidden frames in MP4": _two_passes("clip.mp4", "libvpx-vp9"),
    "VP9 hidden frames in packets of their own": _two_passes(
        "clip.nut", "libvpx-vp9", "-bsf:v", "vp9_superframe_split"
    ),
    "HEVC from a CRA in MPEG-TS": _headless("mpegts", **_HEVC),
    "HEVC from a CRA in MP4": _headless("mp4", **_HEVC),
    "HEVC from a CRA in Matroska": _headless("matroska", **_HEVC),
    "H.264 from an open GOP in MPEG-TS": _headless("mpegts"),
    "H.264 from an open GOP in MP4": _headless("mp4"),
    "MPEG-2 from an open GOP in MPEG-TS": _headless("mpegts", codec="mpeg2video"),
    "MPEG-TS cut in a GOP": _cut_ts,
    "MPEG-TS cut in a packet": _cut_anywhere_ts,
    "timestamps that wrap in MPEG-TS": _wrapping_timestamps,
    "repeated pts in MPEG-TS": _repeated_pts,
    "pts finer than a tick in Matroska": _finer_than_a_tick,
    "Matroska without Cues": _clip(container="matroska", muxer_options={"live": "1"}),
    "WebM without Cues": _clip(container="webm", codec="libvpx-vp9", muxer_options={"live": "1"}),
    "edit list that trims": _copied({}, "trimmed.mp4", "-ss", "0.7"),
    "edit list that trims an open GOP": _copied({"open_gop": True}, "trimmed.mp4", "-ss", "0.7"),
    "edit list that trims HEVC": _copied(_HEVC | {"open_gop": True}, "trimmed.mp4", "-ss", "0.7"),
    "edit list that delays": _copied({}, "delayed.mp4", "-itsoffset", "1.5"),
    "edit list that trims and delays": _copied({}, "both.mp4", "-itsoffset", "1.5", "-ss", "0.7"),
    "edit list that trims, in MOV": _copied({}, "trimmed.mov", "-ss", "0.7"),
    "VP8 in IVF": _two_passes("clip.ivf", "libvpx"),
    "VP9 in IVF": _two_passes("clip.ivf", "libvpx-vp9"),
    "AV1 in IVF": _clip(container="ivf", codec="libsvtav1", width=128, height=96),
    "MPEG-2 in MPEG-PS": _clip(container="vob", codec="mpeg2video"),
    "raw HEVC, open GOP": _clip(container="hevc", open_gop=True, **_HEVC),
}
