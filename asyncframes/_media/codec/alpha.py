"""Opacity that a container stores beside the pictures, as WebM does for VP8 and VP9."""

from __future__ import annotations

from typing import cast

from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from asyncframes._media.boundary import PyAVCalls, PyAVError
from asyncframes._media.pyav import codec_name, packet_of
from asyncframes.errors import UnsupportedMediaError

_CODECS = {"vp8", "vp9"}

# A block addition begins with its number, and 1 means alpha (Matroska's codec mappings).
_ALPHA_HEADER = (1).to_bytes(8, "big")

# Packets that become no picture leave their opacity behind. Only this many of the newest are kept.
_REMEMBERED = 1024


def announces_alpha(stream: VideoStream) -> bool:
    """Whether the container says that its packets carry opacity."""
    return stream.metadata.get("alpha_mode") == "1" and codec_name(stream.codec_context) in _CODECS


def refuse_alpha_track(stream: VideoStream, source: str) -> None:
    """Refuse to decode the opacity of an AVIF sequence, which is stored in a separate track.

    Raises
    ------
    UnsupportedMediaError
        The file has such a track.
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
                f"this AVIF stores its opacity in stream {other.index}, apart from the pictures: "
                f'pass image_format="rgb24", and decode stream_index={other.index} with image_format="gray"',
                source=source,
            )


class AlphaDecoder:
    """Decodes the opacity of packets, which is encoded like a second video in the same codec."""

    def __init__(self, stream: VideoStream, max_pixels: int) -> None:
        self._codec = cast("VideoCodecContext", CodecContext.create(stream.codec_context.codec, "r"))
        self._codec.options = {"max_pixels": str(max_pixels)}
        # One thread outputs the picture of each packet at once. More threads would delay it.
        self._codec.thread_count = 1
        self._found: dict[int, VideoFrame | str] = {}

    def feed(self, packet: Packet[VideoStream], number: int) -> None:
        """Decode the opacity of a packet, if it has any."""
        if not packet.has_sidedata("matroska_block_additional"):
            return
        data = bytes(packet.get_sidedata("matroska_block_additional"))
        if data.startswith(_ALPHA_HEADER):
            self._found[number] = self._decode(data[len(_ALPHA_HEADER) :])
        if len(self._found) > _REMEMBERED:
            del self._found[next(iter(self._found))]

    def _decode(self, data: bytes) -> VideoFrame | str:
        """Return the opacity as a picture, or the reason why it does not decode."""
        try:
            with PyAVCalls():
                pictures = self._codec.decode(packet_of(data))
        except PyAVError as exc:
            return f"its alpha: {exc}"
        return pictures[-1] if pictures else "its alpha does not decode"

    def take(self, number: int) -> tuple[VideoFrame | None, str | None]:
        """Return the opacity of a packet's picture, and why it does not decode; one or both are ``None``."""
        found = self._found.pop(number, None)
        return (None, found) if isinstance(found, str) else (found, None)

    def reset(self) -> None:
        """Drop what was decoded before a seek."""
        self._codec.flush_buffers()
        self._found.clear()
