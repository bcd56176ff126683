"""Messages between a video's process and the process that decodes it, as bytes.

A message is a fixed header, a head and a body. What the decoding process sends has heads of JSON and
bodies of plain values, because it may be under the control of a hostile file: never pickle from there.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_HEADER = struct.Struct("<BxxxIII")

MOST_HEAD_BYTES = 4 * 1024**2
"""Longest head: the facts of a video, or a selection of a million frames."""


class MalformedError(ValueError):
    """A message that is not one, or that is not expected now."""


class Kind(IntEnum):
    """What a message says."""

    # From the decoding process:
    READY = 1
    """It is locked; the head is its `IsolationReport`."""
    RESULT = 2
    """A call has returned."""
    FAILED = 3
    """A call has raised."""
    FRAMES = 4
    """Frames of a request are in the shared memory."""
    ALIVE = 5
    """It makes progress."""
    CANCELLING = 6
    """It has received a cancellation."""
    READ = 7
    """It needs bytes of the source."""
    ALLOW = 8
    """A request for frames begins, which reads a share of the source."""
    CANCELLED = 9
    """A call was ended."""
    TELL = 10
    """A line for the log, or a count of packets."""
    # From the process of the video:
    OPEN = 32
    """Open a video; the body is a pickled `Opening`, and a descriptor of the shared memory comes along."""
    CALL = 33
    """Call a method; the body is pickled."""
    TAKEN = 34
    """The consumer took frames, and these parts of the shared memory are free again."""
    CANCEL = 35
    """End a call."""
    BYTES = 36
    """Some or all bytes of a `READ`."""
    UNREADABLE = 37
    """A `READ` failed; the head is the error, and its number."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message.

    Attributes
    ----------
    kind
        A `Kind`; from a hostile process any number up to 255.
    number
        Of the call or the read that it belongs to, 0 for none.
    head
        JSON, or nothing.
    body
        What the kind says.
    """

    kind: int
    number: int
    head: bytes
    body: bytes

    def facts(self) -> dict[str, Any]:
        """Return the head as an object.

        Raises
        ------
        MalformedError
            It is none.
        """
        try:
            found = json.loads(self.head) if self.head else {}
        except (ValueError, RecursionError) as exc:
            raise MalformedError("a head is not JSON") from exc
        if not isinstance(found, dict):
            raise MalformedError("a head is not an object")
        return found


def packed(kind: Kind, number: int, facts: dict[str, Any] | None = None, body: bytes = b"") -> bytes:
    """Return a message as bytes."""
    head = json.dumps(facts).encode() if facts else b""
    return _HEADER.pack(kind, number, len(head), len(body)) + head + body


class Messages:
    """Cuts a stream of bytes into messages.

    Parameters
    ----------
    most_bytes
        Longest body.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._data = bytearray()

    @property
    def is_between_two(self) -> bool:
        """Whether no part of a message waits for its rest."""
        return not self._data

    def feed(self, data: bytes) -> Iterator[Message]:
        """Add bytes that have arrived, and yield the messages that they complete.

        Raises
        ------
        MalformedError
            A message is too long.
        """
        self._data += data
        start = 0
        while len(self._data) - start >= _HEADER.size:
            kind, number, head, body = _HEADER.unpack_from(self._data, start)
            if head > MOST_HEAD_BYTES or body > self._most_bytes:
                raise MalformedError(f"a message of {head + body:,} bytes is too long")
            begin = start + _HEADER.size
            if len(self._data) - begin < head + body:
                break
            start = begin + head + body
            with memoryview(self._data) as view:
                message = Message(
                    kind, number, bytes(view[begin : begin + head]), bytes(view[begin + head : start])
                )
            yield message
        del self._data[:start]
