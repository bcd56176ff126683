"""What is installed, and what limits a process here. All calls block."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import asyncframes as af
from asyncframes._media.container.limits import video_decoders
from asyncframes._media.libraries import library_versions
from asyncframes._runtime.threads import cpus

EXTRAS = {
    "cloud": ("obstore",),
    "completion": ("shtab",),
    "fsspec": ("fsspec",),
    "isolation": ("landlockpy", "seccompy"),
    "parquet": ("pyarrow",),
    "ray": ("ray",),
    "supervisely": ("python-dotenv",),
    "torch": ("torch",),
    "web": ("prometheus-client",),
}
"""Packages of the extras that add something to the library."""

_REQUIRED = ("numpy", "aiohttp", "pillow", "simplejpeg", "isal")
_CODECS = (
    "h264", "hevc", "av1", "vp9", "vp8", "vvc", "mpeg4", "mpeg2video", "h263",
    "mjpeg", "prores", "dnxhd", "ffv1",
)  # fmt: skip
_POLICY = ("max_pixels", "max_frames")
_RESOURCES = {"open_files": "RLIMIT_NOFILE", "address_space": "RLIMIT_AS", "processes": "RLIMIT_NPROC"}


def facts() -> dict[str, Any]:
    """Collect versions, extras, decoders, limits and the number of CPUs."""
    decoders = video_decoders()
    return {
        "versions": _versions(),
        "extras": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "decoders": {codec: sorted(decoders.get(codec, ())) for codec in _CODECS},
        "limits": _limits(),
        "cpus": cpus(),
    }


def _versions() -> dict[str, str]:
    return {
        "asyncframes": af.__version__,
        platform.python_implementation(): platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **library_versions(),
        **{name: _version(name) or "missing" for name in _REQUIRED},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _limits() -> dict[str, int | None]:
    """Return the limits of a trusted video, and those of this process. ``None`` is no limit."""
    policy = af.Policy.trusted()
    return {name: getattr(policy, name) for name in _POLICY} | _resource_limits()


def _resource_limits() -> dict[str, int | None]:
    try:
        import resource
    except ImportError:  # Windows
        return {}
    known = {name: getattr(resource, limit) for name, limit in _RESOURCES.items() if hasattr(resource, limit)}
    soft = {name: resource.getrlimit(limit)[0] for name, limit in known.items()}
    return {name: None if value == resource.RLIM_INFINITY else value for name, value in soft.items()}
