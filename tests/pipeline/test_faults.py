"""Every fault of a server or network, at the first frame, in the middle and at the last frame."""

from __future__ import annotations

import pytest

from asyncframes.errors import AsyncFramesError
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.servers.faults import DEADLINE_SECONDS, FAULTS, PLACES, meet

pytestmark = BOTH_ISOLATIONS


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "place"), grid(FAULTS, PLACES, fast=lambda name, place: name == "none" or place == "mid-range")
)
async def test_the_right_frames_or_a_named_error(name: str, place: str) -> None:
    """Within the deadline; no file is partial or wrong, and no task, socket or file stays behind."""
    fault = FAULTS[name]
    expected = fault.expected_at(place)
    result = await meet(fault, place)
    if expected is None:
        assert result.error is None
        assert result.files == len(PLACES[place])
    else:
        assert isinstance(result.error, expected)
        assert isinstance(result.error, AsyncFramesError)
    assert result.seconds < DEADLINE_SECONDS
    assert result.leaks == []
