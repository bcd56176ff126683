"""Contact sheets: geometry, order and labels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import asyncframes as af
from asyncframes import Frame
from asyncframes._frames.drawing import BACKGROUND, MOST_PIXELS, clock, contact_sheet, shrink, tile_width_for
from tests.support.marks import examples
from tests.support.streams.clips import LIT, clip_bytes, painted_index

COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (250, 10, 250)]


def plain_frame(index: int, *, width: int = 64, height: int = 36, pts: int | None = None) -> Frame:
    image = np.full((height, width, 3), COLOURS[index % len(COLOURS)], np.uint8)
    return Frame(index=index, image=image, pts=pts, time_base=Fraction(1, 25))


def test_each_frame_stands_in_reading_order() -> None:
    """Tiles show the frames row by row, each of the asked width and the frames' shape."""
    sheet = contact_sheet([plain_frame(i) for i in range(5)], columns=2, tile_width=96).image
    corners = []
    for colour in COLOURS:
        rows, columns = np.nonzero((sheet == colour).all(axis=2))
        assert [int(np.ptp(places)) + 1 for places in (rows, columns)] == [54, 96]
        corners.append((int(rows.min()), int(columns.min())))
    assert corners == sorted(corners)
    assert len({row for row, _ in corners}) == 3
    assert len({column for _, column in corners}) == 2


def test_fewer_frames_than_columns_leave_no_empty_column() -> None:
    """A sheet is as wide as the frames that it shows."""
    frames = [plain_frame(0), plain_frame(1)]
    wide = contact_sheet(frames, columns=9, tile_width=96)
    assert wide.image.shape == contact_sheet(frames, columns=2, tile_width=96).image.shape


@settings(deadline=None, max_examples=examples(30))
@given(sheet_width=st.integers(300, 2400), columns=st.integers(1, 12))
def test_tiles_fill_the_width_asked_for(sheet_width: int, columns: int) -> None:
    """A sheet is never wider than asked, and short of it by less than two pixels a column and gap."""
    tile_width = tile_width_for(sheet_width, columns)
    if tile_width < 96:  # gaps have a least width, which small tiles do not plan for
        return
    frames = [plain_frame(i, width=4, height=2) for i in range(columns)]
    width = contact_sheet(frames, columns=columns, tile_width=tile_width).image.shape[1]
    assert sheet_width - 2 * (2 * columns + 1) < width <= sheet_width


@pytest.mark.parametrize("shape", [(36, 64), (36, 64, 3), (36, 64, 4)], ids=["gray", "rgb24", "rgba"])
def test_every_layout_that_files_can_hold_is_drawn(shape: tuple[int, ...]) -> None:
    """Gray, colour and alpha all end as the same light on an RGB sheet."""
    frame = Frame(index=0, image=np.full(shape, 255, np.uint8), pts=0, time_base=Fraction(1))
    sheet = contact_sheet([frame], columns=1, tile_width=64).image
    assert (sheet == 255).all(axis=2).sum() >= 36 * 64


def test_labels_and_title_are_drawn() -> None:
    """The index stands under the tile at the left, the time at the right, a title above."""
    with_time, without = (
        contact_sheet([plain_frame(7, pts=pts)], columns=1, tile_width=240).image for pts in (50, None)
    )
    label = slice(with_time.shape[0] - 30, None)
    assert (with_time[label, :120] != BACKGROUND).any()
    assert (with_time[label, 120:] != BACKGROUND).any()
    assert (without[label, :120] != BACKGROUND).any()
    assert (without[label, 120:] == BACKGROUND).all()

    titled = contact_sheet([plain_frame(7)], columns=1, tile_width=240, title="a very long title " * 20)
    assert titled.image.shape[1] == without.shape[1]
    assert titled.image.shape[0] > without.shape[0]


@pytest.mark.parametrize(("columns", "tile_width", "frames"), [(0, 96, 1), (1, 0, 1), (1, 96, 0)])
def test_nothing_to_draw_is_an_error(columns: int, tile_width: int, frames: int) -> None:
    """No frames, no columns or no width is a ValueError with the three numbers."""
    with pytest.raises(ValueError, match=f"{frames} frames, columns={columns}, tile_width={tile_width}"):
        contact_sheet([plain_frame(i) for i in range(frames)], columns=columns, tile_width=tile_width)


@pytest.mark.parametrize("frames", [[(4, 4)] * 3 + [(4_000_000, 1)], [(4_000_000, 1)], [(1, 1)] * 4000])
def test_a_sheet_has_a_bound(frames: list[tuple[int, int]]) -> None:
    """One that would take more memory is refused, whichever frame is to blame."""
    drawn = [plain_frame(i, height=height, width=width) for i, (height, width) in enumerate(frames)]
    with pytest.raises(ValueError, match=rf"at most {MOST_PIXELS:,} pixels; ask for fewer"):
        contact_sheet(drawn, columns=20, tile_width=200)


@pytest.mark.parametrize("image_format", ["bgr24", "rgb48", "gray16", "i420"])
def test_every_format_of_frames_is_drawn(image_format: af.ImageFormat) -> None:
    """A sheet shows its pixels, and its colours if it has any."""
    with af.sync.open_video(clip_bytes(frames=4)) as video:
        frame = video.frame(3, image_format=image_format)
    sheet = contact_sheet([frame], columns=1, tile_width=96)
    tile = sheet.image[4 : 4 + 64, 4 : 4 + 96]
    assert painted_index(tile) == 3
    red, green, blue = tile[tile[..., 0] > 200].astype(int).mean(axis=0)
    if image_format == "gray16":
        assert red == green == blue
    else:
        assert np.abs(np.subtract((red, green, blue), LIT)).max() < 20


def test_shrink_keeps_shape_and_identity() -> None:
    """A frame is scaled down with its aspect and facts, and never up."""
    frame = plain_frame(3, width=640, height=360, pts=9)
    small = shrink(frame, 160)
    assert small.image.shape == (90, 160, 3)
    assert (small.index, small.pts, small.time_base) == (3, 9, Fraction(1, 25))
    assert shrink(frame, 2000) is frame


@given(milliseconds=st.integers(-(10**9), 10**9))
def test_clock_says_the_milliseconds(milliseconds: int) -> None:
    """The text, read back, is the time in milliseconds."""
    text = clock(milliseconds / 1000)
    hours, minutes, rest = text.lstrip("-").split(":")
    value = (int(hours) * 60 + int(minutes)) * 60_000 + round(float(rest) * 1000)
    assert (-value if text.startswith("-") else value) == milliseconds


def test_clock_has_fixed_fields() -> None:
    """Hours, minutes and seconds have two digits at least, milliseconds three."""
    assert clock(5.125) == "00:00:05.125"
    assert clock(3_661.0) == "01:01:01.000"
    assert clock(-0.04) == "-00:00:00.040"
    assert clock(59.9999) == "00:01:00.000"
