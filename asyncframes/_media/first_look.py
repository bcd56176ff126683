"""Takes a first look at a video: reads its header and decodes its first picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

from av.video.frame import VideoFrame

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Picture
from asyncframes._media.container.opening import cannot_seek, needs_seeking
from asyncframes._media.describe import CodingHints, coding_hints, describe
from asyncframes._media.files.forward_file import ForwardFile
from asyncframes._media.mp4.segments import claimed_seconds
from asyncframes._media.table.scan import PacketList, is_in_file_order
from asyncframes._model.table import Packets
from asyncframes._types import VideoInfo


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What the header and the first picture of a video show.

    Attributes
    ----------
    info
        Properties of the video, as users see them.
    hints
        Reasons why its packets may not match its frames.
    first_pts
        The pts of the first picture, in ticks; ``None`` if unknown.
    first_packets
        The packets that were read for it.
    has_picture
        Whether the first look found a picture.
    """

    info: VideoInfo
    hints: CodingHints
    first_pts: int | None
    first_packets: Packets
    has_picture: bool


def first_look(decoder: Decoder, size_bytes: int | None) -> FirstLook:
    """Decode the first picture, and collect what it and the header tell about the video.

    Raises
    ------
    CorruptMediaError
        The source cannot seek, and this file cannot be decoded without seeking.
    """
    try:
        picture, packets = _peek(decoder)
    except DoubtError as doubt:
        decoder.fall_back_to_one_thread(doubt)
        picture, packets = _peek(decoder)
    _refuse_seeking(decoder, picture)
    frame = None if picture is None else picture.frame
    return FirstLook(
        info=_info(decoder, frame, size_bytes),
        hints=coding_hints(decoder.stream, decoder.reader.syntax, frame),
        first_pts=None if picture is None else picture.pts,
        first_packets=packets,
        has_picture=picture is not None,
    )


def _peek(decoder: Decoder) -> tuple[Picture | None, Packets]:
    """Decode the first picture. Return it with the packets that were read for it."""
    packets = PacketList()
    with decoder.reader.observed_by(packets.add):
        picture = decoder.peek()
    return picture, packets.finish()


def _refuse_seeking(decoder: Decoder, picture: Picture | None) -> None:
    """Refuse a file that needs seeking if its source cannot seek."""
    if not isinstance(decoder.file, ForwardFile):
        return
    if picture is None or needs_seeking(decoder.reader.container) or not is_in_file_order(decoder.stream):
        raise cannot_seek(decoder.file.source_name)


def _info(decoder: Decoder, frame: VideoFrame | None, size_bytes: int | None) -> VideoInfo:
    info = describe(decoder.reader, frame, size_bytes)
    if not decoder.file.opened_blind:
        return info
    # FFmpeg knows only the first fragment here, and reports its length as that of the whole file.
    claim = claimed_seconds(decoder.file)
    return replace(info, duration_seconds_from_header=None if claim is None else float(claim))
