"""What each part of the lock does where the system or a library lacks it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from asyncframes._isolation import landlock, lock, privileges, rlimits, seccomp
from asyncframes._isolation.report import IsolationReport
from asyncframes._isolation.rlimits import LockLimits
from asyncframes._isolation.unavailable import UnavailableError

LIMITS = LockLimits(address_space_bytes=1 << 30, cpu_seconds=60)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the libraries are for Linux")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
@pytest.mark.parametrize(
    "measure",
    [partial(landlock.refuse_everything, alone=True), privileges.drop_privileges, seccomp.new_filter],
)
def test_only_linux_has_it(
    measure: Callable[[], object], platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere a sentence says so, and nothing is tried."""
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(UnavailableError, match="only Linux"):
        measure()


@on_linux
@pytest.mark.parametrize(
    ("measure", "library"),
    [(partial(landlock.refuse_everything, alone=True), "landlockpy"), (seccomp.new_filter, "seccompy")],
)
def test_a_missing_library_is_named(
    measure: Callable[[], object], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is what installs it."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UnavailableError, match=rf"{library} is missing .*\[isolation\]"):
        measure()


@on_linux
def test_a_kernel_without_landlock_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's error becomes a sentence."""
    landlockpy = pytest.importorskip("landlockpy")

    def refuse(*_args: object, **_options: object) -> None:
        raise landlockpy.UnsupportedError(95, "Operation not supported")

    monkeypatch.setattr(landlockpy, "abi_version", lambda: 0)
    monkeypatch.setattr(landlockpy, "Ruleset", refuse)
    with pytest.raises(UnavailableError, match=r"kernel refused it \(Operation not supported\)"):
        landlock.refuse_everything(alone=True)


@on_linux
def test_a_kernel_that_filters_one_thread_only_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter of one thread protects nothing."""
    seccompy = pytest.importorskip("seccompy")
    monkeypatch.setattr(seccompy, "flag_supported", lambda _flags: False)
    with pytest.raises(UnavailableError, match="all threads"):
        seccomp.new_filter()


@on_linux
def test_a_kernel_that_refuses_a_filter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may forbid the call."""
    seccompy = pytest.importorskip("seccompy")
    calls = seccomp.new_filter()

    def refuse(_self: object) -> None:
        raise seccompy.SeccompError(1, "Operation not permitted")

    monkeypatch.setattr(seccompy.Filter, "load", refuse)
    with pytest.raises(UnavailableError, match=r"kernel refused it \(Operation not permitted\)"):
        seccomp.load_filter(calls)


@on_linux
def test_every_allowed_call_exists() -> None:
    """A wrong name would be left out in silence, since architectures differ."""
    syscalls = pytest.importorskip("seccompy.syscalls")
    names = {*seccomp.ALLOWED, *(name for name, _ in seccomp.conditions(1))}
    assert names <= syscalls.X86_64_SYSCALLS.keys()
    assert names - syscalls.AARCH64_SYSCALLS.keys() == {"poll", "select", "epoll_wait", "time"}


def test_windows_has_no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence says so."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UnavailableError, match="Windows has no limits"):
        rlimits.limit_resources(LIMITS, 2)


@pytest.fixture
def set_limits(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """What is set, instead of setting it for the process of the tests."""
    resource = pytest.importorskip("resource", reason="Windows has none")
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    monkeypatch.setattr(resource, "getrlimit", lambda _number: (resource.RLIM_INFINITY, 500))
    return limits


def test_macos_limits_processes_instead_of_memory(
    set_limits: dict[int, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not enforce the one, and does not count threads for the other."""
    monkeypatch.setattr(sys, "platform", "darwin")
    limits = dict(rlimits.limit_resources(LIMITS, 2))
    assert limits.keys() == {"processes", "cpu_seconds", "file_size", "core_size", "descriptors"}
    assert limits["processes"] == 0
    assert len(set_limits) == len(limits)


def test_a_lower_limit_stays(set_limits: dict[int, tuple[int, int]]) -> None:
    """A process cannot raise one that its parent set."""
    limits = dict(rlimits.limit_resources(LockLimits(address_space_bytes=1 << 40, cpu_seconds=900), 2))
    assert limits["cpu_seconds"] == 500
    assert all(soft <= hard <= 500 for soft, hard in set_limits.values())


@pytest.mark.usefixtures("set_limits")
def test_a_refused_limit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others count."""
    import resource

    def refuse(number: int, _limits: tuple[int, int]) -> None:
        if number == resource.RLIMIT_CORE:
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    limits = dict(rlimits.limit_resources(LIMITS, 2))
    assert "core_size" not in limits
    assert "file_size" in limits


@on_linux
def test_memory_is_not_limited_without_proc(
    set_limits: dict[int, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is mapped already is unknown, so that any limit could be too low."""

    def refuse(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "address_space" not in dict(rlimits.limit_resources(LIMITS, 2))
    assert set_limits


@pytest.mark.parametrize(
    ("alone", "filtered", "carried"),
    [(True, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_what_holds_for_one_thread_does_not_count(
    monkeypatch: pytest.MonkeyPatch, *, alone: bool, filtered: bool, carried: bool
) -> None:
    """Only a filter of system calls reaches threads that run already."""

    def filter_calls(_calls: object) -> str:
        if not filtered:
            raise UnavailableError("seccomp is off: the kernel refused it (Operation not permitted).")
        return "allow-list"

    # Nothing may be taken from the process of the tests.
    replaced: dict[str, Callable[..., object]] = {
        "_close_others": lambda _keep: None,
        "runs_alone": lambda: alone,
        "new_filter": object,
        "limit_resources": lambda _limits, _highest: (("file_size", 0), ("core_size", 0)),
        "drop_privileges": lambda: True,
        "refuse_everything": lambda alone: 7 if alone else _raise(UnavailableError("Landlock is off.")),
        "load_filter": filter_calls,
    }
    for name, function in replaced.items():
        monkeypatch.setattr(lock, name, function)
    report = lock.lock({0, 1, 2}, LIMITS)
    assert report.no_new_privileges == carried
    assert ("landlock" in report.measures, "seccomp" in report.measures) == (alone, filtered)
    missing = ["address_space", "cpu_seconds", "descriptors"]
    assert [note for note in report.notes if note.startswith("The limit")] == [
        f"The limit {name} is missing: the system refused it." for name in missing
    ]
    assert any(note.startswith("Processes") for note in report.notes) != filtered
    assert IsolationReport.from_dict(report.as_dict()) == report


def _raise(exc: Exception) -> None:
    raise exc


def test_no_list_of_threads_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be known, others may run."""

    def refuse(_path: Path) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert not privileges.runs_alone()
