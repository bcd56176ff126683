"""Arrays that hold the images of several frames, each at its place in the request."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._model.table import Int64Array
from asyncframes._types import Image
from asyncframes.errors import UnsupportedMediaError


class Places(Protocol):
    """Where one decoder puts its images."""

    @property
    def image_bytes(self) -> int:
        """Expected size of an image; 0 if it is unknown."""

    def put(self, frame: Frame) -> Frame:
        """Copy the image of the next frame to its place, and return the frame with the copy."""


class RequestImages(Protocol):
    """Where the images of one request go.

    Attributes
    ----------
    are_optional
        Whether a frame may also be delivered with an image of its own.
    """

    are_optional: bool

    def at(self, places: Int64Array | None = None, *, delivered: int = 0) -> Places:
        """Return where one decoder puts its images; see `BatchImages.at`."""


class BatchImages:
    """Arrays of `size` images each, allocated when the first image of each arrives.

    Parameters
    ----------
    size
        How many frames a batch has.
    image_bytes
        Expected size of an image.
    max_bytes
        The most bytes that an array may take.
    source
        Name of the video, for errors.
    """

    are_optional = False

    def __init__(self, size: int, image_bytes: int, max_bytes: int, source: str) -> None:
        self.image_bytes = image_bytes
        self._size = size
        self._max_bytes = max_bytes
        self._source = source
        # The decoders of a request call from several threads.
        self._lock = threading.Lock()
        self._arrays: dict[int, Image] = {}

    def put(self, place: int, image: Image) -> Image:
        """Copy an image to its place in the request, and return the copy.

        Raises
        ------
        UnsupportedMediaError
            The images of the batch differ in size.
        ValueError
            The batch would be too large.
        """
        number, row = divmod(place, self._size)
        with self._lock:
            array = self._arrays.get(number)
            if array is None:
                refuse_too_large(self._size, image.shape, image.nbytes, self._max_bytes)
                array = self._arrays[number] = np.empty((self._size, *image.shape), image.dtype)
        if array.shape[1:] != image.shape or array.dtype != image.dtype:
            raise UnsupportedMediaError(
                f"the frames of a batch have one size, and these have {_size(array.shape[1:])} and "
                f"{_size(image.shape)}: pass resize=(width, height)",
                source=self._source,
            )
        array[row] = image
        return array[row]  # type: ignore[no-any-return]

    def take(self, number: int, length: int) -> Image | None:
        """Hand over the first images of an array; ``None`` if it has none."""
        with self._lock:
            array = self._arrays.pop(number, None)
        if array is None or not length:
            return None
        # A view keeps the whole array alive, so a batch that is mostly empty is copied.
        return array[:length] if 2 * length > len(array) else array[:length].copy()

    def at(self, places: Int64Array | None = None, *, delivered: int = 0) -> PlacedImages:
        """Return where one decoder puts its images.

        Parameters
        ----------
        places
            Places in the request of the frames that it delivers, in this order; all by default.
        delivered
            How many frames at the front are already there.
        """
        return PlacedImages(self, places, delivered)


class PlacedImages:
    """Puts the images of one decoder at their places, in the order in which it delivers them."""

    def __init__(self, images: BatchImages, places: Int64Array | None, delivered: int) -> None:
        self._images = images
        self._places = places
        self._next = delivered

    @property
    def image_bytes(self) -> int:
        """Expected size of an image."""
        return self._images.image_bytes

    def put(self, frame: Frame) -> Frame:
        """Copy the image of the next frame to its place, and return the frame with the copy."""
        place = self._next if self._places is None else int(self._places[self._next])
        self._next += 1
        return with_image(frame, self._images.put(place, frame.image))


def with_image(frame: Frame, image: Image) -> Frame:
    """Return a frame with another image."""
    # `replace` would take twice as long as copying a small image.
    return Frame(
        index=frame.index,
        image=image,
        pts=frame.pts,
        time_base=frame.time_base,
        is_keyframe=frame.is_keyframe,
        is_corrupt=frame.is_corrupt,
        duration_seconds=frame.duration_seconds,
        image_format=frame.image_format,
    )


def refuse_too_large(frames: int, shape: tuple[int, ...], image_bytes: int, max_bytes: int) -> None:
    """Refuse a batch of more than `max_bytes`.

    Raises
    ------
    ValueError
        It is larger.
    """
    if frames * image_bytes > max_bytes:
        raise ValueError(
            f"a batch of {frames:,} frames of {_size(shape)} takes {frames * image_bytes:,} bytes, more than "
            f"max_batch_bytes={max_bytes:,}: ask for fewer or smaller frames, or raise it"
        )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
