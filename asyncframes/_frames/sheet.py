"""`ContactSheet`: many frames in one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from asyncframes._frames.picture import encode_image, png_to_show
from asyncframes._types import Image


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ContactSheet:
    """Frames in rows, in one image, with the index and time below each. Notebooks show it.

    Attributes
    ----------
    image
        ``uint8``, RGB, shape ``(height, width, 3)``.
    indices
        The frames on it, in reading order.
    """

    image: Image
    indices: tuple[int, ...]

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"ContactSheet({len(self.indices)} frames, {width}x{height} pixels)"

    def __array__(self, dtype: DTypeLike | None = None, *, copy: bool | None = None) -> Image:
        """Return `image`; see `Frame`."""
        return np.array(self.image, dtype, copy=copy)

    def encode(self, ext: str, *, quality: int | None = None, compression_level: int | None = None) -> bytes:
        """Encode the image as a complete file; see `Frame.encode`.

        Raises
        ------
        FrameEncodeError
            No encoder writes the extension, or an option is unknown or out of range.
        """
        return encode_image(
            self.image,
            ext,
            quality=quality,
            compression_level=compression_level,
            image_format="rgb24",
            what="the contact sheet",
            index=None,
        )

    def _repr_png_(self) -> bytes | None:
        return png_to_show(self.image, "rgb24")
