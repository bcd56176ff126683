"""Telling which frame of a video an image is, though another library converted it.

Images are averaged down, so that rounding and the way chroma is scaled up count little; images that are all
turned or mirrored are turned back; and where the likeliest ones differ in colour, one linear map is fitted
for the file, so that another matrix or range is not taken for another frame. An image is the frame that it is
nearest to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]

SIDE = 128

NEIGHBOURS = (-2, -1, 1, 2)

# Two frames less far apart than this, in levels of 255 on average, are one picture: rounding moves so much.
INDISTINCT = 0.05

# An image farther than this from the frame that it should be is none of the video's frames…
FOREIGN = 1.0

# …unless all are that far, and so many nearest to just the frames asked for, that it must be the colours.
_RECOGNISED = 0.95
_ENOUGH_IMAGES = 8

# Colours are fitted only where there is so much to fit that the map cannot hide a difference of frames.
_ENOUGH_PIXELS = 2000
_FITTED_PIXELS = 20_000


def reduced(image: NDArray[np.uint8]) -> Grid:
    """Average an RGB image down to at most `SIDE` cells a side: square, so that it can be turned later."""
    pixels = image[..., :3].astype(np.float32)
    rows, columns = (_shares(length) for length in pixels.shape[:2])
    return np.tensordot(np.tensordot(rows, pixels, axes=1), columns, axes=(1, 1)).swapaxes(1, 2)


@cache
def _shares(length: int) -> Grid:
    """How much each of `length` pixels in a line counts in each cell."""
    cells = min(length, SIDE)
    edges = np.arange(cells + 1) * (length / cells)
    pixels = np.arange(length)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares: Grid = (np.clip(shared, 0, None) * (cells / length)).astype(np.float32)
    return shares


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the images of one file are.

    Attributes
    ----------
    wrong
        Index asked for, and the index of the frame that was given instead, ``None`` for no frame near it.
    upright
        Whether the images are turned as the display matrix asks.
    farthest
        Greatest distance of an image from the frame that it is taken to be.
    nearest_foreign
        Least distance from any frame of an image that is taken to be none.
    """

    wrong: dict[int, int | None]
    upright: bool = True
    farthest: float = 0.0
    nearest_foreign: float = float("inf")


def judge(given: dict[int, Grid], frames: dict[int, Grid], *, concealed: bool = False) -> Verdict:
    """Compare images with the frames of a sequential decode, of which the neighbours must be there too.

    Parameters
    ----------
    given, frames
        Images by the index asked for, and frames by index.
    concealed
        Whether damage is concealed in the frames, which libraries do differently: the nearest counts.
    """
    if not given:
        return Verdict({})
    turn = _best_turn(given, frames)
    turned = {index: _turned(grid, turn) for index, grid in given.items()}
    wrong: dict[int, int | None] = {i: None for i, grid in turned.items() if grid.shape != frames[i].shape}
    fitting = {index: grid for index, grid in turned.items() if index not in wrong}
    matched = _with_colours_of(frames, fitting)
    found = {index: nearest(grid, index, frames) for index, grid in matched.items()}
    limit = float("inf") if concealed or _are_recognised(found, frames) else FOREIGN
    foreign = [far for _, far in found.values() if far > limit]
    near = {index: place for index, (place, far) in found.items() if far <= limit}
    wrong |= {index: near.get(index) for index in found if near.get(index) != index}
    return Verdict(
        dict(sorted(wrong.items())),
        upright=turn == 0 or not near,
        farthest=max((found[index][1] for index in near), default=0.0),
        nearest_foreign=min(foreign, default=float("inf")),
    )


def _are_recognised(found: dict[int, tuple[int, float]], frames: dict[int, Grid]) -> bool:
    """Whether all images look different, and those that can be told are nearest to the frames asked for."""
    if any(far <= FOREIGN for _, far in found.values()):
        return False
    telling = [
        place == index
        for index, (place, _) in found.items()
        if any(
            distance(frames[index], frames[index + offset]) > FOREIGN
            for offset in NEIGHBOURS
            if index + offset in frames
        )
    ]
    return len(telling) >= _ENOUGH_IMAGES and sum(telling) >= _RECOGNISED * len(telling)


def nearest(grid: Grid, index: int, frames: dict[int, Grid]) -> tuple[int, float]:
    """Return which of frame `index` and its neighbours an image is nearest to, and its distance."""
    best = index, distance(grid, frames[index])
    for other in (index + offset for offset in NEIGHBOURS):
        frame = frames.get(other)
        if frame is None or distance(frames[index], frame) <= INDISTINCT:
            continue
        best = min(best, (other, distance(grid, frame)), key=itemgetter(1))
    return best


def distance(one: Grid, other: Grid) -> float:
    """Return the mean absolute difference, infinite between grids of different sizes."""
    return float(np.abs(one - other).mean()) if one.shape == other.shape else float("inf")


def _turned(grid: Grid, turn: int) -> Grid:
    """Apply one of the eight ways to turn and mirror; 0 leaves the grid as it is."""
    turned = np.rot90(grid, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def _best_turn(given: dict[int, Grid], frames: dict[int, Grid]) -> int:
    few = list(given)[:8]

    def total(turn: int) -> float:
        return sum(min(distance(_turned(given[i], turn), frames[i]), 255.0) for i in few)

    return min(range(8), key=total)


def _with_colours_of(frames: dict[int, Grid], given: dict[int, Grid]) -> dict[int, Grid]:
    """Map the colours of all images by one linear map, if it brings the likeliest ones much nearer."""
    likeliest = sorted(given, key=lambda index: distance(given[index], frames[index]))
    likeliest = likeliest[: -(-len(given) // 4)]
    if sum(given[index][..., 0].size for index in likeliest) < _ENOUGH_PIXELS:
        return given
    pixels = np.concatenate([given[index].reshape(-1, 3) for index in likeliest])
    wanted = np.concatenate([frames[index].reshape(-1, 3) for index in likeliest])
    chosen = np.random.default_rng(0).integers(len(pixels), size=_FITTED_PIXELS)
    fit, *_ = np.linalg.lstsq(_homogeneous(pixels[chosen]), wanted[chosen])
    if distance(_homogeneous(pixels) @ fit, wanted) > distance(pixels, wanted) / 2:
        return given
    return {
        index: (_homogeneous(grid.reshape(-1, 3)) @ fit).reshape(grid.shape) for index, grid in given.items()
    }


def _homogeneous(pixels: Grid) -> Grid:
    return np.concatenate([pixels, np.ones((len(pixels), 1), np.float32)], axis=1)
