"""Live and segmented addresses, which FFmpeg takes apart itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from asyncframes._model.quoting import quoted, shortened
from asyncframes.abc import StreamSource
from asyncframes.errors import SourceAddressError, SourceError
from asyncframes.sources._forward.source import SequentialSource
from asyncframes.sources._http.source import HttpSource
from asyncframes.sources._names import public_url

# What a URL of each scheme needs; nothing else is opened unless it is named.
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


class FFmpegUrlSource(SequentialSource):
    """A stream that is no file: HLS over HTTP, RTSP, RTMP, SRT.

    Such an address makes FFmpeg open further ones, so it is opened by this
    class alone, never because a URL looks like one. It is read forward, once,
    in one request of a range (`start`, `end` and `step`, none negative).

    Playlists and segments over HTTP are fetched by `HttpSource`, with its
    retries; where one cannot be had the frames end in its error, while FFmpeg
    would leave it out. Entries that FFmpeg refuses unopened, as ``concat:``,
    are left out all the same, and encrypted segments are refused. Other
    protocols are FFmpeg's own: they do not reconnect, and stopping in the
    middle of a read waits for `read_timeout_seconds` at most. DASH needs an FFmpeg
    that was built with libxml2; the one in PyAV's wheels was not.

    Parameters
    ----------
    url
        What to open.
    protocols
        The only ones that may be used, by the playlists' entries too; by
        default what the scheme of `url` needs.
    format
        Name of FFmpeg's demuxer, as ``"hls"`` for a playlist whose address does
        not end in ``.m3u8``.
    options
        More options for FFmpeg, as ``{"rtsp_transport": "tcp"}``.
    open_timeout_seconds, read_timeout_seconds
        Longest wait for the connection and the first bytes, and for a packet.
    http
        Makes the source of each HTTP address, as
        ``functools.partial(HttpSource, allow_private=False)``.

    Raises
    ------
    SourceAddressError
        The address cannot be read, or no protocols are known for its scheme.
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
            what = shortened(scheme, longest=40) or "an address without a scheme"
            raise SourceAddressError(f"name the protocols that {what} needs", source=public_url(url))
        self.url = url
        self.protocols: tuple[str, ...] = tuple(_PROTOCOLS[scheme] if protocols is None else protocols)
        self.format = format
        self.options: dict[str, str] = dict(options or {})
        self.open_timeout_seconds = open_timeout_seconds
        self.read_timeout_seconds = read_timeout_seconds
        self.http = http
        self.over_http: bool = scheme in {"http", "https"}
        self._name = public_url(url)

    def __repr__(self) -> str:
        return f"FFmpegUrlSource({quoted(self.name)})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def stores(self) -> bool:
        return False

    def store(self, why: str) -> None:
        raise SourceError(
            f"{why}, but this stream can be read only once: record it to a file and open the file",
            source=self.name,
        )


def scheme_of(url: str) -> str:
    """Find the scheme of an address, ``""`` where it has none.

    Raises
    ------
    SourceAddressError
        It cannot be read.
    """
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        raise SourceAddressError("the address cannot be read", source=public_url(url)) from None
