"""What a video is by definition: a decode of its whole stream by PyAV alone, with one codec thread.

Nothing of the library takes part in the decoding, so that its seeks, threads and tables are held against
something else. Its `Converter` makes the images, by one way from the first picture to the last.
"""

from __future__ import annotations

import io
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from asyncframes._media.describe import pixel_shape_of
from asyncframes._media.image.convert import Converter
from asyncframes._media.pyav import open_input
from asyncframes._model.rendering import make_rendering
from asyncframes.errors import UnsupportedMediaError
from tests.support.exact.pictures import picture_md5

Digest: TypeAlias = tuple[tuple[int, ...], int]
"""Shape and checksum of an image."""

_HELD = (1, 3, 8, 40)
"""Pictures that are kept in passes that show whose pixels depend on it."""

_MOST_REORDERED = 16

_READS = 10_000

_MOST_REORDERED = 16

_DRAINS = 64
"""How often a codec is asked for what it still holds: an error may stand between two pictures."""


def digest(image: np.ndarray[Any, Any]) -> Digest:
    """Tell images apart."""
    return image.shape, zlib.crc32(np.ascontiguousarray(image).data)


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that came out.

    Attributes
    ----------
    packet
        Number of the packet it comes from, in decode order.
    pts
        Of that packet, in ticks.
    is_corrupt
        Whether the decoder marked it as damaged.
    native
        MD5 of the decoder's own pixels, where it was asked for.
    image
        Digest of what it is converted to, ``None`` where no conversion is known.
    is_determinate
        Whether its pixels follow from the stream; see `determined`.
    """

    packet: int
    pts: int | None
    is_keyframe: bool
    is_corrupt: bool
    native: str | None
    image: Digest | None
    is_determinate: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """A packet that the decoder refused, or the end of a container that cannot be read on.

    Attributes
    ----------
    packet
        Its number in decode order.
    pts
        In ticks, ``None`` where it has none.
    shown_before
        How many pictures had come out by then.
    """

    packet: int
    pts: int | None
    shown_before: int
    reason: str


def _may_be_refused(picture: Shown) -> bool:
    return picture.is_corrupt or picture.image is None or not picture.is_determinate


@dataclass(slots=True)
class OneThread:
    """A whole stream, decoded.

    Attributes
    ----------
    shown
        Its pictures, in the order in which they came out: frame i is the i-th.
    refusals
        What did not decode, in order.
    packets
        How many there are.
    missing_dts
        The first dts whose packet lies beyond the end of the source, by the container's index.
    is_whole
        Whether PyAV read the container to its end, or to an error of FFmpeg.
    """

    container: str = ""
    codec: str = ""
    stream_index: int = 0
    shown: list[Shown] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    packets: int = 0
    missing_dts: int | None = None
    is_whole: bool = True

    def __len__(self) -> int:
        return len(self.shown)

    @property
    def is_damaged(self) -> bool:
        return bool(self.refusals) or self.ends_short or any(one.is_corrupt for one in self.shown)

    @property
    def ends_short(self) -> bool:
        """Whether the container's index lists bytes beyond the end of the source."""
        return self.missing_dts is not None

    def places_of(self, refusal: Refusal) -> set[int]:
        """Indices that may name a refused packet: from what was due when it came, to its place by its pts."""
        if refusal.pts is None:
            last = min(len(self.shown), refusal.shown_before + _MOST_REORDERED)
            return set(range(refusal.shown_before, last + 1))
        earlier = [one.pts is not None and one.pts < refusal.pts for one in self.shown]
        # Where times run backward, what is earlier does not all come first.
        behind = max((index + 1 for index, is_earlier in enumerate(earlier) if is_earlier), default=0)
        place = sum(earlier)
        return {*range(refusal.shown_before, max(place, behind) + 1), refusal.shown_before, place}

    def damaged_places(self) -> set[int]:
        """Indices that an error may name."""
        places = {index for index, one in enumerate(self.shown) if _may_be_refused(one)}
        places.update(*(self.places_of(refusal) for refusal in self.refusals))
        places.update(self.places_of_the_end())
        return places

    def places_of_the_end(self) -> range:
        """Indices that may name what lies beyond the end of the source.

        It may be shown before the last pictures. No pts lies before its dts, and dts grow.
        """
        if self.missing_dts is None:
            return range(0)
        before = sum(one.pts is not None and one.pts < self.missing_dts for one in self.shown)
        return range(before, len(self.shown) + 1)


