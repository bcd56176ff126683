"""`Frame`: one decoded frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import DTypeLike

from asyncframes._frames.picture import encode_image, png_to_show
from asyncframes._types import Image, ImageFormat


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One decoded frame.

    Attributes
    ----------
    index
        Place in presentation order, from 0: the i-th frame that a sequential
        decode of the whole stream outputs.
    image
        ``uint8``, C-contiguous, upright, owned by the caller. Shape
        ``(height, width, 3)`` for ``rgb24`` and ``bgr24``, ``(height, width, 4)``
        for ``rgba``, ``(height, width)`` for ``gray``. ``rgb48`` and ``gray16``
        are ``uint16``, white is 65535. ``i420`` is YUV as JPEG stores it, BT.601
        in full range, shape ``(height * 3 // 2, width)``: the rows of Y, then U and
        V at half the height and width, each without a gap; for even sizes only. If
        the size changes mid-stream, each frame has its own.
    pts
        Presentation time in ticks of `time_base`; ``None`` if the container
        gives none.
    time_base
        Seconds per tick.
    is_keyframe
        Whether the frame decodes alone.
    is_corrupt
        Whether the decoder marked it as damaged (only with ``on_corrupt="keep"``).
    duration_seconds
        How long the frame is shown, in seconds: from its pts to the next frame's in
        presentation order, also where the rate varies; see `FrameTable.duration_seconds`.
        While the video has no frame table (a range that is read forward from its
        beginning, or ``seek_mode="approximate"``), it is the duration that the container
        gives the frame's packet, which may differ where the rate varies; ``None`` if it gives none.
    image_format
        Layout of `image`: its shape does not tell RGB from BGR, nor ``i420`` from ``gray``.
    """

    index: int
    image: Image
    pts: int | None
    time_base: Fraction
    is_keyframe: bool = False
    is_corrupt: bool = False
    duration_seconds: float | None = None
    image_format: ImageFormat = "rgb24"

    def __repr__(self) -> str:
        shown = [f"index={self.index}", f"{self.image.dtype} image of shape {self.image.shape}"]
        if self.pts_seconds is not None:
            shown.insert(1, f"pts_seconds={self.pts_seconds:.6g}")
        shown += [f"{name}=True" for name in ("is_keyframe", "is_corrupt") if getattr(self, name)]
        return f"Frame({', '.join(shown)})"

    def __array__(self, dtype: DTypeLike | None = None, *, copy: bool | None = None) -> Image:
        """Return `image`, so that NumPy and what is built on it take a frame for its image."""
        return np.array(self.image, dtype, copy=copy)

    @property
    def pts_seconds(self) -> float | None:
        """Presentation time in seconds, for people; look frames up by `index` or `pts`."""
        return None if self.pts is None else float(self.pts * self.time_base)

    def encode(self, ext: str, *, quality: int | None = None, compression_level: int | None = None) -> bytes:
        """Encode the image as a complete file, with the encoders of `Video.save`.

        The bytes equal those of the file that `save` writes of the same image. Only a jpg without
        picture options may differ: there, `save` stores decoded planes unchanged if it can. This
        call blocks; in a coroutine, use ``await asyncio.to_thread(frame.encode, "jpg")``.

        Parameters
        ----------
        ext
            ``"jpg"``, ``"png"``, ``"webp"``, or any other extension of `encoder_for`.
        quality, compression_level
            Options of the encoder; see `encoder_for`.

        Returns
        -------
        bytes
            The whole file.

        Raises
        ------
        FrameEncodeError
            No encoder writes the extension, its format cannot store this image (opacity in a
            jpg, 16 bits outside png), or an option is unknown or out of range.
        """
        return encode_image(
            self.image,
            ext,
            quality=quality,
            compression_level=compression_level,
            image_format=self.image_format,
            what=f"frame {self.index}",
            index=self.index,
        )

    def _repr_png_(self) -> bytes | None:
        return png_to_show(self.image, self.image_format)
