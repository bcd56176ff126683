"""What a video may cost, and what its source may reach."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from asyncframes._model.quoting import quoted_option
from asyncframes._policy.hosts import PUBLIC, Hosts

NEEDED: Literal["needed"] = "needed"

Isolation: TypeAlias = Literal["none", "process"]
"""Where a video is decoded: in threads of this process, or in a process of its own."""

MEASURES = frozenset({"landlock", "no_new_privileges", "process", "rlimits", "seccomp"})
"""What can confine a process that decodes; see `IsolationReport.measures`."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+")
_NAMES = ("schemes", "hosts", "codecs", "containers", "require_isolation")
_COUNTS = (
    "max_source_bytes",
    "max_pixels",
    "max_frames",
    "max_output_frames",
    "max_output_bytes",
    "max_workers",
)
_SECONDS = ("max_duration_seconds", "max_fps", "deadline_seconds", "cpu_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a video may cost, and what its source may reach.

    `Policy.trusted` is used if nothing else is said. `Policy.untrusted` is for files and addresses
    of other people. To change a field, use `dataclasses.replace`:
    ``replace(Policy.untrusted(), schemes={"file"})``. A policy is checked when it is made, except
    that `open_video` checks the names of schemes, codecs and containers. Whatever a limit stops
    raises `PolicyError`, before it costs anything if that can be known before.

    An option of `open_video` beside a policy can only make it stricter: the lower limit counts.
    Without a policy, options replace the defaults. Bytes and open files that you pass, and sources
    of your own, are yours: fields about addresses do not apply to them.

    Attributes
    ----------
    schemes
        Schemes of URLs that may be opened. ``"file"`` includes paths and file descriptors. A chain
        of fsspec needs all of its schemes. ``None``, the default, allows every one: a program
        opens its own files. Untrusted: ``https``, ``http`` and ``data``, which reach nothing that
        is yours.
    hosts
        Hosts that http and https may connect to. Each entry is ``"public"``, for every public
        address; a name with wildcards, such as ``"*.example.com"`` for all names below it, which
        must have a public address; or an IP address or network, such as ``"10.1.0.0/16"``, for
        every name that leads there. ``":8443"`` at the end allows this port alone. Every redirect
        is checked, and so is the address really connected to, so a name cannot lead elsewhere
        later. No proxy is used, since it would connect instead. FFmpeg's and fsspec's own
        connections cannot be checked, so other addresses of `FFmpegUrlSource`, and http through
        fsspec, are refused; what else you allow by its scheme, such as ``"s3"``, is not checked.
        ``None``, the default, allows every host: a program knows its servers. Untrusted: public
        addresses, so that no address leads into your network.
    max_redirects
        Most redirects of an HTTP request. 10 by default, about as many as browsers and libraries
        follow. Untrusted: 5, because each costs a connection to an address of the sender's choice.
    max_source_bytes
        Longest source. A source of unknown length is stopped when it exceeds this. Parts of
        `FFmpegUrlSource` have no common length, and are not counted. ``None``, the default, for
        any length: films are long. Untrusted: 4 GiB, about an hour of 1080p as phones record it.
    max_read_bytes
        Most bytes to fetch over the lifetime of the video; reads of local files are not counted.
        ``None``, the default, is 64 times the length of the source, at least 1 GiB, and 64 GiB if
        the length is unknown: enough for many requests. ``"needed"``, untrusted, is what an honest
        video needs: 64 MiB, and 3 times the length for opening the video and listing its frames,
        and twice the length for each request, or more if it asks for frames out of order.
    min_bytes_per_second
        Lowest rate of an HTTP server, or of a sender (an upload), over 20 seconds spent waiting
        for it. ``None``, the default, leaves that to the source: `HttpSource` retries below 1,024
        over 30 seconds, and a sender may pause. Untrusted: 1,024, without a retry, so that no slow
        drip holds a request.
    max_pixels
        Most pixels of a picture, because decoding takes up to 8 bytes for each. 64 Mi by default,
        about twice as many as 8K has. Untrusted: 36 Mi, enough for 8K.
    max_frames
        Most frames in a frame table, and in what a header may claim. Each takes about 100 bytes.
        1,048,576 by default, over nine hours at 30 frames per second. Untrusted: 2 million, for a
        day at 23 frames per second; a table of that length takes 200 MB.
    max_output_frames, max_output_bytes
        Most frames that one request may deliver, and most bytes of their images. What is known of
        a request is checked before anything is decoded, by the header if there is no frame table
        yet. ``None``, the defaults, for any number: you know what you ask for. Untrusted: 10,000
        and 4 GiB, so that a long or large video cannot multiply what a request costs.
    max_duration_seconds, max_fps
        Longest duration, and highest average rate in frames per second, by the header and by the
        frame table. ``None``, the defaults, for any. Untrusted: 24 hours and 1,000, above what
        cameras record.
    deadline_seconds
        Most seconds of wall-clock time for opening the video, for each look-up of its frame table,
        and for each request for frames, including the consumer's own time. A call into FFmpeg that
        runs at that moment continues in its thread: nothing can stop a thread. ``None``, the
        default, for no limit: a program may wait. Untrusted: 60.
    cpu_seconds
        Most seconds of CPU time for the same. Counted are the threads that demux, decode and
        convert, after each step, and on Linux the codec's own threads too. A request that has used
        them up gets no further step, but a step that is running is not interrupted. Elsewhere,
        pass ``threads=1``, so that the codec has no thread of its own. Not counted are encoders of
        image files, and the conversion of pictures that were kept for stepping. ``None``, the
        default, for no limit. Untrusted: 60.
    codecs
        Codecs of the video, as FFmpeg or `VideoInfo.codec` spell them, such as ``"h264"``. FFmpeg
        then opens no decoder of another codec, not even of sound or cover art, to find out more
        about a file. ``None``, the default, for all that FFmpeg decodes. Untrusted: what browsers
        and phones produce, ``av1``, ``h263``, ``h264``, ``hevc``, ``mpeg4``, ``prores``, ``vp8`` and
        ``vp9``, because rare decoders are where flaws are found.
    containers
        Containers, by the names of FFmpeg's demuxers, such as ``"mp4"``. One demuxer has several
        names: ``mp4`` includes ``mov`` and ``3gp``, and ``webm`` includes ``matroska``. ``None``,
        the default, for all that the library opens. Untrusted: ``mp4`` and ``webm``, for the same
        reason as with codecs.
    isolation
        ``"process"``: a process of its own demuxes, decodes and converts the video. It has no access to
        files and the network, as far as the system can deny it (see `Video.isolation`), and it
        can be killed. ``"none"``, the default: threads of this process do, which costs less for
        your own files. Untrusted: ``"process"``, because FFmpeg has flaws that hostile files use.
        `FFmpegUrlSource` reads the network itself, and is refused.
    require_isolation
        What must confine that process, of ``"rlimits"``, ``"no_new_privileges"``, ``"landlock"`` and
        ``"seccomp"``: if the system lacks one, opening raises `IsolationError`. None by default and
        untrusted, because systems differ; on Linux, servers can require all of them.
    max_workers
        Most of these processes at once, for all videos of this program. A video that would
        need another one waits. ``None``, the default and untrusted, for the number of CPUs.
    """

    schemes: Collection[str] | None = None
    hosts: Collection[str] | None = None
    max_redirects: int = 10
    max_source_bytes: int | None = None
    max_read_bytes: int | Literal["needed"] | None = None
    min_bytes_per_second: float | None = None
    max_pixels: int = 64 * 1024**2
    max_frames: int = 1024**2
    max_output_frames: int | None = None
    max_output_bytes: int | None = None
    max_duration_seconds: float | None = None
    max_fps: float | None = None
    deadline_seconds: float | None = None
    cpu_seconds: float | None = None
    codecs: Collection[str] | None = None
    containers: Collection[str] | None = None
    isolation: Isolation = "none"
    require_isolation: Collection[str] = frozenset()
    max_workers: int | None = None

    def __post_init__(self) -> None:
        for name in _NAMES:
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        _check_schemes(self.schemes)
        Hosts(self.hosts or ())
        _check_number("max_redirects", self.max_redirects, least=0)
        for name in _COUNTS:
            _check_number(name, getattr(self, name), least=1)
        if self.max_read_bytes != NEEDED:
            _check_number("max_read_bytes", self.max_read_bytes, least=1, other=", or 'needed'")
        _check_number("min_bytes_per_second", self.min_bytes_per_second, least=0)
        for name in _SECONDS:
            _check_positive(name, getattr(self, name))
        _check_isolation(self.isolation, self.require_isolation)

    @classmethod
    def trusted(cls) -> Policy:
        """Return the policy that is used if nothing else is said: for your own files and addresses."""
        return cls()

    @classmethod
    def untrusted(cls) -> Policy:
        """Return the policy for files and addresses of other people."""
        return cls(
            schemes={"data", "http", "https"},
            hosts={PUBLIC},
            max_redirects=5,
            max_source_bytes=4 * 1024**3,
            max_read_bytes=NEEDED,
            min_bytes_per_second=1024,
            max_pixels=36 * 1024**2,
            max_frames=2_000_000,
            max_output_frames=10_000,
            max_output_bytes=4 * 1024**3,
            max_duration_seconds=24 * 3600.0,
            max_fps=1000,
            deadline_seconds=60,
            cpu_seconds=60,
            codecs={"av1", "h263", "h264", "hevc", "mpeg4", "prores", "vp8", "vp9"},
            containers={"mp4", "webm"},
            isolation="process",
        )


def limits_of(policy: Policy | None, **options: Any) -> Policy:
    """Return what counts for one video: its policy, and the options beside it.

    Parameters
    ----------
    policy
        The caller's policy. ``None`` for the default one, in which options replace the limits.
    **options
        Options with the names of fields, ``None`` if they are not given. With a policy, the lower
        limit counts.

    Raises
    ------
    TypeError
        `policy` is no policy.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if policy is None:
        return Policy(**given)
    if not isinstance(policy, Policy):
        raise TypeError(f"policy={quoted_option(policy)}: expected a Policy, such as Policy.untrusted()")
    lower: dict[str, Any] = {name: _lower(getattr(policy, name), value) for name, value in given.items()}
    return replace(policy, **lower)


def _lower(limit: float | Literal["needed"] | None, value: float) -> float:
    return value if limit is None or limit == NEEDED else min(limit, value)


def _names(field: str, names: Collection[str] | None) -> frozenset[str] | None:
    """Return names as a set.

    Raises
    ------
    TypeError
        They are one name, or not names at all.
    """
    if names is None:
        return None
    if isinstance(names, str):
        given = quoted_option(names)
        raise TypeError(f"{field}={given}: expected several names, such as {{{given}}}, or None")
    found = tuple(names)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{field}: {quoted_option(name)} is not a name: expected a str")
    return frozenset(name.lower() for name in found)


def _check_schemes(schemes: Collection[str] | None) -> None:
    for scheme in schemes or ():
        if not _SCHEME.fullmatch(scheme):
            raise ValueError(
                f"schemes: {quoted_option(scheme)} is invalid: expected the scheme of a URL, such as 'https'"
            )


def check_isolation(isolation: object) -> None:
    """Refuse an unknown kind of isolation.

    Raises
    ------
    ValueError
        It is unknown.
    """
    if isolation not in get_args(Isolation):
        raise ValueError(
            f"isolation={quoted_option(isolation)}: expected one of {', '.join(get_args(Isolation))}"
        )


def _check_isolation(isolation: Isolation, required: Collection[str]) -> None:
    check_isolation(isolation)
    for name in sorted(set(required) - MEASURES):
        raise ValueError(
            f"require_isolation: {quoted_option(name)} is unknown: "
            f"expected one of {', '.join(sorted(MEASURES))}"
        )
    if required and isolation == "none":
        raise ValueError("require_isolation without isolation='process': nothing would be isolated")


def _check_number(name: str, value: float | None, *, least: float, other: str = "") -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}={quoted_option(value)}: expected a number{other}")
    if not value >= least:
        raise ValueError(f"{name}={quoted_option(value)}: expected {least} or more{other}")


def _check_positive(name: str, value: float | None) -> None:
    _check_number(name, value, least=-math.inf)
    if value is not None and not value > 0:
        raise ValueError(f"{name}={quoted_option(value)}: expected more than 0, or None")
