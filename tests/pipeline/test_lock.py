"""A locked process decodes as any other, and reaches nothing."""

from __future__ import annotations

import array
import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncframes._isolation.report import MEASURES, IsolationReport
from tests.support.locked import IS_X86_64, digests, run_locked
from tests.support.streams.clips import clip_bytes

if sys.platform != "win32":
    import resource

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can lock a process")
seccompy = pytest.importorskip("seccompy", reason="the extra isolation is not installed")

CLIPS = {
    "H.264": {},
    "MPEG-4": {"codec": "mpeg4"},
    "VP9": {"codec": "libvpx-vp9", "container": "webm"},
    "AV1": {"codec": "libsvtav1"},
    "FFV1": {"codec": "ffv1", "container": "matroska"},
    "JPEG": {"codec": "mjpeg", "pixel_format": "yuvj420p", "container": "matroska"},
}

USEFUL = (
    "thread",
    "event loop",
    "clock of a thread",
    "signal to itself",
    "idle priority",
    "nice",
    "random",
    "cpus",
    "limits",
    "usage",
    "socket",
    "shared memory",
    "idle codec threads",
    "late import",
    "late import of PyAV",
)

# What an unlocked process may do here as well, whatever its user.
PROVABLE = (
    "read a file",
    "write a file",
    "remove a file",
    "list a folder",
    "look at a file",
    "connect",
    "listen",
    "datagrams",
    "fork",
    "posix_spawn",
    "subprocess",
    "environment of the parent",
    "signal to the parent",
    "signal to a thread of the parent",
    "signal to the group",
    "signals by a descriptor",
    "priority of the parent",
    "limits of the parent",
    "higher limit",
    "shorten shared memory",
    "memory that runs",
    "have memory run",
    "memfd_create",
    "dumpable",
)
PLAIN = (
    "acct",
    "add_key",
    "bpf",
    "execveat",
    "fanotify_init",
    "init_module",
    "inotify_init1",
    "io_setup",
    "io_uring_setup",
    "kcmp",
    "kexec_load",
    "keyctl",
    "memfd_secret",
    "mount",
    "msgget",
    "name_to_handle_at",
    "open_by_handle_at",
    "openat2",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pidfd_open",
    "pivot_root",
    "process_vm_writev",
    "ptrace",
    "request_key",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "seccomp",
    "sendmmsg",
    "setns",
    "setsockopt",
    "setuid",
    "shmget",
    "statx",
    "swapon",
    "syslog",
    "timer_create",
    "tkill",
    "userfaultfd",
)
REFUSED = (
    *PROVABLE,
    *PLAIN,
    "memory of the parent",
    "real time",
    "process by clone",
    "namespace",
    "exec",
    *(("numbers of x32",) if IS_X86_64 else ()),
)
"""All of these fail with EPERM."""

CALLS = (*PLAIN, "process_vm_readv", "tgkill", "clone", "clone3", "unshare", "getpid", "prlimit64")


@contextmanager
def settings(folder: Path, **changed: Any) -> Iterator[tuple[dict[str, Any], tuple[int, ...], socket.socket]]:
    """Yield what a child is told, the descriptors that it keeps, and the other end of its socket."""
    secret = ctypes.create_string_buffer(b"in here")
    folder.joinpath("precious").write_bytes(b"here")
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        own, other = (stack.enter_context(end) for end in socket.socketpair())
        own.settimeout(10)
        memory = os.memfd_create("shared")
        stack.callback(os.close, memory)
        os.truncate(memory, 4096)
        own.sendmsg([b"ping"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))])
        keep = (other.fileno(), memory)
        told = {
            "absent": [],
            "address": ctypes.addressof(secret),
            "attempts": [],
            "calls": {name: seccompy.syscall_nr(name) for name in CALLS},
            "clips": {},
            "folder": str(folder),
            "keep": keep,
            "locked": True,
            "parent": os.getpid(),
            "plain": PLAIN,
            "port": server.getsockname()[1],
            "threads": 0,
        }
        yield told | changed, keep, own


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    paths = {name: folder / name for name in CLIPS}
    for name, path in paths.items():
        path.write_bytes(clip_bytes(frames=24, gop=8, **CLIPS[name]))
    return paths


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> dict[str, Any]:
    """What a locked process says."""
    attempts = [*USEFUL, *REFUSED, "memory", "clone3"]
    paths = {name: str(path) for name, path in clips.items()}
    with settings(tmp_path_factory.mktemp("locked"), attempts=attempts, clips=paths) as (told, keep, own):
        said = run_locked(told, keep=keep)
        said["pong"] = own.recv(16)
        with mmap.mmap(keep[1], 4096) as shared:
            said["shared"] = shared[:5]
    return said


