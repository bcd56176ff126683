"""Live and segmented addresses, which FFmpeg opens itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from asyncframes._model.quoting import quoted, shortened
from asyncframes._policy.policy import Policy
from asyncframes.abc import StreamSource
from asyncframes.errors import SourceAddressError, SourceError
from asyncframes.sources._admission import admit
from asyncframes.sources._forward.sequential import SequentialSource
from asyncframes.sources._http.source import HttpSource
from asyncframes.sources._names import public_url, scheme_of

# The protocols that a URL of each scheme needs. Others are opened only if the user names them.
_PROTOCOLS = {
    "http": ("http", "https"),
    "https": ("https",),
    "rtsp": ("rtsp", "rtp", "udp", "tcp"),
    "rtsps": ("rtsps", "rtsp", "rtp", "udp", "tcp", "tls"),
    "rtmp": ("rtmp", "tcp"),
    "rtmps": ("rtmps", "tls", "tcp"),
    "srt": ("srt",),
    "udp": ("udp",),
    "rtp": ("rtp", "udp"),
}

FFMPEG_SCHEMES = frozenset(_PROTOCOLS)
"""Schemes whose protocols are known."""


class FFmpegUrlSource(SequentialSource):
    """A stream that FFmpeg opens itself: HLS over HTTP, RTSP, RTMP or SRT.

    Such an address makes FFmpeg open further addresses. It is therefore opened only
    through this class, never because a URL looks like one. It has no byte ranges. It can
    be read once, from its beginning, by one request for a range (`start`, `end` and
    `step`, none negative); other requests raise `SourceError`.

    `HttpSource` fetches playlists and segments over HTTP, with its retries. If it cannot
    fetch one, the request raises its error; FFmpeg alone would omit the segment. FFmpeg
    does omit entries that it refuses to open, such as ``concat:``. Encrypted segments are
    refused. Other protocols use FFmpeg's own code: it does not reconnect, and closing the
    video during a read can take up to `read_timeout_seconds`. DASH needs an FFmpeg that
    was built with libxml2; the one in PyAV's wheels was not.

    Parameters
    ----------
    url
        The address.
    protocols
        The only protocols to use, also for the entries of playlists. By default those
        that the scheme of `url` needs.
    format
        Name of FFmpeg's demuxer, such as ``"hls"`` for a playlist whose address does
        not end in ``.m3u8``.
    options
        More options for FFmpeg, such as ``{"rtsp_transport": "tcp"}``.
    open_timeout_seconds, read_timeout_seconds
        Longest wait for the connection and the first bytes, and for a packet.
    http
        Makes the source for each HTTP address, such as
        ``functools.partial(HttpSource, allow_private=False)``.

    Raises
    ------
    SourceAddressError
        `url` is malformed, or `protocols` is missing and the protocols of its scheme are
        not known.
    """

    def __init__(
        self,
        url: str,
        *,
        protocols: Sequence[str] | None = None,
        format: str | None = None,  # noqa: A002 - FFmpeg's word
        options: Mapping[str, str] | None = None,
        open_timeout_seconds: float = 15.0,
        read_timeout_seconds: float = 30.0,
        http: Callable[[str], StreamSource] = HttpSource,
    ) -> None:
        scheme = scheme_of(url)
        if protocols is None and scheme not in _PROTOCOLS:
            what = f"for {shortened(scheme, longest=40)}" if scheme else "without a scheme"
            raise SourceAddressError(
                f"the protocols of an address {what} are unknown: pass protocols=[…]", source=public_url(url)
            )
        self.url = url
        self.protocols: tuple[str, ...] = tuple(_PROTOCOLS[scheme] if protocols is None else protocols)
        self.format = format
        self.options: dict[str, str] = dict(options or {})
        self.open_timeout_seconds = open_timeout_seconds
        self.read_timeout_seconds = read_timeout_seconds
        self.http: Callable[[str], StreamSource] = http
        self.over_http: bool = scheme in {"http", "https"}
        self._name = public_url(url)

    def __repr__(self) -> str:
        return f"FFmpegUrlSource({quoted(self.name)})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def _schemes(self) -> tuple[str, ...]:
        return (scheme_of(self.url),)

    @property
    def _checks_hosts(self) -> bool:
        return self.over_http

    def _limit(self, policy: Policy) -> None:
        self.http = partial(_limited, self.http, policy)

    @property
    def stores(self) -> bool:
        return False

    def store(self, why: str) -> None:
        raise SourceError(
            f"{why}, but this stream can be read only once: record it to a file and open the file",
            source=self.name,
        )


def _limited(http: Callable[[str], StreamSource], policy: Policy, url: str) -> StreamSource:
    """Make the source of a part within a policy."""
    source = http(url)
    admit(source, policy)
    source._limit(policy)
    return source
