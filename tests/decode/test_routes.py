"""Frames by every route are those of a decode of the whole stream by one codec thread."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests._exactness import UNBOUNDED, compare_routes, files_beside

MOST = 12
"""Frames of a file that are asked for by index."""

FAILING: dict[str, str] = {
    "damaged.mjpeg": "what a truncated picture lacks is what its memory held before",
    "ft_fixture.swf": "the container is refused",
    "ft_fixture.webp": "the container is refused",
    "fz_e34116d68f49c7852b362ec72a636df5.gif": "IndexError",
    "min_trackid.mp4": "struct.error",
}
"""Files whose frames are not right yet, and why."""


def _parameters() -> list[object]:
    files = files_beside()
    if not files:
        reason = "the real files (../shared) are not beside this checkout"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="no-files")]
    return [pytest.param(path, id=f"{path.parent.name}-{path.name}", marks=_marks(path)) for path in files]


def _marks(path: Path) -> list[pytest.MarkDecorator]:
    reason = FAILING.get(path.name)
    return [] if reason is None else [pytest.mark.xfail(reason=reason)]


def test_every_file_named_as_failing_is_there() -> None:
    """A file that is right, or gone, leaves the list."""
    there = {path.name for path in files_beside()} | UNBOUNDED
    assert not there or FAILING.keys() <= there


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", _parameters())
async def test_frames_by_every_route_are_those_of_one_thread(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In sequence, by index, by range, backward and alone: right, or the damage that one thread finds."""
    caplog.set_level(logging.ERROR, "asyncframes")
    found = await compare_routes(path, threads=(None, 1), most=MOST)
    assert [text for differences in found.differences.values() for text in differences] == []
