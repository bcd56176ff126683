"""Containers: those that are opened, those that a caller may allow, and names for others."""

from __future__ import annotations

from collections.abc import Iterable

import av

from asyncframes._model.quoting import quoted_option

SAFE_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,live_flv,ogg,asf,webp_pipe,"
    "h264,hevc,vvc,h263,m4v,mjpeg,mpjpeg,vc1,obu,av1,ivf,gif,apng,mxf,nut,rm,wtv,dv,y4m,yuv4mpegpipe"
)
"""Demuxers that read one self-contained file of video, or a WebP picture."""

# Playlists, scripts and devices make FFmpeg open further addresses.
_NEVER = {
    *("applehttp", "hls", "dash", "webm_dash_manifest", "imf", "rtp", "rtsp", "sap", "sdp", "lavfi"),
    *("concat", "concatf", "image2", "image2_alias_pix", "image2_brender_pix", "vapoursynth", "avisynth"),
}

# First bytes of files for which FFmpeg uses other demuxers, with those demuxers and names for people.
_OTHERS = (
    (b"\xff\xd8\xff", "jpeg_pipe", "a JPEG picture"),
    (b"\x89PNG", "png_pipe", "a PNG picture"),
    (b"FWS", "swf", "Flash"),
    (b"CWS", "swf", "Flash"),
    (b"BM", "bmp_pipe", "a BMP picture"),
    (b"II*\0", "tiff_pipe", "a TIFF picture"),
    (b"MM\0*", "tiff_pipe", "a TIFF picture"),
    (b"8BPS", "psd_pipe", "a Photoshop picture"),
    (b"\0\0\0\x0cJXL ", "jpegxl_pipe", "a JPEG XL picture"),
    (b"\xff\x0a", "jpegxl_pipe", "a JPEG XL picture"),
    (b"THP\0", "thp", "GameCube video"),
    (b"BIK", "bink", "Bink video"),
)


def has_demuxer(name: str) -> bool:
    """Return whether this build of FFmpeg has a demuxer of this name."""
    try:
        return av.format.ContainerFormat(name, "r").is_input
    except ValueError:
        return False


def containers_allowed(names: Iterable[str]) -> tuple[str, ...]:
    """Check the demuxers that a caller allows.

    Raises
    ------
    TypeError
        `names` is one name instead of several.
    ValueError
        This FFmpeg has no demuxer of a name, or the demuxer opens further addresses.
    """
    if isinstance(names, str):
        given = quoted_option(names)
        raise TypeError(f"allow_containers={given}: expected a tuple of names, such as ({given},)")
    allowed = tuple(names)
    for name in allowed:
        if name in _NEVER:
            message = (
                f"allow_containers: {name} is never allowed: it makes FFmpeg open further files or addresses"
            )
            raise ValueError(message)
        if "," in name or not has_demuxer(name):
            raise ValueError(f"allow_containers: this FFmpeg has no demuxer {quoted_option(name)}")
    return allowed


def refused_kind(head: bytes) -> tuple[str, str] | None:
    """Return demuxer and name of a known container that is not opened, recognised by its first bytes."""
    return next(((demuxer, name) for begin, demuxer, name in _OTHERS if head.startswith(begin)), None)


def is_animated_webp(head: bytes) -> bool:
    """Whether a file is an animated WebP, which FFmpeg's demuxer for pictures does not play."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20:21]) and bool(head[20] & 2)
