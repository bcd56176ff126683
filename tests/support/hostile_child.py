"""Attacks that run inside the decoding process, once it is locked, as a hostile file would run them.

`PROGRAM` replaces the program of the process; the package does not ship it. The name of a source
chooses the attack; see `HostileSource`.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import hashlib
import itertools
import os
import signal
import socket
import struct
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asyncframes._isolation.child.frame_stream import FrameStream
from asyncframes._isolation.child.serving import Serving
from asyncframes._isolation.wire import frame_records
from asyncframes._isolation.wire.messages import Kind, packed
from asyncframes._isolation.worker import BARE_PACKAGES
from asyncframes._runtime.threads import in_own_thread, wait_until_done
from asyncframes.abc import StreamSource

# The tests are behind the installed package, which is what is attacked.
PROGRAM = f"""
import json, sys
path, descriptor, parent, memory = json.loads(sys.argv[1])
sys.path[:] = [*path, {str(Path(__file__).parents[2])!r}]
{BARE_PACKAGES}
from asyncframes._isolation.child.main import main
from tests.support import hostile_child
hostile_child.arm()
main(descriptor, parent, memory)
"""

Answer = tuple[dict[str, Any], bytes]


@dataclass(frozen=True)
class _Child:
    """A call to the process, and what it may lie with."""

    serving: Serving
    number: int
    argument: str
    credit: int

    def send(self, kind: Kind, number: int, facts: dict[str, Any], body: bytes = b"") -> None:
        self.serving._channel.send(kind, number, facts, body)

    @property
    def half(self) -> int:
        return self.serving._space._half

    @property
    def shape(self) -> tuple[int, ...]:
        info = self.serving._requests.info
        return info.height, info.width, 3


Attack = Callable[[_Child], Awaitable[Answer]]

_HEADER = struct.Struct("<BxxxIII")
_LIBC = ctypes.CDLL(None, use_errno=True)
_FOREVER = 10**6


class HostileSource(StreamSource):
    """Bytes whose name chooses the attack of the process that decodes them.

    Parameters
    ----------
    data
        A video.
    attack
        A name in `ATTACKS`.
    argument
        What the attack is told.
    spared
        How many calls of the attacked method are served before.
    """

    def __init__(self, data: bytes, attack: str, argument: object = "", *, spared: int = 0) -> None:
        self._data = data
        self._name = f"attack {attack} {spared} {argument}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int:
        return len(self._data)

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        return self._data[start:stop]


def arm() -> None:
    """Have the process attack instead of serving, as the names of sources say."""
    init = Serving.__init__

    def armed(self: Serving, channel: Any, opening: Any, space: Any) -> None:
        init(self, channel, opening, space)
        word, *rest = opening.name.split(" ", 3)
        if word != "attack":
            return
        name, spared, argument = rest
        for method, attacks in ATTACKS.items():
            if name in attacks:
                setattr(self, f"_{method}", _instead(self, method, attacks[name], argument, int(spared)))

    setattr(Serving, "__init__", armed)  # noqa: B010 - mypy knows that it is no attribute to assign to


def _instead(
    child: Serving, method: str, attack: Attack, argument: str, spared: int
) -> Callable[..., Awaitable[Answer]]:
    honest, calls = getattr(child, f"_{method}"), itertools.count()

    async def attacked(number: int, *arguments: Any) -> Answer:
        if next(calls) < spared:
            answer: Answer = await honest(number, *arguments)
            return answer
        credit = arguments[0].queue_maxsize if method == "frames" else 0
        return await attack(_Child(child, number, argument, credit))

    return attacked


# What the system refuses. Each ends with the name of the system's error, or with "succeeded".


def _refused(attempt: Callable[[str], object]) -> Attack:
    async def attack(child: _Child) -> Answer:
        try:
            attempt(child.argument)
        except OSError as exc:
            raise RuntimeError(f"refused: {errno.errorcode.get(exc.errno or 0, exc.errno)}") from exc
        raise RuntimeError("succeeded")

    return attack


def _connect(port: str) -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", int(port)))


def _fork(_argument: str) -> None:
    if os.fork() == 0:
        os._exit(0)


def _read(path: str) -> None:
    os.read(os.open(path, os.O_RDONLY), 1)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _read_memory(argument: str) -> None:
    pid, address, length = map(int, argument.split(","))
    buffer = ctypes.create_string_buffer(length)
    ours = _Vector(ctypes.addressof(buffer), length)
    theirs = _Vector(address, length)
    one = ctypes.c_ulong(1)
    read = _LIBC.process_vm_readv
    read.restype = ctypes.c_ssize_t
    if read(pid, ctypes.byref(ours), one, ctypes.byref(theirs), one, ctypes.c_ulong(0)) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")


REFUSED: dict[str, Attack] = {
    "read-file": _refused(_read),
    "list-folder": _refused(os.listdir),
    "write-file": _refused(lambda path: os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)),
    "connect": _refused(_connect),
    "exec": _refused(lambda path: os.execv(path, [path])),  # noqa: S606 - that it fails is the test
    "fork": _refused(_fork),
    "parents-memory": _refused(_read_memory),
    "kill-parent": _refused(lambda pid: os.kill(int(pid), signal.SIGKILL)),
    "more-limits": _refused(lambda _: _raise_limits()),
}


def _raise_limits() -> None:
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
    except ValueError as exc:  # Python's word for EPERM
        raise OSError(errno.EPERM, str(exc)) from exc


# What ends the process, or has it ended.


async def _allocate(child: _Child) -> Answer:
    filled = np.ones(int(child.argument), np.uint8)
    raise RuntimeError(f"succeeded: {filled.nbytes}")


async def _spin_with_gil(_child: _Child) -> Answer:
    # One call of C that never returns and holds the GIL.
    deque(itertools.repeat(0), maxlen=0)
    raise RuntimeError("ended")


def _spin() -> None:
    while True:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


async def _spin_without_gil(_child: _Child) -> Answer:
    # As a decoder's thread, which a cancelled request waits for.
    await wait_until_done(in_own_thread(_spin))
    raise RuntimeError("ended")


async def _spin_despite_signal(_child: _Child) -> Answer:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    return await _spin_with_gil(_child)


async def _hang(_child: _Child) -> Answer:
    # On the event loop, so that nothing is answered.
    time.sleep(_FOREVER)  # noqa: ASYNC251 - a hostile process blocks
    raise RuntimeError("ended")


async def _wait(_child: _Child) -> Answer:
    await asyncio.sleep(_FOREVER)
    raise RuntimeError("ended")


async def _ignore_cancellation(_child: _Child) -> Answer:
    while True:
        try:
            await asyncio.sleep(_FOREVER)
        except asyncio.CancelledError:
            continue


async def _segfault(_child: _Child) -> Answer:
    ctypes.string_at(0)
    raise RuntimeError("ended")


async def _abort(_child: _Child) -> Answer:
    os.abort()


async def _kill(_child: _Child) -> Answer:
    os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("ended")


async def _exit(child: _Child) -> Answer:
    os._exit(int(child.argument))


async def _close_socket(child: _Child) -> Answer:
    child.serving._channel._socket.shutdown(socket.SHUT_RDWR)
    return await _hang(child)


async def _variable(child: _Child) -> Answer:
    raise RuntimeError(repr(os.environ.get(child.argument, "")))


async def _send_descriptor(child: _Child) -> Answer:
    data = packed(Kind.RESULT, 999)
    socket.send_fds(child.serving._channel._socket, [data], [0, 1, 2])
    return await _wait(child)


def _error(error: BaseException) -> Attack:
    async def attack(_child: _Child) -> Answer:
        raise error

    return attack


# Lies about frames. A frame takes half of the memory at most, so offsets are taken from its size.


def _record(child: _Child, *, offset: int = 0, shape: tuple[int, ...] | None = None, **facts: int) -> bytes:
    shape = shape or child.shape
    flags = frame_records._HAS_PTS
    sides = [*shape, 0, 0, 0, 0][:4]
    values = {"index": 0, "pts": 0, "over": 1, "under": 25, "itemsize": 1, "ndim": len(shape)} | facts
    return frame_records._FRAME.pack(
        values["index"],
        values["pts"],
        values["over"],
        values["under"],
        0.04,
        offset,
        flags,
        values["itemsize"],
        values["ndim"],
        *sides,
    )


def _frames(*make: Callable[[_Child], bytes], dropped: Any = 0, call: int = 0) -> Attack:
    async def attack(child: _Child) -> Answer:
        body = b"".join(one(child) for one in make)
        child.send(Kind.FRAMES, child.number + call, {"dropped": dropped}, body)
        return await _wait(child)

    return attack


def _lie(**facts: Any) -> Callable[[_Child], bytes]:
    return lambda child: _record(child, **facts)


async def _endless(child: _Child) -> Answer:
    space, streams = child.serving._space, child.serving._streams
    stream = streams[child.number] = FrameStream(child.serving._channel, space, child.number, child.credit)
    image = np.zeros(child.shape, np.uint8)
    while True:
        while not stream.credit or (placed := space.put(image, is_kept=True)) is None:
            await stream._wait()
        stream.credit -= 1
        child.send(Kind.FRAMES, child.number, {"dropped": 0}, _record(child, offset=placed[1]))


async def _too_many(child: _Child) -> Answer:
    records = [_record(child, offset=at * 2**20) for at in range(4 * child.credit + 4)]
    child.send(Kind.FRAMES, child.number, {"dropped": 0}, b"".join(records))
    return await _wait(child)


# Messages that are none.


def _raw(*parts: bytes) -> Attack:
    async def attack(child: _Child) -> Answer:
        child.serving._channel._waiting += b"".join(parts)
        child.serving._channel._write()
        return await _wait(child)

    return attack


def _head(kind: int, head: bytes, number: int = 0) -> bytes:
    return _HEADER.pack(kind, number, len(head), 0) + head


def _answer_with(head: bytes, kind: Kind = Kind.RESULT) -> Attack:
    async def attack(child: _Child) -> Answer:
        return await _raw(_head(kind, head, child.number))(child)

    return attack


def _flood(message: Callable[[int], bytes], count: int = 10**9) -> Attack:
    async def attack(child: _Child) -> Answer:
        sock = child.serving._channel._socket
        sock.setblocking(True)
        for at in range(0, count, 100):
            sock.sendall(b"".join(message(one) for one in range(at + 1, at + 101)))
        return await _wait(child)

    return attack


def _read_message(number: int, **facts: Any) -> bytes:
    return packed(Kind.READ, number, facts)


def _line(number: int) -> bytes:
    return packed(Kind.TELL, 0, {"level": 30, "text": f"line {number}"})


def _many_reads(count: int, **facts: Any) -> Attack:
    return _raw(*(_read_message(number, **facts) for number in range(1000, 1000 + count)))


# Lies in answers.


def _info(change: Callable[[dict[str, Any]], Any]) -> Attack:
    async def attack(child: _Child) -> Answer:
        facts, body = await Serving._open(child.serving, child.number)
        return {**facts, "info": change(facts["info"])}, body

    return attack


def _false(**changes: Any) -> Attack:
    return _info(lambda info: {**info, **changes})


def _answer(facts: dict[str, Any], body: bytes = b"") -> Attack:
    async def attack(_child: _Child) -> Answer:
        return dict(facts), body

    return attack


def _known(known: Any) -> Attack:
    async def attack(child: _Child) -> Answer:
        facts = {"known": known, "has_table": False, "table": 1}
        child.send(Kind.RESULT, child.number, facts)
        return await _wait(child)

    return attack


async def _inflate(child: _Child) -> Answer:
    table = (await child.serving._requests.table()).to_bytes()
    bomb = zlib.compress(bytes(2**30), 9)
    return {"table": 1}, table[: len(table) // 2] + bomb


async def _cut_table(child: _Child) -> Answer:
    return {"table": 1}, (await child.serving._requests.table()).to_bytes()[:-5]


FRAMES: dict[str, Attack] = {
    **REFUSED,
    "allocate": _allocate,
    "spin-with-gil": _spin_with_gil,
    "spin-without-gil": _spin_without_gil,
    "spin-despite-signal": _spin_despite_signal,
    "hang": _hang,
    "wait": _wait,
    "ignore-cancellation": _ignore_cancellation,
    "segfault": _segfault,
    "abort": _abort,
    "kill": _kill,
    "exit": _exit,
    "close-socket": _close_socket,
    "variable": _variable,
    "send-descriptor": _send_descriptor,
    "unknown-error": _error(ZeroDivisionError("of the process")),
    "shape": _frames(_lie(shape=(1, 1, 4))),
    "sides": _frames(_lie(shape=(2**31, 2**31, 3))),
    "no-pixels": _frames(_lie(shape=(0, 1, 3))),
    "dimensions": _frames(_lie(ndim=200)),
    "dtype": _frames(_lie(itemsize=2)),
    "index": _frames(_lie(index=-1)),
    "time-base": _frames(_lie(under=0)),
    "offset": _frames(_lie(offset=2**40)),
    "offset-near-end": _frames(lambda child: _record(child, offset=2 * child.half - 4096)),
    "across-halves": _frames(lambda child: _record(child, offset=child.half - 4096)),
    "unaligned": _frames(_lie(offset=5)),
    "overlap": _frames(
        lambda child: _record(child, offset=child.half), lambda child: _record(child, offset=child.half)
    ),
    "partial-overlap": _frames(
        lambda child: _record(child, offset=child.half),
        lambda child: _record(child, offset=child.half + 4096),
    ),
    "endless": _endless,
    "too-many": _too_many,
    "other-call": _frames(_lie(), call=1000),
    "dropped": _frames(_lie(), dropped=-1),
    "cut-record": _frames(lambda child: _record(child)[:-1]),
    "garbage": _raw(bytes(range(255, 0, -1)) * 10),
    "long-head": _raw(_HEADER.pack(Kind.RESULT, 0, 2**31, 0)),
    "long-body": _raw(_HEADER.pack(Kind.RESULT, 0, 0, 2**32 - 1)),
    "unknown-kind": _raw(_HEADER.pack(200, 0, 0, 0)),
    "parents-kind": _raw(_HEADER.pack(Kind.OPEN, 0, 0, 0)),
    "ready-again": _raw(_HEADER.pack(Kind.READY, 0, 0, 0)),
    "half-message": _raw(_HEADER.pack(Kind.RESULT, 1, 10, 10) + b"{"),
    "deep-json": _answer_with(b"[" * 1_000_000),
    "deep-error": _answer_with(
        b'{"type":"MediaError","text":"","facts":{"source":' + b"[" * 900 + b"]" * 900 + b"}}", Kind.FAILED
    ),
    "long-number": _answer_with(b'{"known":' + b"9" * 100_000 + b"}"),
    "no-json": _answer_with(b"\xff\xfe{"),
    "list": _answer_with(b"[]"),
    "error-without-type": _answer_with(b"{}", Kind.FAILED),
    "error-with-object": _answer_with(
        b'{"type":"MediaError","text":"","facts":{"source":{"a":1}}}', Kind.FAILED
    ),
    "answer-to-no-call": _raw(_HEADER.pack(Kind.RESULT, 999, 0, 0)),
    "flood-of-lines": _flood(_line),
    "escape-line": _raw(
        packed(Kind.TELL, 0, {"level": 30, "text": "\x1b[2J\nforged \ud800"}), _HEADER.pack(200, 0, 0, 0)
    ),
    "flood-of-life": _flood(lambda _: packed(Kind.ALIVE, 0)),
    "packets": _raw(packed(Kind.TELL, 0, {"phase": "index", "total": 1, "packets": 2**31})),
    "phase": _raw(packed(Kind.TELL, 0, {"phase": "x", "total": 1, "packets": 1})),
    "many-reads": _many_reads(65, what="range", start=0, stop=10),
    "range-backwards": _many_reads(1, what="range", start=10, stop=5),
    "range-negative": _many_reads(1, what="range", start=-10, stop=5),
    "range-too-long": _many_reads(1, what="range", start=0, stop=2**40),
    "range-of-text": _many_reads(1, what="range", start="0", stop="5"),
    "unknown-read": _many_reads(1, what="file"),
    "read-body": _raw(packed(Kind.READ, 1000, {"what": "range", "start": 0, "stop": 1}, bytes(2**20))),
}

ATTACKS: dict[str, dict[str, Attack]] = {
    "frames": FRAMES,
    "open": {
        "info-width": _false(width=-1),
        "info-text": _false(codec=5),
        "info-missing": _info(lambda _info: {"width": 1}),
        "info-none": _info(lambda _info: None),
        "info-time-base": _false(time_base="1/0"),
        "info-size": _false(coded_width=10**9, coded_height=10**9, width=10**9, height=10**9),
        "info-nan": _false(duration_seconds_from_header=float("nan")),
        "open-crash": _segfault,
        "open-hang": _hang,
    },
    "table": {
        "table-garbage": _answer({"table": 1}, b"garbage"),
        "table-none": _answer({"table": 1}),
        "table-same": _answer({"table": 0}),
        "table-cut": _cut_table,
        "table-bomb": _inflate,
        "known-negative": _known(-1),
        "known-text": _known("x"),
    },
    "resolve": {
        "indices-negative": _answer({}, np.array([-5], "<i8").tobytes()),
        "indices-cut": _answer({}, b"\0" * 12),
        "indices-above": _answer({}, np.array([2**40], "<i8").tobytes()),
    },
    "close": {"close-hang": _hang, "close-crash": _segfault},
}
"""Attacks, by the method of `Serving` that they replace."""

__all__ = ["ATTACKS", "FRAMES", "PROGRAM", "REFUSED", "HostileSource", "arm"]
