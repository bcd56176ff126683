"""Opening untrusted bytes with FFmpeg, and choosing the stream to decode."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from asyncframes._media.boundary import reason_of
from asyncframes._media.codec.clock import CodecClock
from asyncframes._media.codec.priority import open_with_modest_threads
from asyncframes._media.codec.threads import CodecThreads, is_strict, threads_for
from asyncframes._media.container.formats import (
    SAFE_DEMUXERS,
    has_demuxer,
    is_animated_webp,
    kind_of,
    refused_kind,
    what_instead,
)
from asyncframes._media.container.limits import largest_for_codec, refuse_beyond
from asyncframes._media.container.motion_jpeg import is_motion_jpeg
from asyncframes._media.files.guard import ReadGuard
from asyncframes._media.files.media_files import BUFFER_BYTES
from asyncframes._media.mp4.boxes import boxes_of
from asyncframes._media.mp4.claims import SAMPLES_A_FRAME, ContainerLimits, check_claims
from asyncframes._media.mp4.fragment_watch import FragmentWatch
from asyncframes._media.mp4.fragments import Beginning, beginning_of
from asyncframes._media.pyav import codec_name, fraction_of, open_input
from asyncframes.errors import (
    AsyncFramesError,
    CorruptMediaError,
    MediaLimitError,
    NoVideoStreamError,
    UnsupportedMediaError,
)

if TYPE_CHECKING:
    from asyncframes._media.files.media_files import MediaFile

# A transport stream may announce thousands, and FFmpeg allocates 500 kB for each.
_MOST_STREAMS = 100

_USUAL = ContainerLimits()

SHORT_PIXELS = 8 * 1024 * 1024
"""Pixels in all frames together: such a stream decodes within some tens of milliseconds."""

SHORT_BYTES = 512 * 1024
"""Bytes of a source that decodes as fast."""

# Enough to recognise a format by its first bytes.
_HEAD_BYTES = 32

_INDEXED_LAST = {"avi", "mxf", "rm"}

# With B-frames, the packet that is last in the file need not be last in decode order, but is among this many.
_LAST_ENTRIES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOptions:
    """How to open a container.

    Attributes
    ----------
    stream_index
        Stream to decode, ``None`` for the one that `select_stream` chooses.
    threads
        Number of codec threads.
    max_pixels
        Refuse pictures of more pixels than this.
    idle_priority
        Whether codec threads run only while nothing else needs the CPU.
    limits
        Limits on what the container may hold.
    strict
        Whether to report damage that the decoder would hide.
    clock
        Measures the CPU time of codec threads, if it is counted.
    """

    stream_index: int | None
    threads: int
    max_pixels: int
    idle_priority: bool = False
    limits: ContainerLimits = _USUAL
    strict: bool = True
    clock: CodecClock | None = None


def open_container(
    file: MediaFile,
    limits: ContainerLimits = _USUAL,
    *,
    options: dict[str, str] | None = None,
) -> InputContainer:
    """Open a container. FFmpeg reads the bytes of `file` and nothing else.

    Raises
    ------
    UnsupportedMediaError
        No allowed demuxer recognises the bytes.
    CorruptMediaError
        A demuxer recognises them, and the header is damaged or comes too late.
    """
    target, how = file.target()
    usual = [*limits.allow_containers, SAFE_DEMUXERS] if limits.demuxers is None else limits.demuxers
    names = [how.pop("more_demuxers", ""), *usual]
    allowed = {
        "format_whitelist": ",".join(filter(None, names)),
        "protocol_whitelist": "none",
        "max_streams": str(_MOST_STREAMS),
        **(options or {}),
    }
    if limits.decoders is not None:
        # FFmpeg decodes some packets of every stream to find out more about it.
        allowed["codec_whitelist"] = ",".join(limits.decoders)
    if limits.probed_pixels is not None:
        allowed["max_pixels"] = str(limits.probed_pixels)
    allowed |= how.pop("options", {})
    beginning = Beginning()
    if file.lacks_headers:
        file.plan([(0, BUFFER_BYTES)])
        beginning = beginning_of(file)
    if file.size is None and not file.is_sequential and _has_sidx(file):
        # FFmpeg ends packets with their fragment if a ``sidx`` ends with the file.
        file.find_size()
    # FFmpeg reads the header of every fragment before the first frame, unless it is told not to. It then ends
    # a packet with its fragment, even if the header lists more bytes. So a short file is read as a whole.
    is_short = (file.size or 0) <= SHORT_BYTES
    file.opened_blind = beginning.is_fragmented and not is_short and not file.opens_whole
    if file.opened_blind:
        allowed["fflags"] = "ignidx"
    if beginning.header is None:
        file.plan_forward()
    else:
        file.plan([beginning.header])
    if target is file:
        head = b"" if file.is_sequential else file.read_at(0, _HEAD_BYTES)
        if file.size is None and head.startswith(b"RIFF"):
            # Without a size, FFmpeg takes that in the header of an AVI for the end of the file.
            file.find_size()
        if is_animated_webp(head):
            message = "an animated WebP cannot be decoded: FFmpeg reads still WebP pictures only"
            raise UnsupportedMediaError(message, source=file.source_name)
        _refuse_late_header(file)
        if is_motion_jpeg(file):
            how["format"] = "mjpeg"
        check_claims(file, limits)
        file.guard = _guard(head, file.source_name) if file.holds_media else None
        file.fragments = FragmentWatch(
            limits.max_table_frames * SAMPLES_A_FRAME,
            file.source_name,
            finds_cut=file.opened_blind or file.is_sequential,
        )
    try:
        container = open_input(target, options=allowed, buffer_size=BUFFER_BYTES, **how)
    except AsyncFramesError:
        raise
    except Exception as exc:
        file.raise_error()
        if (error := file.translated(exc)) is not None:
            raise error from None
        _refuse_container(file, exc, limits)
        raise UnsupportedMediaError(_why_not_opened(file, exc), source=file.source_name) from exc
    if file.guard is not None:
        file.guard.expect(container.format.name)
    if beginning.header is not None:
        file.plan_forward()
    try:
        file.raise_error()
    except BaseException:
        container.close()
        raise
    return container


def _refuse_late_header(file: MediaFile) -> None:
    """Refuse an MP4 whose media come first, if its source cannot seek back to them."""
    if not file.is_sequential:
        return
    kinds = (box.kind for box in boxes_of(file, of_any_size=True))
    if next((kind for kind in kinds if kind in {b"moov", b"moof", b"mdat"}), None) == b"mdat":
        raise cannot_seek(file.source_name)


def cannot_seek(source: str) -> CorruptMediaError:
    """Return the error of a file that needs seeking, from a source that cannot seek."""
    return CorruptMediaError("this file cannot be decoded without seeking", source=source)


def _has_sidx(file: MediaFile) -> bool:
    """Whether an MP4 lists its fragments before the first of them."""
    kinds = (box.kind for box in boxes_of(file, of_any_size=True))
    return next((kind for kind in kinds if kind in {b"sidx", b"moof", b"mdat"}), None) == b"sidx"


def _guard(head: bytes, source: str) -> ReadGuard:
    """Watch the reads of a file even before FFmpeg has found its format, by its first bytes."""
    guard = ReadGuard(BUFFER_BYTES, source)
    if head.startswith((b"\0\0\1", b"\0\0\0\1")):
        guard.expect("h264")
    elif head.startswith(b"\xff\xd8"):
        guard.expect("mjpeg")
    return guard


def _refuse_container(file: MediaFile, exc: Exception, limits: ContainerLimits) -> None:
    """Raise if FFmpeg refused a file because its container is not allowed by a policy."""
    if limits.demuxers is None or not isinstance(exc, av.ArgumentError) or file.target()[0] is not file:
        return
    kind = None if file.is_sequential else kind_of(file.read_at(0, 512))
    if kind in limits.demuxers:
        return
    what = "the container" if kind is None else f"the container {kind}"
    raise MediaLimitError(
        f"{what} is not among those allowed: expected one of {', '.join(limits.containers)}",
        source=file.source_name,
        limit="containers",
        allowed=limits.containers,
        found=kind,
    ) from exc


def _why_not_opened(file: MediaFile, exc: Exception) -> str:
    if file.size == 0:
        return "the source is empty (0 bytes)"
    if file.target()[0] is not file:
        if file.source_name.endswith(".mpd") and not has_demuxer("dash"):
            return "this build of FFmpeg cannot read DASH manifests, and neither can those in PyAV's wheels"
        return f"FFmpeg cannot open this address: {reason_of(exc)}"
    start = b"" if file.is_sequential else file.read_at(0, 512)
    if (other := refused_kind(start)) is not None:
        demuxer, name = other
        return (
            f"{name} is not among the formats that are opened by default; "
            f"open_video(…, allow_containers=({demuxer!r},)) allows it"
        )
    if (instead := what_instead(start)) is not None:
        return f"the source is {instead}"
    if isinstance(exc, av.ArgumentError):
        return (
            "the file has a format that is not opened by default: "
            "open_video(…, allow_containers=(name,)) allows a format by the name of FFmpeg's demuxer"
        )
    if isinstance(exc, av.InvalidDataError):
        return "no demuxer recognises these bytes, or their header is cut off or damaged"
    return f"FFmpeg refuses these bytes: {reason_of(exc)}"


def is_cover_art(stream: Stream) -> bool:
    """Whether a stream is cover art, not video."""
    return bool(stream.disposition & Disposition.attached_pic)


def select_stream(container: InputContainer, stream_index: int | None, source: str) -> VideoStream:
    """Return the video stream to decode.

    Without `stream_index`, that is the first stream marked as default, or the first
    stream if none is marked. Cover art does not count.

    Raises
    ------
    NoVideoStreamError
        There is no video stream, or `stream_index` is not that of one.
    UnsupportedMediaError
        FFmpeg has no decoder for the stream.
    """
    streams = [stream for stream in container.streams.video if not is_cover_art(stream)]
    streams = [stream for stream in streams if not _is_still_item(stream)] or streams
    if stream_index is not None:
        chosen = [stream for stream in streams if stream.index == stream_index]
    else:
        chosen = [stream for stream in streams if stream.disposition & Disposition.default] or streams
    if not chosen:
        kinds = ", ".join(f"{stream.index}: {_kind(stream)}" for stream in container.streams)
        wanted = "a video stream" if stream_index is None else f"video stream {stream_index}"
        message = f"{wanted} is not there; the container holds {kinds or 'no stream at all'}"
        raise NoVideoStreamError(message, source=source)
    stream = chosen[0]
    if stream.codec_context is None:
        message = f"FFmpeg has no decoder for stream {stream.index} of this {container.format.name} container"
        raise UnsupportedMediaError(message, source=source)
    return stream


def _is_still_item(stream: VideoStream) -> bool:
    """Whether a stream is a single picture of HEIF or AVIF, which may accompany a track.

    FFmpeg gives only pictures a time base of one second and no duration.
    """
    return (
        stream.container.format.name.startswith("mov") and stream.time_base == 1 and stream.duration is None
    )


def needs_seeking(container: InputContainer) -> bool:
    """Return whether FFmpeg seeks in files of this kind even if they are intact.

    HEIF and AVIF list the position of each picture. In AVI, MXF and RealMedia, the index comes last, and the
    times and keyframes of a file are those of its index.
    """
    return container.format.name in _INDEXED_LAST or any(
        _is_still_item(stream) for stream in container.streams.video
    )


def _kind(stream: Stream) -> str:
    return "cover art" if is_cover_art(stream) else stream.type


def prepare_decoder(
    stream: VideoStream, options: ContainerOptions, source: str, size: int | None
) -> CodecThreads:
    """Set up the codec before its first packet, and have the demuxer skip the other streams.

    Returns
    -------
    CodecThreads
        The threads that decode. A short stream gets one: more save nothing, and with H.264 they may lose the
        mark of a damaged picture.

    Raises
    ------
    MediaLimitError
        The codec, the size of the pictures or the rate is beyond a limit.
    """
    codec = stream.codec_context
    refuse_beyond(stream, options.limits, options.max_pixels, source)
    name = codec_name(codec)
    threads = threads_for(name, 1 if _is_short(stream, size) else options.threads)
    codec.thread_count = threads.count
    codec.thread_type = threads.kind
    codec.options = {"max_pixels": str(largest_for_codec(stream, options.max_pixels)), **threads.options}
    if options.strict and is_strict(name):
        codec.options |= {"err_detect": "explode"}
    ignore_others(stream)
    found = frozenset[int]()
    if threads.count > 1:
        found = open_with_modest_threads(codec, idle=options.idle_priority, counted=options.clock is not None)
    if options.clock is not None:
        options.clock.watch(found)
    return threads


def ignore_others(stream: VideoStream) -> None:
    """Have the demuxer skip the other streams, so that damage to one of them does not end this one."""
    for other in stream.container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def _is_short(stream: VideoStream, size: int | None) -> bool:
    """Whether a stream has so few pixels or bytes that it decodes within some tens of milliseconds."""
    if size is not None and size <= SHORT_BYTES:
        return True
    pixels = stream.frames * stream.codec_context.width * stream.codec_context.height
    return 0 < pixels <= SHORT_PIXELS


def cut_short(stream: VideoStream, size: int | None, *, stop: int) -> str | None:
    """Return how much shorter the source is than its header says, or ``None`` if it is not.

    Parameters
    ----------
    stop
        Where packets stop that FFmpeg's index has shorter than the header.
    """
    entries = stream.index_entries
    if size is None or not len(entries):
        return None
    missing = max(stop, *(entry.pos + entry.size for entry in entries[-_LAST_ENTRIES:])) - size
    return f"the source ends {missing} bytes before the end that its header lists" if missing > 0 else None


def first_missing_dts(stream: VideoStream, size: int | None) -> int | None:
    """Return the first dts that the header lists beyond the end of the source, ``None`` if there is none."""
    beyond = (entry.timestamp for entry in stream.index_entries if entry.pos + entry.size > (size or 0))
    return None if size is None else min(beyond, default=None)


def time_base_of(stream: VideoStream) -> Fraction:
    """Return the duration of a tick of a stream, in seconds."""
    return fraction_of(stream.time_base) or Fraction(1)


def average_rate(stream: VideoStream) -> Fraction | None:
    """Return the frames per second from the header, or FFmpeg's guess; ``None`` if there is neither."""
    return fraction_of(stream.average_rate, stream.guessed_rate)
