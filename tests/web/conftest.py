"""The clip of the tests that say nothing else of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.streams.clips import clip_bytes

FRAMES = 48


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Make a clip of `FRAMES` frames."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES))
    return path
