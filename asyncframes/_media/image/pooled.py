"""swscale through libavfilter, which reuses the memory of images that are gone.

Memory that an allocator gave back to the system is zeroed page by page when it is taken again: for a large
image that costs as much as the conversion.
"""

from __future__ import annotations

from av.filter import Graph
from av.video.frame import VideoFrame

from asyncframes._media.image.filters import make_chain, pull

# Less than this an allocator keeps for itself.
_LARGE_BYTES = 64 * 1024

# libavfilter begins lines at multiples of this; lines that end elsewhere would have to be copied.
_LINE_ALIGNMENT = 64


def is_worth_pooling(line_bytes: int, height: int) -> bool:
    """Whether images of this size are large, and lie in one piece."""
    return line_bytes * height >= _LARGE_BYTES and line_bytes % _LINE_ALIGNMENT == 0


class PooledScale:
    """Converts pictures of one kind at their own size.

    The memory of its pool goes when `rest` was called and the last image is gone.

    Parameters
    ----------
    target
        Pixel format.
    flags
        Of swscale, by number.
    matrix
        Number of the colour matrix, as `MATRIX_NUMBERS` has it.
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
        """Return the picture converted, ``None`` where the filter gives none.

        Raises
        ------
        av.FFmpegError, ValueError
            The bundled FFmpeg has no such filter, or refuses the colours of the picture.
        """
        if self._graph is None:
            scale = ("scale", self._options)
            self._graph = make_chain(picture, scale, ("format", {"pix_fmts": self._target}))
        self._graph.vpush(picture)
        return pull(self._graph)

    def rest(self) -> None:
        """Free the memory that no image uses."""
        self._graph = None