@pytest.fixture(scope="module")
def report(said: dict[str, Any]) -> IsolationReport:
    return IsolationReport.from_dict(said["report"])


def test_the_report_says_what_took_effect(report: IsolationReport) -> None:
    """Each measure is in it, with its values, and nothing is missing where the kernel has it all."""
    assert report.measures == MEASURES
    assert report.notes == ()
    assert report.uid == os.getuid()
    assert dict(report.rlimits).keys() == {
        "address_space",
        "cpu_seconds",
        "file_size",
        "core_size",
        "descriptors",
    }
    assert 2 << 30 < dict(report.rlimits)["address_space"] < 8 << 30
    assert 60 <= dict(report.rlimits)["cpu_seconds"] < 90


@pytest.mark.parametrize("name", CLIPS)
def test_a_locked_process_decodes_the_same(said: dict[str, Any], clips: dict[str, Path], name: str) -> None:
    """Codecs that it first uses afterwards, their threads, filters and conversions work."""
    assert said[name] == digests(clips[name].read_bytes())


@pytest.mark.parametrize("name", USEFUL)
def test_a_locked_process_works(said: dict[str, Any], name: str) -> None:
    """What decoding and its protocol need is allowed."""
    assert said[name] == "done"


def test_what_is_open_stays_usable(said: dict[str, Any]) -> None:
    """Messages and shared memory reach the parent."""
    assert said["pong"] == b"ping"
    assert said["shared"] == b"child"


@pytest.mark.parametrize("name", REFUSED)
def test_a_locked_process_is_refused(said: dict[str, Any], name: str) -> None:
    """It fails, and the process goes on."""
    assert said[name] == "EPERM"


def test_memory_is_limited(said: dict[str, Any]) -> None:
    """Python says so, and the process goes on."""
    assert said["memory"] == "MemoryError"


def test_threads_start_without_clone3(said: dict[str, Any]) -> None:
    """The C library takes its absence for an older kernel's."""
    assert said["clone3"] == "ENOSYS"


def test_other_descriptors_are_closed(said: dict[str, Any]) -> None:
    """Whoever opened them."""
    assert said["forgotten descriptor"] == "EBADF"


def test_a_locked_process_ends_in_peace(said: dict[str, Any]) -> None:
    """The interpreter exits as usual, and says nothing."""
    assert (said["exit"], said["stderr"]) == (0, "")


@pytest.mark.slow
def test_an_unlocked_process_is_not_refused(tmp_path: Path) -> None:
    """The attempts are real: without the lock, they succeed."""
    with settings(tmp_path, attempts=PROVABLE, locked=False) as (told, keep, _own):
        said = run_locked(told, keep=keep)
    assert {name: said[name] for name in PROVABLE} == dict.fromkeys(PROVABLE, "done")


FILES = ("read a file", "write a file", "remove a file", "list a folder", "environment of the parent")


@pytest.mark.slow
def test_landlock_alone_refuses_files_and_networks(tmp_path: Path) -> None:
    """It is a second wall: what it knows is refused without the filter of system calls."""
    abi = pytest.importorskip("landlockpy").abi_version()
    expected = dict.fromkeys(FILES, "EACCES") | {"memory of the parent": "EPERM", "fork": "done"}
    if abi >= 4:
        expected |= {"connect": "EACCES", "listen": "EACCES"}
    if abi >= 6:
        expected |= {"signal to the parent": "EPERM"}
    with settings(tmp_path, attempts=list(expected), absent=["seccompy"]) as (told, keep, _own):
        said = run_locked(told, keep=keep)
    report = IsolationReport.from_dict(said["report"])
    assert report.landlock_abi == abi
    assert report.measures == MEASURES - {"seccomp"}
    assert {name: said[name] for name in expected} == expected
    assert [note.split(":")[0] for note in report.notes] == ["seccomp is off", "Processes are not limited"]


@pytest.mark.slow
def test_a_process_without_the_extra_has_limits_alone(tmp_path: Path) -> None:
    """It works, and the report says what is missing and how to get it."""
    expected = {"write a file": "EFBIG", "memory": "MemoryError", "fork": "done", "read a file": "done"}
    absent = ["landlockpy", "seccompy"]
    with settings(tmp_path, attempts=list(expected), absent=absent) as (told, keep, _own):
        said = run_locked(told, keep=keep)
    report = IsolationReport.from_dict(said["report"])
    assert report.measures == {"process", "rlimits", "no_new_privileges"}
    assert {name: said[name] for name in expected} == expected
    installable = [note for note in report.notes if "pip install 'asyncframes-video[isolation]'" in note]
    assert [note.split()[0] for note in installable] == ["seccomp", "Landlock"]


