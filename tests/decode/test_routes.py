"""Frames by every route are those of a decode of the whole stream by one codec thread."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.exact.corpus import corpus_files
from tests.support.exact.exactness import compare_routes, files_beside

MOST = 12
"""Frames of a file that are asked for by index."""


DAMAGED = {file.path.name for file in corpus_files() if file.is_damaged or not file.is_playable}


def _parameters() -> list[object]:
    files = files_beside()
    if not files:
        reason = "the real files (../shared) are not beside this checkout"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="no-files")]
    return [pytest.param(path, id=f"{path.parent.name}-{path.name}") for path in files]


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", _parameters())
async def test_frames_by_every_route_are_those_of_one_thread(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By every route: right, or the damage that one thread finds.

    Files that once went wrong, and damaged ones, in each mode and with one thread too;
    ``nox -s exactness`` does so with all.
    """
    caplog.set_level(logging.ERROR, "asyncframes")
    if path.parent.name == "corpus" and path.name not in DAMAGED:
        found = await compare_routes(path, modes=("keep",), threads=(None,), most=MOST)
    else:
        found = await compare_routes(path, threads=(None, 1), most=MOST)
    assert [text for differences in found.differences.values() for text in differences] == []
