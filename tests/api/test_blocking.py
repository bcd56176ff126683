"""The fixture that fails tests in which the package blocks an event loop."""

from __future__ import annotations

from pathlib import Path

import pytest
from blockbuster import BlockingError

import asyncframes as af

pytestmark = pytest.mark.anyio


async def test_what_blocks_the_loop_is_noticed(tmp_path: Path) -> None:
    """A file that the package reads on the loop is an error; one that a test reads is its own affair."""
    path = tmp_path / "video.table"
    path.write_bytes(b"no table")
    with pytest.raises(BlockingError):
        af.FrameTable.load(path)


def test_what_blocks_elsewhere_is_not(tmp_path: Path) -> None:
    """Where no loop runs, the package may read as it likes."""
    path = tmp_path / "video.table"
    path.write_bytes(b"no table")
    with pytest.raises(ValueError, match="table"):
        af.FrameTable.load(path)
