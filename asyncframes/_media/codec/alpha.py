"""Opacity that a container keeps beside the pictures, as WebM does for VP8 and VP9."""

from __future__ import annotations

from typing import cast

from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from asyncframes._media.boundary import PyAVError, pyav_calls
from asyncframes.errors import UnsupportedMediaError

_CODECS = {"vp8", "vp9"}

# The number of the addition comes first; 1 stands for alpha (Matroska's codec mappings).
_ALPHA_HEADER = (1).to_bytes(8, "big")

# Pictures that never met their packet's are forgotten beyond this many.
_REMEMBERED = 1024


def announces_alpha(stream: VideoStream) -> bool:
    """Whether the container says that opacity comes with the packets."""
    return stream.metadata.get("alpha_mode") == "1" and stream.codec_context.name in _CODECS


def refuse_alpha_track(stream: VideoStream, source: str) -> None:
    """Refuse the opacity of an AVIF sequence: it is a track of its own, not decoded with the pictures.

    Raises
    ------
    UnsupportedMediaError
        There is such a track.
    """
    brands = stream.container.metadata.get("major_brand", "") + stream.container.metadata.get(
        "compatible_brands", ""
    )
    if "avis" not in brands:
        return
    size = stream.codec_context.width, stream.codec_context.height
    for other in stream.container.streams.video:
        codec = other.codec_context
        is_gray = codec is not None and (codec.pix_fmt or "").startswith("gray")
        if other.index != stream.index and is_gray and (codec.width, codec.height) == size:
            raise UnsupportedMediaError(
                f"the opacity is in stream {other.index} of this AVIF, and is not decoded with the pictures; "
                f'ask for rgb24, and for image_format="gray" of stream_index={other.index}',
                source=source,
            )


class AlphaDecoder:
    """Decodes the opacity of packets, which is a stream of its own in the same codec."""

    def __init__(self, stream: VideoStream, max_pixels: int) -> None:
        self._codec = cast("VideoCodecContext", CodecContext.create(stream.codec_context.codec, "r"))
        self._codec.options = {"max_pixels": str(max_pixels)}
        # With one thread each packet gives its picture at once, without any delay.
        self._codec.thread_count = 1
        self._found: dict[int, VideoFrame | str] = {}

    def feed(self, packet: Packet[VideoStream], number: int) -> None:
        """Decode the opacity that comes with a packet, if any does."""
        if not packet.has_sidedata("matroska_block_additional"):
            return
        data = bytes(packet.get_sidedata("matroska_block_additional"))
        if data.startswith(_ALPHA_HEADER):
            self._found[number] = self._decode(data[len(_ALPHA_HEADER) :])
        if len(self._found) > _REMEMBERED:
            del self._found[next(iter(self._found))]

    def _decode(self, data: bytes) -> VideoFrame | str:
        """Return a picture, or why there is none."""
        try:
            with pyav_calls():
                pictures = self._codec.decode(Packet(data))
        except PyAVError as exc:
            return f"its alpha: {exc}"
        return pictures[-1] if pictures else "its alpha does not decode"

    def take(self, number: int) -> tuple[VideoFrame | None, str | None]:
        """Return the opacity of a packet's picture, or why it does not decode; neither where it has none."""
        found = self._found.pop(number, None)
        return (None, found) if isinstance(found, str) else (found, None)

    def reset(self) -> None:
        """Drop what was decoded, after a seek."""
        self._codec.flush_buffers()
        self._found.clear()
