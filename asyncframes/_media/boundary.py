"""The boundary to PyAV, which turns all of its exceptions into one error.

Hostile bytes make PyAV raise more than FFmpeg's own errors:
`ValueError` for values that are new to it, `IndexError` for streams that appear late,
`OverflowError` and `MemoryError` for sizes, `AttributeError` where a decoder is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes.errors import AsyncFramesError

_LONGEST_REASON = 200

# A demuxer may ask to be called again this many times in a row.
_MOST_REPEATS = 1000


class PyAVError(Exception):
    """A call into PyAV failed; its text says why."""


def reason_of(exc: Exception) -> str:
    """Say in a few words why a call into PyAV failed."""
    told = exc.strerror if isinstance(exc, av.FFmpegError) else f"{type(exc).__name__}: {exc}"
    return (told or type(exc).__name__)[:_LONGEST_REASON]


@contextmanager
def pyav_calls() -> Iterator[None]:
    """Turn any exception of PyAV into a `PyAVError`. Errors of this package, which a read may raise, pass.

    Only calls into PyAV belong inside.
    """
    try:
        yield
    except AsyncFramesError:
        raise
    except Exception as exc:
        raise PyAVError(reason_of(exc)) from exc


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of a stream that hold something, from where the container stands.

    Raises
    ------
    PyAVError
        The container breaks off.
    AsyncFramesError
        A read failed.
    """
    packets = iter(container.demux(stream))
    repeats = 0
    while True:
        try:
            packet = next(packets, None)
        except AsyncFramesError:
            raise
        except av.BlockingIOError as exc:
            # Some demuxers say so after skipping something, and continue when called again.
            repeats += 1
            if repeats > _MOST_REPEATS:
                raise PyAVError(reason_of(exc)) from exc
            packets = iter(container.demux(stream))
            continue
        except IndexError:
            # Behind the last packet PyAV looks up every stream, also those that appeared while it read,
            # which its list does not hold.
            return
        except Exception as exc:
            raise PyAVError(reason_of(exc)) from exc
        if packet is None:
            return
        repeats = 0
        if packet.size:
            yield packet