def decode_by_one_thread(
    source: Path | bytes,
    *,
    stream_index: int | None = None,
    container_format: str | None = None,
    with_native: bool = False,
    most_packets: int | None = None,
    held: int = 0,
    alone: bool = False,
) -> OneThread:
    """Decode a stream from its first packet to its last.

    Parameters
    ----------
    source
        A file, or its bytes.
    stream_index
        Stream to decode; the one that a container marks as its default, or the first, without cover art.
    container_format
        Demuxer to read it with; the one that FFmpeg finds by default.
    with_native
        Whether to hash the decoder's own pixels.
    most_packets
        Stop after so many, and say that it is not whole.
    alone
        Whether to leave the other streams of the container unread.
    held
        How many pictures are kept, so that the decoder does not get their memory back at once.

    Raises
    ------
    av.FFmpegError, ValueError, LookupError
        It cannot be opened, or has no such stream.
    """
    target = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    container_format = container_format and container_format.split(",")[0]
    # Titles and comments may have any encoding.
    with open_input(target, options={}, buffer_size=32 * 1024, format=container_format) as container:
        stream = _video_stream(container, stream_index)
        for other in container.streams if alone else ():
            if other.index != stream.index:
                other.discard = Discard.all
        codec = stream.codec_context
        codec.thread_type, codec.thread_count = "NONE", 1
        found = OneThread(container.format.name, codec.name, stream.index)
        _Pass(stream, found, with_native=with_native, held=held).run(container, most_packets)
        beyond = (entry.timestamp for entry in stream.index_entries if entry.pos + entry.size > size)
        found.missing_dts = min(beyond, default=None)
    return found


def determined(truth: OneThread, source: Path | bytes, **options: Any) -> OneThread:
    """Mark the pictures that do not follow from the stream; returns the same object.

    Some decoders output a picture of which they decoded only a part, and do not mark it: the rest is whatever
    the memory held, so it depends on how long others before it were kept.
    """
    for held in _HELD:
        other = decode_by_one_thread(source, held=held, **options)
        for index, (one, two) in enumerate(zip(truth.shown, other.shown, strict=False)):
            if one.image != two.image:
                truth.shown[index] = replace(one, is_determinate=False)
    return truth


def _video_stream(container: InputContainer, index: int | None) -> VideoStream:
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if index is not None:
        streams = [one for one in streams if one.index == index]
    defaults = [one for one in streams if one.disposition & Disposition.default]
    stream = (defaults or streams)[0]
    if stream.codec_context is None:
        raise LookupError("no decoder")
    return stream


class _Pass:
    """One pass over a stream."""

    def __init__(self, stream: VideoStream, found: OneThread, *, with_native: bool, held: int) -> None:
        self._stream = stream
        self._found = found
        self._with_native = with_native
        self._held: deque[VideoFrame] = deque(maxlen=held)
        self._pts_of: list[int | None] = []
        self._convert = Converter(make_rendering(), pixel_shape_of(stream), "")

    def run(self, container: InputContainer, most_packets: int | None) -> None:
        found = self._found
        try:
            for packet in self._packets(container):
                if most_packets is not None and found.packets >= most_packets:
                    found.is_whole = False
                    break
                self._feed(packet)
        except av.FFmpegError as exc:
            self._refuse(exc)
        except IndexError:  # PyAV's, when a stream appears late
            found.is_whole = False
        for _ in range(_DRAINS):
            if not self._decode(None):
                break

    def _packets(self, container: InputContainer) -> Iterator[Packet[VideoStream]]:
        for _ in range(_READS):
            try:
                yield from (packet for packet in container.demux(self._stream) if packet.size)
            except av.BlockingIOError:
                continue  # FFmpeg has read something else, and asks to be called again
            return

    def _feed(self, packet: Packet[VideoStream]) -> None:
        number, self._found.packets = self._found.packets, self._found.packets + 1
        self._pts_of.append(packet.pts)
        packet.pts = number
        self._decode(packet)

    def _decode(self, packet: Packet[VideoStream] | None) -> bool:
        """Decode a packet, or what is left where there is none; whether there may be more."""
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.EOFError:
            return False
        except av.FFmpegError as exc:
            self._refuse(exc)
            return True
        for frame in frames:
            self._show(frame)
        return bool(frames)

    def _refuse(self, exc: av.FFmpegError) -> None:
        found = self._found
        number = max(found.packets - 1, 0)
        pts = self._pts_of[number] if self._pts_of else None
        found.refusals.append(Refusal(number, pts, len(found), exc.strerror or type(exc).__name__))

    def _show(self, frame: VideoFrame) -> None:
        self._held.append(frame)
        origin = self._found.packets - 1 if frame.pts is None else frame.pts
        pts = self._pts_of[origin] if 0 <= origin < len(self._pts_of) else None
        try:
            image = digest(self._convert(frame))
        except UnsupportedMediaError:
            image = None
        native = picture_md5(frame) if self._with_native else None
        shown = Shown(origin, pts, bool(frame.key_frame), bool(frame.is_corrupt), native, image)
        self._found.shown.append(shown)
