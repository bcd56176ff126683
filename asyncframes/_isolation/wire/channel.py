"""A socket between two processes, on an event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from asyncframes._isolation.wire.messages import Kind, MalformedError, Message, Messages, packed

# One turn of the loop reads at most this much, so that a flood of messages does not keep the loop.
_READ_BYTES = 256 * 1024

# A sender that may wait does so while more than this waits to be sent.
_WAITING_BYTES = 4 * 1024**2

# What an honest process sends beside frames is far less.
_MOST_AT_ONCE, _MOST_PER_SECOND = 10_000, 5_000


class Channel:
    """Sends and receives messages on a socket while it is attached to an event loop.

    Parameters
    ----------
    sock
        The socket.
    receive
        Called with each message. A `MalformedError` that it raises closes the channel.
    closed
        Called once when the other side is gone, with the error or ``None``.
    most_bytes
        Longest body of a message to receive.
    takes_descriptors
        Whether descriptors may come along with messages; see `descriptors`.
    is_limited
        Whether the other side may be hostile: a flood of messages closes the channel, as does a
        message that cannot be read.

    Attributes
    ----------
    descriptors
        Descriptors that came along and were not taken yet.
    """

    def __init__(
        self,
        sock: socket.socket,
        receive: Callable[[Message], None],
        closed: Callable[[Exception | None], None],
        *,
        most_bytes: int,
        takes_descriptors: bool = False,
        is_limited: bool = False,
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._closed = closed
        self._messages = Messages(most_bytes)
        self._waiting = bytearray()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_open = True
        self._is_writing = False
        self._takes_descriptors = takes_descriptors
        self.descriptors: list[int] = []
        self._is_limited = is_limited
        self._received_messages = 0
        self._since = self._loop.time()
        self._loop.add_reader(sock, self._read)

    def send(
        self, kind: Kind, number: int = 0, facts: dict[str, Any] | None = None, body: bytes = b""
    ) -> None:
        """Send a message; after the channel is closed, do nothing. Call it on the event loop."""
        if self._is_open:
            self._waiting += packed(kind, number, facts, body)
            self._write()

    def send_with_descriptor(self, kind: Kind, number: int, body: bytes, descriptor: int) -> None:
        """Send a message that a descriptor comes along with. Nothing else may be waiting to be sent."""
        if not self._is_open:
            return
        data = packed(kind, number, None, body)
        try:
            sent = socket.send_fds(self._socket, [data], [descriptor])
        except OSError as exc:
            self._end(exc)
            return
        self._waiting += data[sent:]
        self._write()

    async def has_room(self) -> None:
        """Wait until the other side has read most of what was sent."""
        await self._has_room.wait()

    @property
    def is_being_read(self) -> bool:
        """Whether the other side has read most of what was sent."""
        return self._has_room.is_set()

    def refuse(self, error: MalformedError) -> None:
        """Close the channel because of what the other side has sent."""
        self._end(error)

    def _write(self) -> None:
        was_waiting = not self._has_room.is_set() or len(self._waiting) > _WAITING_BYTES
        try:
            while self._waiting:
                # Released also if the traceback of an error refers to it: the buffer is cleared then.
                with memoryview(self._waiting)[:_READ_BYTES] as view:
                    sent = self._socket.send(view)
                del self._waiting[:sent]
        except BlockingIOError:
            pass
        except OSError as exc:
            self._end(exc)
            return
        self._watch_writing(bool(self._waiting))
        if len(self._waiting) > _WAITING_BYTES:
            self._has_room.clear()
        elif was_waiting:
            self._has_room.set()

    def _watch_writing(self, is_needed: bool) -> None:
        if is_needed and not self._is_writing:
            self._loop.add_writer(self._socket, self._write)
        elif self._is_writing and not is_needed:
            self._loop.remove_writer(self._socket)
        self._is_writing = is_needed

    def _read(self) -> None:
        try:
            data = self._received()
        except BlockingIOError:
            return
        except OSError as exc:
            self._end(exc)
            return
        if not data:
            self._end(None)
            return
        try:
            for message in self._messages.feed(data):
                self._count(message)
                self._receive(message)
                if not self._is_open:
                    return
        except MalformedError as exc:
            self._end(exc)
        except Exception as exc:
            if not self._is_limited:
                raise
            # A value that no reader of values expected. Otherwise, nobody would learn of the message.
            malformed = MalformedError(f"a message raises {type(exc).__name__}")
            malformed.__cause__ = exc
            self._end(malformed)

    def _count(self, message: Message) -> None:
        # Frames are limited by what was asked for.
        if not self._is_limited or message.kind == Kind.FRAMES:
            return
        self._received_messages += 1
        if self._received_messages > _MOST_AT_ONCE:
            now = self._loop.time()
            allowed = int((now - self._since) * _MOST_PER_SECOND)
            self._since = now
            self._received_messages = max(0, self._received_messages - allowed)
            if self._received_messages > _MOST_AT_ONCE:
                raise MalformedError("a flood of messages")

    def _received(self) -> bytes:
        if not self._takes_descriptors:
            return self._socket.recv(_READ_BYTES)
        data, descriptors, _flags, _address = socket.recv_fds(self._socket, _READ_BYTES, 4)
        self.descriptors += descriptors
        return data

    def _end(self, error: Exception | None) -> None:
        if self._is_open:
            closed = self._closed
            self.detach()
            closed(error)

    @property
    def is_clean(self) -> bool:
        """Whether the channel is open, and between two messages in both directions."""
        return self._is_open and not self._waiting and self._messages.is_between_two

    def detach(self) -> None:
        """Leave the event loop. The socket stays open."""
        if not self._is_open:
            return
        self._is_open = False
        # They refer to the owner of this channel.
        self._receive = self._closed = _nothing
        self._waiting.clear()
        self._has_room.set()
        with suppress(OSError, ValueError, RuntimeError):
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        while self.descriptors:
            os.close(self.descriptors.pop())


def _nothing(_: object) -> None:
    """Do nothing."""
