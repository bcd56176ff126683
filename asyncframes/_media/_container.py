"""Opening untrusted bytes with FFmpeg, and choosing the stream to decode."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from asyncframes._media._boundary import reason_of
from asyncframes._media._files import BUFFER_BYTES
from asyncframes._media._fragments import Beginning, beginning_of
from asyncframes._media._priority import open_with_modest_threads
from asyncframes._media._pyav import fraction_of, open_input
from asyncframes.errors import AsyncFramesError, NoVideoStreamError, UnsupportedMediaError

if TYPE_CHECKING:
    from asyncframes._media._files import MediaFile

# Demuxers that read one self-contained file. Playlists and scripts (hls, dash, concat, sdp, image2, lavfi, …)
# are absent: they make FFmpeg open further addresses.
_SAFE_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,live_flv,ogg,asf,"
    "h264,hevc,vvc,h263,m4v,mjpeg,vc1,obu,av1,ivf,gif,apng,mxf,nut,rm,wtv,dv,y4m,yuv4mpegpipe"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOptions:
    """How to open a container.

    Attributes
    ----------
    stream_index
        Stream of the container to decode, ``None`` for the one that `select_stream` finds.
    threads
        Threads of the decoder.
    max_pixels
        Refuse pictures of more pixels than this.
    idle_priority
        Whether threads of the decoder run only while nothing else wants the CPU.
    """

    stream_index: int | None
    threads: int
    max_pixels: int
    idle_priority: bool = False


def open_container(file: MediaFile, *, options: dict[str, str] | None = None) -> InputContainer:
    """Open a container such that FFmpeg reads these bytes and nothing else.

    Raises
    ------
    UnsupportedMediaError
        No allowed demuxer knows the bytes.
    CorruptMediaError
        A demuxer knows them and finds its header broken.
    """
    target, how = file.target()
    demuxers = ",".join(filter(None, [how.pop("more_demuxers", ""), _SAFE_DEMUXERS]))
    allowed = {"format_whitelist": demuxers, "protocol_whitelist": "none", **(options or {})}
    allowed |= how.pop("options", {})
    beginning = Beginning()
    if file.lacks_headers:
        file.plan([(0, BUFFER_BYTES)])
        beginning = beginning_of(file)
    file.opened_blind = beginning.is_fragmented
    if file.opened_blind:
        # FFmpeg would go over every fragment of the file before the first frame.
        allowed["fflags"] = "ignidx"
    if beginning.header is None:
        file.plan_forward()
    else:
        file.plan([beginning.header])
    try:
        container = open_input(target, options=allowed, buffer_size=BUFFER_BYTES, **how)
    except AsyncFramesError:
        raise
    except Exception as exc:
        file.raise_error()
        if (error := file.translated(exc)) is not None:
            raise error from None
        raise UnsupportedMediaError(_why_not_opened(file, exc), source=file.source_name) from exc
    if beginning.header is not None:
        file.plan_forward()
    try:
        file.raise_error()
    except BaseException:
        container.close()
        raise
    return container


def _why_not_opened(file: MediaFile, exc: Exception) -> str:
    if file.size == 0:
        return "the source is empty (0 bytes)"
    if file.target()[0] is not file:
        if file.source_name.endswith(".mpd") and not has_demuxer("dash"):
            return "this build of FFmpeg cannot read DASH manifests, as those in PyAV's wheels cannot"
        return f"FFmpeg cannot make anything of it: {reason_of(exc)}"
    file.seek(0)
    head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "the source is a web page or XML, not video: check the address and what it needs to let you in"
    if head.startswith((b"#extm3u", b"ffconcat", b"v=0", b"<mpd")):
        return "the source is a playlist or script that points elsewhere; only the video itself is opened"
    if isinstance(exc, av.InvalidDataError):
        return "no demuxer recognises these bytes, or their header is cut off or broken"
    return f"FFmpeg refuses these bytes: {reason_of(exc)}"


def has_demuxer(name: str) -> bool:
    """Tell whether this build of FFmpeg reads containers of a kind."""
    try:
        return av.format.ContainerFormat(name, "r").is_input
    except ValueError:
        return False


def is_cover_art(stream: Stream) -> bool:
    """Whether a stream is a picture that goes with the file, not its video."""
    return bool(stream.disposition & Disposition.attached_pic)


def select_stream(container: InputContainer, stream_index: int | None, source: str) -> VideoStream:
    """Return the video stream to decode.

    Without an index that is the first one that the container marks as its
    default, or the first where it marks none; cover art does not count.

    Raises
    ------
    NoVideoStreamError
        There is none, or `stream_index` names none.
    UnsupportedMediaError
        FFmpeg has no decoder for it.
    """
    streams = [stream for stream in container.streams.video if not is_cover_art(stream)]
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
        message = f"no decoder for stream {stream.index} of this {container.format.name} container"
        raise UnsupportedMediaError(message, source=source)
    return stream


def _kind(stream: Stream) -> str:
    return "cover art" if is_cover_art(stream) else stream.type


def prepare_decoder(stream: VideoStream, options: ContainerOptions, source: str) -> None:
    """Set the codec up before its first packet, and have the demuxer leave other streams unread.

    Raises
    ------
    UnsupportedMediaError
        The pictures are larger than `ContainerOptions.max_pixels`.
    """
    codec = stream.codec_context
    if codec.width * codec.height > options.max_pixels:
        raise UnsupportedMediaError(
            f"pictures of {codec.width}x{codec.height} exceed max_pixels={options.max_pixels}; "
            "raise it to decode them",
            source=source,
        )
    codec.thread_count = options.threads
    codec.thread_type = "AUTO"
    codec.options = {"max_pixels": str(options.max_pixels)}
    for other in stream.container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    if options.threads > 1:
        open_with_modest_threads(codec, idle=options.idle_priority)


def time_base_of(stream: VideoStream) -> Fraction:
    """Return the seconds per tick of a stream."""
    return fraction_of(stream.time_base) or Fraction(1)


def average_rate(stream: VideoStream) -> Fraction | None:
    """Return the frames per second that the container claims or FFmpeg guesses, if any."""
    return fraction_of(stream.average_rate, stream.guessed_rate)