@pytest.mark.slow
def test_landlock_does_not_count_where_other_threads_run(tmp_path: Path) -> None:
    """Older kernels restrict one thread only, and the report fails closed."""
    landlockpy = pytest.importorskip("landlockpy")
    with settings(tmp_path, threads=1) as (told, keep, _own):
        report = IsolationReport.from_dict(run_locked(told, keep=keep)["report"])
    restricts_all = landlockpy.abi_version() >= 8
    assert ("landlock" in report.measures) == restricts_all
    assert any("one thread" in note for note in report.notes) != restricts_all


@pytest.mark.slow
def test_a_filter_covers_threads_that_run_already(tmp_path: Path) -> None:
    """A thread from before the lock is refused too."""
    with settings(tmp_path, threads=1) as (told, keep, _own):
        said = run_locked(told, keep=keep)
    assert said["thread from before"] == "EPERM"


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-I", "-c", sys.argv[1]])
time.sleep(100)
"""
CHILD = """
import sys, time
sys.path[:] = {path!r}
from asyncframes._isolation.privileges import die_with_parent
assert die_with_parent({parent})
from asyncframes._isolation.lock import LockLimits, lock
lock([1], LockLimits(address_space_bytes=1 << 30, cpu_seconds=60))
print("armed", flush=True)
time.sleep(100)
"""


def test_a_process_dies_with_its_parent() -> None:
    """The kernel kills it, and no part of the lock takes that back."""
    script = CHILD.format(path=sys.path, parent="__import__('os').getppid()")
    with subprocess.Popen([sys.executable, "-c", PARENT, script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"armed\n"
        parent.kill()
        # The end of the pipe is the end of the child, which would sleep longer than a test may take.
        assert parent.stdout.read() == b""


@pytest.mark.slow
def test_a_process_whose_parent_died_before_ends() -> None:
    """The kernel would never tell it."""
    script = CHILD.format(path=sys.path, parent=os.getpid() + 1)
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


SPINNING = """
import ctypes, signal, sys
sys.path[:] = {path!r}
from asyncframes._isolation.lock import LockLimits, lock
if {stubborn}:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
lock([1], LockLimits(address_space_bytes=1 << 30, cpu_seconds=1))
print("locked", flush=True)
size = 50_000_000
memory = ctypes.create_string_buffer(size)
while True:
    ctypes.memset(memory, 1, size)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stubborn", [False, True])
def test_cpu_time_is_limited(*, stubborn: bool) -> None:
    """A signal says why, and another ends a process that ignores it."""
    script = SPINNING.format(path=sys.path, stubborn=stubborn)
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, check=False)
    assert done.stdout == b"locked\n"
    assert done.returncode == -(signal.SIGKILL if stubborn else signal.SIGXCPU)


@pytest.mark.slow
def test_the_parent_can_lower_a_limit_later() -> None:
    """It gives each video its time, although the process cannot be traced."""
    script = SPINNING.format(path=sys.path, stubborn=False).replace("cpu_seconds=1", "cpu_seconds=10_000")
    with subprocess.Popen([sys.executable, "-I", "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"locked\n"
        _, hard = resource.prlimit(child.pid, resource.RLIMIT_CPU)
        resource.prlimit(child.pid, resource.RLIMIT_CPU, (1, hard))
        assert child.wait() == -signal.SIGXCPU


ANOTHER_ARCHITECTURE = """
import ctypes, mmap, sys
sys.path[:] = {path!r}
from asyncframes._isolation.lock import LockLimits, lock
code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))  # getpid of i386: mov eax, 20; int 0x80; ret
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
print(call(), flush=True)
lock([1], LockLimits(address_space_bytes=1 << 30, cpu_seconds=60))
print("locked", flush=True)
print(call(), flush=True)
"""


@pytest.mark.skipif(not IS_X86_64, reason="the machine code is of i386")
def test_calls_of_another_architecture_kill() -> None:
    """Their numbers mean other calls, so a filter of numbers would let them through."""
    script = ANOTHER_ARCHITECTURE.format(path=sys.path)
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, check=False)
    if done.returncode == -signal.SIGSEGV and not done.stdout:
        pytest.skip("this kernel has no calls of i386")
    assert done.stdout.splitlines()[1:] == [b"locked"]
    assert done.returncode == -signal.SIGSYS
