"""Frames that do not exist, or cannot be cropped, encoded or stored."""

from __future__ import annotations

from asyncframes.errors._base import AsyncFramesError


class FrameIndexError(AsyncFramesError, IndexError):
    """A frame index is outside the video.

    Attributes
    ----------
    index
        The requested index.
    length
        Number of frames in the video, ``None`` if unknown.
    """

    def __init__(self, message: str = "", *, index: int | None = None, length: int | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.length = length


class CropError(AsyncFramesError, ValueError):
    """A crop reaches outside the image.

    Attributes
    ----------
    crop
        The requested ``(x, y, width, height)``.
    width, height
        Size of the upright image that it was to be taken from.
    """

    def __init__(
        self,
        message: str = "",
        *,
        crop: tuple[int, int, int, int] | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        super().__init__(message)
        self.crop = crop
        self.width = width
        self.height = height


class FrameEncodeError(AsyncFramesError, ValueError):
    """A frame's image cannot be encoded: the format cannot store it, or lacks an option.

    Attributes
    ----------
    index
        Index of the frame; ``None`` for a contact sheet.
    """

    def __init__(self, message: str = "", *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class FrameWriteError(AsyncFramesError):
    """A frame was decoded but could not be stored.

    Attributes
    ----------
    index
        Index of the frame.
    path
        Where the frame was to be stored; ``None`` if the writer has no paths.
    """

    def __init__(self, message: str = "", *, index: int | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.path = path


class FrameExistsError(FrameWriteError, FileExistsError):
    """The file for a frame already exists, and ``overwrite="error"``."""


class FrameMismatchError(FrameExistsError):
    """``overwrite="skip"`` found a file that may not be that frame: it may be from another video."""
