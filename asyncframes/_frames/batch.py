"""`FrameBatch`: several frames as one array."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from asyncframes._frames.frame import Frame
from asyncframes._types import Image, ImageFormat, VideoInfo

_NO_PTS = np.iinfo(np.int64).min

_MOST_SHOWN, _SHOWN_COLUMNS, _SHOWN_WIDTH = 16, 8, 1200


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameBatch:
    """Frames of one size, with their images in one array.

    `len`, iteration and integers give `Frame`s, slices give batches; the images of both are
    views, so nothing is copied. ``torch.from_dlpack(batch.images)`` copies nothing either.

    Attributes
    ----------
    images
        C-contiguous array of shape ``(frames, *image)``, owned by the caller; `Frame.image`
        describes the shape and dtype of an image. Frames may be repeated.
    indices
        ``int64``: place of each frame in presentation order.
    pts
        ``int64``: presentation time in ticks of `time_base`; the least ``int64`` (FFmpeg's
        ``AV_NOPTS_VALUE``) for a frame without one.
    is_keyframe, is_corrupt
        ``bool``: see `Frame`.
    duration_seconds
        ``float64``: how long each frame is shown, NaN where unknown; see `Frame`.
    time_base
        Seconds per tick.
    info
        Facts about the video.
    total_frames
        Number of frames in the video: exact if its frame table is known, otherwise what the
        header says, or ``None``.
    image_format
        Layout of the images; see `Frame`.
    """

    images: Image
    indices: NDArray[np.int64]
    pts: NDArray[np.int64]
    is_keyframe: NDArray[np.bool_]
    is_corrupt: NDArray[np.bool_]
    duration_seconds: NDArray[np.float64]
    time_base: Fraction
    info: VideoInfo
    total_frames: int | None
    image_format: ImageFormat = "rgb24"

    @property
    def pts_seconds(self) -> NDArray[np.float64]:
        """Presentation times in seconds; NaN for a frame without one."""
        # One rounding, as `Frame.pts_seconds` does: a tick count above 2**53 is not exact as a float.
        return np.array(
            [np.nan if pts == _NO_PTS else float(pts * self.time_base) for pts in self.pts.tolist()],
            np.float64,
        )

    def __array__(self, dtype: DTypeLike | None = None, *, copy: bool | None = None) -> Image:
        """Return `images`; NumPy would make an array of `Frame`s."""
        return np.array(self.images, dtype, copy=copy)

    def metadata(self) -> dict[str, Any]:
        """Return the mapping that ``VideoMetadata`` of Hugging Face's ``transformers`` is made of.

        Its fields: https://huggingface.co/docs/transformers/main/en/internal/video_processing_utils.
        ``width`` and ``height`` are those of the video, whatever the size of `images`.
        """
        rate, seconds = self.info.average_rate, self.info.duration_seconds_from_header
        if seconds is None and rate and self.total_frames is not None:
            seconds = float(self.total_frames / rate)
        return {
            "total_num_frames": self.total_frames,
            "fps": None if rate is None else float(rate),
            "width": self.info.width,
            "height": self.info.height,
            "duration": seconds,
            "video_backend": "asyncframes",
            "frames_indices": self.indices.tolist(),
        }

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Frame]:
        return map(self._frame, range(len(self)))

    @overload
    def __getitem__(self, key: SupportsIndex) -> Frame: ...
    @overload
    def __getitem__(self, key: slice) -> FrameBatch: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Frame | FrameBatch:
        if isinstance(key, slice):
            return replace(
                self,
                images=self.images[key],
                indices=self.indices[key],
                pts=self.pts[key],
                is_keyframe=self.is_keyframe[key],
                is_corrupt=self.is_corrupt[key],
                duration_seconds=self.duration_seconds[key],
            )
        place = operator.index(key)
        if not -len(self) <= place < len(self):
            raise IndexError(f"frame {place} of a batch of {len(self)} frames")
        return self._frame(place % len(self))

    def _frame(self, place: int) -> Frame:
        pts, duration = int(self.pts[place]), float(self.duration_seconds[place])
        return Frame(
            index=int(self.indices[place]),
            image=self.images[place],
            pts=None if pts == _NO_PTS else pts,
            time_base=self.time_base,
            is_keyframe=bool(self.is_keyframe[place]),
            is_corrupt=bool(self.is_corrupt[place]),
            duration_seconds=None if np.isnan(duration) else duration,
            image_format=self.image_format,
        )

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        return f"FrameBatch({len(self)} frames, {size} {self.images.dtype})"

    def _repr_png_(self) -> bytes | None:
        """Draw up to `_MOST_SHOWN` of the frames for a notebook, evenly spread."""
        # Pillow takes 50 ms to import, and most processes show no batch.
        from asyncframes._frames.drawing import contact_sheet, tile_width_for

        places = np.linspace(0, len(self) - 1, min(len(self), _MOST_SHOWN)).round().astype(int)
        frames = [self._frame(place) for place in places.tolist()]
        tile_width = tile_width_for(_SHOWN_WIDTH, _SHOWN_COLUMNS)
        try:
            return contact_sheet(frames, columns=_SHOWN_COLUMNS, tile_width=tile_width)._repr_png_()
        except (TypeError, ValueError):
            return None


def make_batch(
    frames: list[Frame], images: Image, info: VideoInfo, total_frames: int | None, image_format: ImageFormat
) -> FrameBatch:
    """Make a batch of frames whose images are, in this order, those of an array."""
    durations = [np.nan if frame.duration_seconds is None else frame.duration_seconds for frame in frames]
    return FrameBatch(
        images=images,
        indices=np.array([frame.index for frame in frames], np.int64),
        pts=np.array([_NO_PTS if frame.pts is None else frame.pts for frame in frames], np.int64),
        is_keyframe=np.array([frame.is_keyframe for frame in frames], np.bool_),
        is_corrupt=np.array([frame.is_corrupt for frame in frames], np.bool_),
        duration_seconds=np.array(durations, np.float64),
        time_base=info.time_base,
        info=info,
        total_frames=total_frames,
        image_format=image_format,
    )
