"""The matrix and transfer for a stream's pictures, from its colour tags (ITU-T H.273)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from asyncframes._types import ColorMatrix

MATRIX_NUMBERS: Mapping[str, int] = {"bt709": 1, "fcc": 4, "bt601": 5, "smpte240m": 7, "bt2020": 9}
"""The matrices that swscale supports, each with its H.273 number."""

_MATRIX_OF_SPACE: Mapping[int, ColorMatrix] = {
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    9: "bt2020",
}
_MATRIX_OF_PRIMARIES: Mapping[int, ColorMatrix] = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
_HDR_OF_TRANSFER: Mapping[int, Literal["pq", "hlg"]] = {16: "pq", 18: "hlg"}

UNSPECIFIED_SPACES = frozenset({0, 2, 3})
"""Numbers that specify no matrix: RGB, which some encoders also write for YUV; unspecified; reserved."""

_HD_WIDTH, _SD_HEIGHT = 1280, 576


def hdr_of(transfer: int) -> Literal["pq", "hlg"] | None:
    """Return the HDR transfer that has this number, ``None`` if there is none."""
    return _HDR_OF_TRANSFER.get(transfer)


def matrix_of(
    space: int, primaries: int, transfer: int, *, width: int, height: int
) -> Literal[ColorMatrix, "unsupported"]:
    """Return the matrix of YUV pictures with these tags and this size.

    An unspecified matrix follows from the primaries or the HDR transfer. If these are
    unspecified too, the size decides, as in mpv and libplacebo: BT.709 from 1280 columns
    or above 576 rows, otherwise BT.601.

    Returns
    -------
    str
        ``"unsupported"`` for YCgCo, ICtCp, BT.2020 with constant luminance and others.
    """
    if space not in UNSPECIFIED_SPACES:
        return _MATRIX_OF_SPACE.get(space, "unsupported")
    if hdr_of(transfer) is not None:
        return "bt2020"
    by_size: ColorMatrix = "bt709" if width >= _HD_WIDTH or height > _SD_HEIGHT else "bt601"
    return _MATRIX_OF_PRIMARIES.get(primaries, by_size)


def is_as_in_jpeg(pixel_format: str, matrix: str, *, is_full_range: bool) -> bool:
    """Whether JPEG can store the planes unchanged (ITU-T T.871): 8-bit 4:2:0, BT.601, full range."""
    return pixel_format in {"yuv420p", "yuvj420p"} and matrix == "bt601" and is_full_range
