"""The versions of PyAV and of the FFmpeg libraries that it brings."""

from __future__ import annotations

import av


def library_versions() -> dict[str, str]:
    """Return the versions of PyAV, FFmpeg and its libraries, by name."""
    libraries = {name: ".".join(map(str, version)) for name, version in sorted(av.library_versions.items())}
    return {"PyAV": av.__version__, "FFmpeg": av.ffmpeg_version_info, **libraries}
