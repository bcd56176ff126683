"""A process that decodes a clip, locks itself, decodes others and tries what it may not; see `run_locked`."""

from __future__ import annotations

import array
import asyncio
import concurrent.futures.thread  # noqa: F401 - asyncio imports it late
import ctypes
import errno
import hashlib
import importlib
import io
import json
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import av.filter

import asyncframes as af
from asyncframes._media.pyav import import_late_modules

if sys.platform != "win32":
    import fcntl
    import resource

Settings = dict[str, Any]
"""What a child is told, as JSON; `settings` of test_lock.py has all of it."""

_CHILD = "import sys; sys.path[:] = {path!r}; from tests.support import locked; locked.main(sys.argv[1])"


def digests(clip: bytes) -> dict[str, str]:
    """Decode a clip with one and four threads, in 8 and 16 bits, and deinterlaced."""
    return {
        **{f"{threads} threads": _digest(clip, threads, "rgb24") for threads in (1, 4)},
        "16 bits": _digest(clip, 1, "rgb48le"),
        "deinterlaced": _digest(clip, 1, "rgb24", filtered=True),
    }


def _digest(clip: bytes, threads: int, pixel_format: str, *, filtered: bool = False) -> str:
    digest = hashlib.sha256()
    with av.open(io.BytesIO(clip), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        graph = _deinterlacer(stream) if filtered else None
        for frame in container.decode(stream):
            shown = _pulled(graph, frame) if graph else frame
            # PyAV keeps the threads of a conversion for the next.
            scaled = shown.reformat(frame.width // 2, frame.height // 2, pixel_format, threads=threads)
            digest.update(scaled.to_ndarray().tobytes())
    return digest.hexdigest()


def _deinterlacer(stream: av.VideoStream) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(template=stream), graph.add("bwdif", "deint=all"), graph.add("buffersink")
    )
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph, frame: av.VideoFrame) -> av.VideoFrame:
    graph.vpush(frame)
    try:
        return graph.vpull()
    except (BlockingIOError, EOFError):
        return frame


def run_locked(settings: Settings, *, keep: tuple[int, ...] = ()) -> dict[str, Any]:
    """Run a child, and return what it says under each name."""
    path = [str(Path(__file__).parents[2]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _CHILD.format(path=path), json.dumps(settings)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=keep,
        timeout=100,
        check=False,
    )
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    return said | {"exit": done.returncode, "stderr": done.stderr.decode()}


def main(text: str) -> None:
    """Do what the settings say, one line of JSON for each thing."""
    settings: Settings = json.loads(text)
    sys.modules.update(dict.fromkeys(settings["absent"]))
    from asyncframes._isolation.lock import LockLimits, lock
    from asyncframes._isolation.privileges import die_with_parent

    _say("parent", die_with_parent(settings["parent"]))
    clips = {name: Path(path).read_bytes() for name, path in settings["clips"].items()}
    import_late_modules()
    bunny = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()
    _digest(bunny, 1, "rgb24")
    forgotten = os.open("/", os.O_RDONLY)
    locked = threading.Event()
    for _ in range(settings["threads"]):
        threading.Thread(target=_wait_and_try, args=(locked,)).start()
    if settings["locked"]:
        limits = LockLimits(address_space_bytes=2 << 30, cpu_seconds=60)
        begin = time.perf_counter()
        report = lock({1, 2, *settings["keep"]}, limits)
        _say("milliseconds", (time.perf_counter() - begin) * 1000)
        _say("report", report.as_dict())
    locked.set()
    _say("forgotten descriptor", _outcome(lambda: fcntl.fcntl(forgotten, fcntl.F_GETFD)))
    for name, clip in clips.items():
        _say(name, digests(clip))
    for name, attempt in (_useful(settings, bunny) | _hostile(settings)).items():
        if name in settings["attempts"]:
            _say(name, _outcome(attempt))


def _wait_and_try(locked: threading.Event) -> None:
    locked.wait()
    _say("thread from before", _outcome(Path("/etc/passwd").read_bytes))


def _say(name: str, value: object) -> None:
    os.write(1, json.dumps([name, value]).encode() + b"\n")


def _outcome(attempt: Callable[[], object]) -> str:
    """Name the error, or ``"done"``; what a process that was forked returns ends it."""
    own = os.getpid()
    try:
        attempt()
    except OSError as exc:
        return errno.errorcode.get(exc.errno or 0, repr(exc))
    except BaseException as exc:  # noqa: BLE001 - whatever it is, the test wants to know
        return type(exc).__name__
    finally:
        if os.getpid() != own:
            os._exit(0)
    return "done"


def _useful(settings: Settings, clip: bytes) -> dict[str, Callable[[], object]]:
    """What decoding and its protocol need."""
    return {
        "thread": _in_threads,
        "event loop": lambda: asyncio.run(_in_loop()),
        "clock of a thread": lambda: time.clock_gettime((~threading.get_native_id() << 3) | 6),
        "signal to itself": lambda: os.kill(os.getpid(), 0),
        "idle priority": lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
        "nice": lambda: os.setpriority(os.PRIO_PROCESS, 0, 10),
        "random": lambda: os.getrandom(16),
        "cpus": lambda: os.sched_getaffinity(0),
        "limits": lambda: resource.getrlimit(resource.RLIMIT_AS),
        "usage": lambda: resource.getrusage(resource.RUSAGE_SELF),
        "socket": lambda: _ping(settings["keep"][0]),
        "shared memory": lambda: _fill(settings["keep"][1]),
        "idle codec threads": lambda: _show(clip),
        "late import": _import_late,
        "late import of PyAV": lambda: importlib.import_module("av.subtitles.codeccontext"),
    }


def _in_threads() -> None:
    with_names = [threading.Thread(target=time.sleep, args=(0.01,), name=f"t{n}") for n in range(8)]
    for thread in with_names:
        thread.start()
    for thread in with_names:
        thread.join()


async def _in_loop() -> None:
    assert await asyncio.to_thread(threading.get_native_id) != threading.get_native_id()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.01))


