"""Limits on the stream that is decoded: its codec, its size and its rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache

import av
from av.codec.codec import UnknownCodecError
from av.video.stream import VideoStream

from asyncframes._media.container.formats import demuxers_of
from asyncframes._media.mp4.claims import ContainerLimits
from asyncframes._media.pyav import codec_name, fraction_of
from asyncframes._model.quoting import quoted_option
from asyncframes._model.timing import as_float
from asyncframes._policy.policy import Policy
from asyncframes.errors import MediaLimitError

# FFmpeg counts the pixels of rows that it made longer, to a multiple of at most this, in 32 bits.
_ROW_PIXELS = 128
_MOST_ROWS = 1 << 16
_MOST_PIXELS = 2**31 - 1


def container_limits(
    policy: Policy, allow_containers: tuple[str, ...], *, probes_within: bool
) -> ContainerLimits:
    """Return the limits of a policy on what a container may hold.

    Parameters
    ----------
    policy
        The policy.
    allow_containers
        Demuxers that an option allows in addition to the default ones.
    probes_within
        Whether FFmpeg decodes no larger picture even to describe a file.

    Raises
    ------
    ValueError
        This FFmpeg does not have a container or a codec of the policy.
    PolicyLimitError
        The policy does not allow a container that the option does.
    """
    return ContainerLimits(
        max_table_frames=policy.max_frames,
        allow_containers=allow_containers,
        demuxers=demuxers_of(policy.containers, allow_containers),
        decoders=decoders_of(policy.codecs),
        containers=tuple(sorted(policy.containers or ())),
        codecs=tuple(sorted(policy.codecs or ())),
        max_fps=policy.max_fps,
        probed_pixels=_for_ffmpeg(policy.max_pixels + _ROW_PIXELS * _MOST_ROWS) if probes_within else None,
    )


def _for_ffmpeg(pixels: int) -> int:
    return min(pixels, _MOST_PIXELS)


def decoders_of(codecs: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names of all decoders of some codecs; ``None`` for all codecs.

    Parameters
    ----------
    codecs
        Names of codecs of video, or of decoders.

    Raises
    ------
    ValueError
        This FFmpeg has no decoder of a name.
    """
    if codecs is None:
        return None
    known, found = video_decoders(), set[str]()
    for name in sorted(codecs):
        if name not in known:
            raise ValueError(f"codecs: this FFmpeg has no decoder of video {quoted_option(name)}")
        found |= known[name]
    return tuple(sorted(found))


@cache
def video_decoders() -> dict[str, set[str]]:
    """Return the decoders of video by the name of their codec, and each by its own name."""
    known = defaultdict[str, set[str]](set)
    for name in av.codecs_available:
        try:
            codec = av.Codec(name, "r")
        except UnknownCodecError:
            continue
        if codec.type == "video":
            known[codec.canonical_name].add(codec.name)
    for decoder in {decoder for decoders in known.values() for decoder in decoders}:
        known[decoder].add(decoder)
    return dict(known)


def refuse_beyond(stream: VideoStream, limits: ContainerLimits, max_pixels: int, source: str) -> None:
    """Refuse a stream before it is decoded.

    Raises
    ------
    MediaLimitError
        Its codec is not allowed, its pictures are too large, or its rate is too high.
    """
    codec = stream.codec_context
    decoder = codec_name(codec)
    if limits.decoders is not None and decoder not in limits.decoders:
        name = next((name for name, decoders in video_decoders().items() if decoder in decoders), decoder)
        raise MediaLimitError(
            f"the codec {name} is not among those allowed: expected one of {', '.join(limits.codecs)}",
            source=source,
            limit="codecs",
            allowed=limits.codecs,
            found=name,
        )
    if not codec.width * codec.height and limits.probed_pixels is not None and _declares_size(stream):
        raise MediaLimitError(
            f"the size of the pictures is unknown, or exceeds max_pixels={max_pixels}",
            source=source,
            limit="max_pixels",
            allowed=max_pixels,
        )
    _refuse_larger(stream, max_pixels, source)
    rate = fraction_of(stream.average_rate)
    if limits.max_fps is not None and rate is not None and rate > limits.max_fps:
        raise MediaLimitError(
            f"the header claims {as_float(rate):g} frames per second: "
            f"expected at most max_fps={limits.max_fps:g}",
            source=source,
            limit="max_fps",
            allowed=limits.max_fps,
            found=as_float(rate),
        )


def refuse_growth(stream: VideoStream, limits: ContainerLimits, max_pixels: int, source: str) -> None:
    """Refuse a stream of which FFmpeg refused a packet, if that is because its pictures became too large.

    Raises
    ------
    MediaLimitError
        It is, and a policy limits them. Without a policy, the packet counts as damaged.
    """
    if limits.probed_pixels is not None:
        _refuse_larger(stream, max_pixels, source)


def _refuse_larger(stream: VideoStream, max_pixels: int, source: str) -> None:
    codec = stream.codec_context
    pixels = codec.width * codec.height
    if pixels > max_pixels:
        raise MediaLimitError(
            f"pictures of {codec.width}x{codec.height} exceed max_pixels={max_pixels}; "
            "raise it to decode them",
            source=source,
            limit="max_pixels",
            allowed=max_pixels,
            found=pixels,
        )


def _declares_size(stream: VideoStream) -> bool:
    """Whether the header of this container has the size of pictures. FFmpeg drops it if it is too large."""
    return stream.container.format.name.startswith(("mov", "matroska"))


def largest_for_codec(stream: VideoStream, max_pixels: int) -> int:
    """Return the limit for FFmpeg, which must not refuse a picture of the size in the header."""
    codec = stream.codec_context
    padded = -(-codec.width // _ROW_PIXELS) * _ROW_PIXELS * codec.height
    return _for_ffmpeg(max(max_pixels, padded))
