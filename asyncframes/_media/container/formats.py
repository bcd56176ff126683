"""Containers: those that are opened, those that a caller may allow, and names for others."""

from __future__ import annotations

from collections.abc import Iterable

import av

from asyncframes._model.quoting import quoted_option
from asyncframes.errors import PolicyLimitError

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
    (b"\0\0\0\x0cjP  ", "j2k_pipe", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "j2k_pipe", "a JPEG 2000 picture"),
    (b"THP\0", "thp", "GameCube video"),
    (b"BIK", "bink", "Bink video"),
)

# What takes the place of a video, by its first bytes in lower case, behind white space.
_INSTEAD: tuple[tuple[tuple[bytes, ...], str], ...] = (
    (
        (b"<!doctype", b"<html", b"<?xml"),
        "a web page or XML, not video: check the address and the credentials",
    ),
    ((b"{",), "JSON, not video: check the address and the credentials"),
    (
        (b"#extm3u", b"ffconcat", b"v=0", b"<mpd"),
        "a playlist or script that refers to other files: expected the video itself; "
        "HLS is opened through FFmpegUrlSource(url)",
    ),
    ((b"version https://git-lfs",), "a pointer of Git LFS: git lfs pull fetches the file itself"),
    ((b"pk\3\4",), "a ZIP archive: expected the video in it"),
    ((b"\x1f\x8b",), "compressed by gzip: expected the video in it"),
    ((b"id3",), "MP3 audio, without a video"),
    ((b"flac",), "FLAC audio, without a video"),
    ((b"%pdf",), "a PDF document, not video"),
)

# First bytes of the containers that are opened by default, for errors.
_KINDS = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"FLV", "flv"),
    (b"OggS", "ogg"),
    (b"GIF8", "gif"),
    (b"DKIF", "ivf"),
    (b".RMF", "rm"),
    (b"YUV4MPEG2", "yuv4mpegpipe"),
    (b"nut/multimedia", "nut"),
    (b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (b"\x06\x0e+4", "mxf"),
    (b"\0\0\1\xba", "mpeg"),
    (b"\0\0\1\xb3", "mpegvideo"),
    (b"\xff\xd8\xff", "mjpeg"),
    (b"G", "mpegts"),
)


def has_demuxer(name: str) -> bool:
    """Return whether this build of FFmpeg has a demuxer of this name."""
    try:
        return av.format.ContainerFormat(name, "r").is_input
    except ValueError:
        return False


def containers_allowed(names: Iterable[str], field: str = "allow_containers") -> tuple[str, ...]:
    """Check the demuxers that a caller allows.

    Parameters
    ----------
    names
        Their names.
    field
        What the caller names them with, for errors.

    Raises
    ------
    TypeError
        `names` is one name instead of several.
    ValueError
        This FFmpeg has no demuxer of a name, or the demuxer opens further addresses.
    """
    if isinstance(names, str):
        given = quoted_option(names)
        raise TypeError(f"{field}={given}: expected a tuple of names, such as ({given},)")
    allowed = tuple(names)
    for name in allowed:
        if name in _NEVER:
            message = f"{field}: {name} is never allowed: it makes FFmpeg open further files or addresses"
            raise ValueError(message)
        if "," in name or not has_demuxer(name):
            raise ValueError(f"{field}: this FFmpeg has no demuxer {quoted_option(name)}")
    return allowed


def demuxers_of(names: Iterable[str] | None, more: Iterable[str]) -> tuple[str, ...] | None:
    """Check the only demuxers that a policy allows, and those that an option would add.

    Returns
    -------
    tuple of str or None
        All names of these demuxers; ``None`` if the policy allows those that are opened by default.

    Raises
    ------
    ValueError
        A name is unknown, or its demuxer opens further addresses.
    PolicyLimitError
        The option adds a demuxer that the policy does not allow.
    """
    if names is None:
        return None
    given = containers_allowed(sorted(names), "containers")
    allowed = sorted({other for name in given for other in _names_of(name)})
    for name in more:
        if name not in allowed:
            raise PolicyLimitError(
                f"allow_containers: {name} is not among the containers of the policy: expected one of "
                f"{', '.join(given)}",
                limit="containers",
                allowed=given,
                found=name,
            )
    return tuple(allowed)


def _names_of(name: str) -> list[str]:
    """Return all names of a demuxer: FFmpeg has one for MP4, MOV and 3GP."""
    groups = [group.split(",") for group in av.formats_available if "," in group]
    return next((group for group in groups if name in group), [name])


def kind_of(head: bytes) -> str | None:
    """Return the name of a container, recognised by its first bytes; ``None`` if it is not known."""
    if head[4:8] in {b"ftyp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"styp"}:
        return "mp4"
    if head[:4] == b"RIFF":
        return "avi" if head[8:12] == b"AVI " else "webp_pipe" if head[8:12] == b"WEBP" else None
    if (other := refused_kind(head)) is not None and not head.startswith(b"\xff\xd8"):
        return other[0]
    return next((name for begin, name in _KINDS if head.startswith(begin)), None)


def refused_kind(head: bytes) -> tuple[str, str] | None:
    """Return demuxer and name of a known container that is not opened, recognised by its first bytes."""
    return next(((demuxer, name) for begin, demuxer, name in _OTHERS if head.startswith(begin)), None)


def what_instead(head: bytes) -> str | None:
    """Say what a file is that is no video and often takes the place of one; ``None`` if that is not known."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "WAV audio, without a video"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((what for begins, what in _INSTEAD if text.startswith(begins)), None)


def is_animated_webp(head: bytes) -> bool:
    """Whether a file is an animated WebP, which FFmpeg's demuxer for pictures does not play."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20:21]) and bool(head[20] & 2)