def _ping(descriptor: int) -> None:
    """Answer a message, and take over the descriptor that came along."""
    with socket.socket(fileno=descriptor) as connection:
        data, passed, _, _ = connection.recvmsg(16, socket.CMSG_SPACE(4))
        connection.sendmsg([data])
        os.close(array.array("i", passed[0][2])[0])
        connection.setblocking(False)
        try:
            connection.recv(1)
        except BlockingIOError:
            return


def _fill(descriptor: int) -> None:
    with mmap.mmap(descriptor, 4096) as shared:
        shared[:5] = b"child"


def _show(clip: bytes) -> None:
    with af.sync.open_video(clip, threads=3, idle_priority=True) as video:
        assert video.frame(30).index == 30


def _import_late() -> None:
    try:
        import wave  # noqa: F401 - a module that nothing has imported
    except ImportError:
        return


def _hostile(settings: Settings) -> dict[str, Callable[[], object]]:
    """What decoding does not need, the last of which ends a process that is not locked."""
    parent: int = settings["parent"]
    calls: dict[str, int] = settings["calls"]
    return {
        "read a file": lambda: Path("/etc/passwd").read_bytes(),
        "write a file": lambda: Path(settings["folder"], "written").write_bytes(b"hello"),
        "remove a file": lambda: Path(settings["folder"], "precious").unlink(),
        "list a folder": lambda: list(Path("/").iterdir()),
        "look at a file": lambda: Path("/etc/passwd").stat(),
        "connect": lambda: _connect(settings["port"]),
        "listen": _listen,
        "datagrams": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "fork": _fork,
        "posix_spawn": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
        "environment of the parent": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "memory of the parent": lambda: _read_memory(settings, calls["process_vm_readv"]),
        "signal to the parent": lambda: os.kill(parent, 0),
        "signal to a thread of the parent": lambda: _call(calls["tgkill"], parent, parent, 0),
        "signal to the group": lambda: os.kill(0, 0),
        "signals by a descriptor": _own_signals(parent),
        # its own: without the lock, the attempt succeeds and changes nothing
        "priority of the parent": lambda: os.sched_setscheduler(parent, os.SCHED_OTHER, os.sched_param(0)),
        "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "limits of the parent": lambda: resource.prlimit(parent, resource.RLIMIT_CORE),
        "higher limit": lambda: _set_limit(calls["prlimit64"]),
        "memory": lambda: bytearray(8 << 30),
        "shorten shared memory": lambda: os.ftruncate(settings["keep"][1], 0),
        "memory that runs": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "have memory run": _make_executable,
        "memfd_create": lambda: os.close(os.memfd_create("memory")),
        "process by clone": lambda: _call(calls["clone"], signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": lambda: _call(calls["clone3"], 0, 0),
        "namespace": lambda: _call(calls["unshare"], 0x10000000),
        "dumpable": lambda: _prctl(4, 1),
        "numbers of x32": lambda: _call(calls["getpid"] | 0x40000000),
        **{name: partial(_call, calls[name], 0, 0, 0, 0, 0, 0) for name in settings["plain"]},
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
    }


def _connect(port: int) -> None:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", port))


def _listen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


def _set_limit(number: int) -> None:
    """Set the limit that holds already: Python has another error for a refusal."""
    limits = (ctypes.c_uint64 * 2)(*(value % 2**64 for value in resource.getrlimit(resource.RLIMIT_CPU)))
    _call(number, 0, resource.RLIMIT_CPU, ctypes.byref(limits), 0)


def _fork() -> None:
    if child := os.fork():
        os.waitpid(child, 0)


def _own_signals(parent: int) -> Callable[[], object]:
    def attempt() -> None:
        left, right = socket.socketpair()
        with left, right:
            fcntl.fcntl(left, fcntl.F_SETOWN, parent)

    return attempt


def _make_executable() -> None:
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _checked(_libc().mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), 1 | 4))


class _Bytes(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _read_memory(settings: Settings, number: int) -> None:
    buffer = ctypes.create_string_buffer(8)
    here, there = _Bytes(ctypes.addressof(buffer), 8), _Bytes(settings["address"], 8)
    _call(number, settings["parent"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    assert buffer.raw == b"in here\0"


def _prctl(option: int, value: int) -> None:
    _checked(_libc().prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))))


def _call(number: int, *arguments: Any) -> None:
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    _checked(_libc().syscall(ctypes.c_long(number), *wide))


def _checked(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


IS_X86_64 = platform.machine() == "x86_64"
