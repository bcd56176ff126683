"""The boundary to PyAV, where all of its exceptions become one error.

Hostile bytes make PyAV raise more than FFmpeg's own errors: `ValueError` for values that it
does not know, `IndexError` for streams that appear late, `OverflowError` and `MemoryError` for
sizes, and `AttributeError` if a decoder is missing.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes.errors import AsyncFramesError

_LONGEST_REASON = 200

# A demuxer may ask to be called again this many times in a row.
_MOST_REPEATS = 1000


class PyAVError(Exception):
    """A call into PyAV failed. The text says why."""


def reason_of(exc: Exception) -> str:
    """Return in a few words why a call into PyAV failed."""
    told = exc.strerror if isinstance(exc, av.FFmpegError) else f"{type(exc).__name__}: {exc}"
    return (told or type(exc).__name__)[:_LONGEST_REASON]


class PyAVCalls:
    """Turns any exception of PyAV into a `PyAVError`. This package's errors, which a read may raise, pass.

    Only calls into PyAV belong inside. `contextlib.contextmanager` would not do: its frames and
    the exception refer to each other, which keeps packets and codecs until a garbage collection.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, AsyncFramesError):
            raise PyAVError(reason_of(error)) from error


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of a stream that are not empty, from the current position of the container.

    Raises
    ------
    PyAVError
        The container cannot be read further.
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
            # Some demuxers raise this after skipping something, and continue when called again.
            repeats += 1
            if repeats > _MOST_REPEATS:
                raise PyAVError(reason_of(exc)) from exc
            packets = iter(container.demux(stream))
            continue
        except IndexError:
            # After the last packet PyAV looks up every stream, but its list lacks those that appeared
            # while it read.
            return
        except Exception as exc:
            raise PyAVError(reason_of(exc)) from exc
        if packet is None:
            return
        repeats = 0
        if packet.size:
            yield packet
