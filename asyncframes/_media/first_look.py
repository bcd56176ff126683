"""Takes a first look at a video: reads its header, and decodes its first picture if that may tell more."""

from __future__ import annotations

from dataclasses import dataclass, replace

from av.video.frame import VideoFrame

from asyncframes._media.bitstream.plain_start import has_plain_header, is_plain_start
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Picture
from asyncframes._media.container.opening import cannot_seek, needs_seeking
from asyncframes._media.describe import CodingHints, coding_hints, describe
from asyncframes._media.files.forward_file import ForwardFile
from asyncframes._media.files.media_files import DirectFile
from asyncframes._media.mp4.segments import claimed_seconds
from asyncframes._media.mp4.upright import is_upright
from asyncframes._media.table.scan import PacketList
from asyncframes._model.table import NO_TIMESTAMP, Packets
from asyncframes._types import VideoInfo

# A table from the header is compared with this many packets. Decoding the first picture takes about as many.
_PACKETS_TO_COMPARE = 6


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


def quick_look(decoder: Decoder, size_bytes: int | None) -> FirstLook:
    """Collect what the header and the first picture tell, without decoding it if the header tells as much.

    If the first picture cannot be decoded, `FirstLook.first_pts` may be that of its packet.

    Raises
    ------
    CorruptMediaError
        As `first_look` does.
    """
    packets = _plain_start(decoder)
    if packets is None:
        return first_look(decoder, size_bytes)
    pts = int(packets.pts[0])
    first_pts = None if pts == NO_TIMESTAMP else pts
    return _look(decoder, None, packets, size_bytes, first_pts=first_pts, has_picture=True)


def first_look(decoder: Decoder, size_bytes: int | None) -> FirstLook:
    """Decode the first picture, and collect what it and the header tell about the video.

    Raises
    ------
    CorruptMediaError
        The source cannot seek, and this file cannot be decoded without seeking.
    """
    picture, packets = _peek_without_doubt(decoder)
    _refuse_seeking(decoder, picture)
    if picture is None:
        return _look(decoder, None, packets, size_bytes, first_pts=None, has_picture=False)
    return _look(decoder, picture.frame, packets, size_bytes, first_pts=picture.pts, has_picture=True)


def _look(
    decoder: Decoder,
    frame: VideoFrame | None,
    packets: Packets,
    size_bytes: int | None,
    *,
    first_pts: int | None,
    has_picture: bool,
) -> FirstLook:
    return FirstLook(
        info=_info(decoder, frame, size_bytes),
        hints=coding_hints(decoder.stream, decoder.reader.syntax, frame),
        first_pts=first_pts,
        first_packets=packets,
        has_picture=has_picture,
    )


def _plain_start(decoder: Decoder) -> Packets | None:
    """Return the first packets of an H.264 track in a local MP4, if the header tells how its pictures look.

    ``None`` if the first picture may be turned, be a field or have other colours, or if a packet
    is damaged. The packets are not consumed.
    """
    reader, stream = decoder.reader, decoder.stream
    codec, units = stream.codec_context, reader.syntax.units
    is_local_mp4 = isinstance(decoder.file, DirectFile) and reader.container.format.name.startswith("mov")
    if not is_local_mp4 or units is None or not has_plain_header(units, codec.extradata):
        return None
    # The layout is known once FFmpeg has read the header of a picture.
    if not (codec.pix_fmt or "").startswith("yuv") or not is_upright(decoder.file, stream.id):
        return None
    read = reader.look_ahead(_PACKETS_TO_COMPARE)
    if not read or any(packet.is_corrupt or packet.is_discard for packet in read):
        return None
    if not read[0].is_keyframe or not is_plain_start(bytes(read[0]), units):
        return None
    packets = PacketList()
    for packet in read:
        packets.add(packet)
    return packets.finish()


def _peek_without_doubt(decoder: Decoder) -> tuple[Picture | None, Packets]:
    """Decode the first picture, with whatever shortcuts are given up for it."""
    while True:
        try:
            return _peek(decoder)
        except DoubtError as doubt:
            decoder.fall_back_to_one_thread(doubt)


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
    reader = decoder.reader
    if picture is None or needs_seeking(reader.container) or not reader.lists_in_file_order:
        raise cannot_seek(decoder.file.source_name)


def _info(decoder: Decoder, frame: VideoFrame | None, size_bytes: int | None) -> VideoInfo:
    info = describe(decoder.reader, frame, size_bytes)
    if not decoder.file.opened_blind:
        return info
    # FFmpeg knows only the first fragment here, and reports its length as that of the whole file.
    claim = claimed_seconds(decoder.file)
    return replace(info, duration_seconds_from_header=None if claim is None else float(claim))
