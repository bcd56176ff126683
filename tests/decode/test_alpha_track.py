"""The opacity of an AVIF sequence, which is a track beside the pictures."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

import asyncframes as af
from tests.support.marks import BOTH_ISOLATIONS

pytestmark = BOTH_ISOLATIONS


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    """Make a file with the brand of AVIF sequences, a track of colours and one of gray."""
    path = tmp_path / "clip.mp4"
    with av.open(path, "w", format="mp4", options={"brand": "avis"}) as container:
        colors, opacity = container.add_stream("libx264", rate=10), container.add_stream("png", rate=10)
        colors.width, colors.height, colors.pix_fmt = 64, 48, "yuv420p"
        opacity.width, opacity.height, opacity.pix_fmt = 64, 48, "gray"
        for number in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number, np.uint8), format="rgb24")
            mask = av.VideoFrame.from_ndarray(np.full((48, 64), 40 * number, np.uint8), format="gray")
            picture.pts = mask.pts = number
            container.mux(colors.encode(picture.reformat(format="yuv420p")))
            container.mux(opacity.encode(mask))
        container.mux(colors.encode(None))
        container.mux(opacity.encode(None))
    return path


def test_opacity_in_a_track_of_its_own_is_refused_by_name(sequence: Path) -> None:
    """An opaque picture would be a wrong one; the error says how to get both."""
    with af.sync.open_video(sequence) as video:
        with pytest.raises(af.errors.UnsupportedMediaError, match="this AVIF stores its opacity in stream 1"):
            video.frame(0, image_format="rgba")
        assert video.frame(3).image.shape == (48, 64, 3)
    with af.sync.open_video(sequence, stream_index=1) as video:
        assert int(video.frame(3, image_format="gray").image[0, 0]) == 120
