"""swscale through libavfilter, which reuses the memory of freed images.

An allocator returns large blocks to the system, and the system zeroes each page that it hands out again. For
a large image that costs as much as the conversion.
"""

from __future__ import annotations

from av.filter import Graph
from av.video.frame import VideoFrame

from asyncframes._media.image.filters import make_chain, pull

# Allocators reuse blocks below this size themselves.
_LARGE_BYTES = 64 * 1024

# libavfilter starts each line at a multiple of this. Lines of another length would leave gaps, and removing
# the gaps takes a copy.
_LINE_ALIGNMENT = 64


def is_worth_pooling(line_bytes: int, height: int) -> bool:
    """Whether images of this size are large, and their lines leave no gaps."""
    return line_bytes * height >= _LARGE_BYTES and line_bytes % _LINE_ALIGNMENT == 0


class PooledScale:
    """Converts pictures of one kind without scaling them.

    Its pool of memory is freed after `rest`, once the last image from it is freed.

    Parameters
    ----------
    target
        Pixel format.
    flags
        Flags of swscale, as a number.
    matrix
        Number of the colour matrix; see `MATRIX_NUMBERS`.
    """

    def __init__(self, target: str, flags: int, matrix: int) -> None:
        self._target = target
        self._options = {
            "flags": str(flags),
            "in_color_matrix": str(matrix),
            "out_color_matrix": str(matrix),
            "out_range": "pc",
        }
        self._graph: Graph | None = None

    def __call__(self, picture: VideoFrame) -> VideoFrame | None:
        """Return the converted picture, or ``None`` if the filter outputs none.

        Raises
        ------
        av.FFmpegError, ValueError
            The bundled FFmpeg lacks the filter, or the filter refuses the picture's colours.
        """
        if self._graph is None:
            scale = ("scale", self._options)
            self._graph = make_chain(picture, scale, ("format", {"pix_fmts": self._target}))
        self._graph.vpush(picture)
        return pull(self._graph)

    def rest(self) -> None:
        """Free the memory that no image uses any more."""
        self._graph = None
