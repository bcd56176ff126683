"""`ClipDataset`: clips of many videos, by number."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, SupportsIndex, TypeAlias, Unpack, get_args

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from asyncframes._model.options import with_options
from asyncframes._model.quoting import quoted_option
from asyncframes.errors import FrameIndexError
from asyncframes.sources import SourceLike
from asyncframes.sources._limits import check_counts
from asyncframes.torch._options import LOADING_DEFAULTS, LoadingOptions
from asyncframes.torch._shards import Epoch, HasEpochs, this_rank
from asyncframes.torch._tensors import Clip, as_clip
from asyncframes.torch._videos import OpenVideos, Videos

Sampling: TypeAlias = Literal["random", "regular"]
"""Where the clips of a video begin: anywhere, or evenly spread."""

OutOfRange: TypeAlias = Literal["repeat_last", "wrap", "error"]
"""What fills a clip that is longer than its video: its last frame, its frames again, or nothing."""


@dataclass(frozen=True, slots=True)
class ClipShape:
    """How many frames a clip has, and what to do if a video has fewer.

    Attributes
    ----------
    num_frames, stride, out_of_range
        As for `ClipDataset`.
    """

    num_frames: int
    stride: int
    out_of_range: OutOfRange

    def __post_init__(self) -> None:
        check_counts(least=1, num_frames=self.num_frames, stride=self.stride)
        if self.out_of_range not in get_args(OutOfRange):
            raise ValueError(
                f"out_of_range={quoted_option(self.out_of_range)}: expected one of "
                + ", ".join(get_args(OutOfRange))
            )

    @property
    def span(self) -> int:
        """Number of frames from the first to the last of a clip."""
        return (self.num_frames - 1) * self.stride + 1

    def indices(self, start: int, count: int) -> NDArray[np.int64]:
        """Return the indices of a clip that begins at a frame of a video of `count` frames.

        Raises
        ------
        FrameIndexError
            The clip reaches past the end, and `out_of_range` is ``"error"``; or the video is
            empty.
        """
        last = start + self.span - 1
        if not count or (last >= count and self.out_of_range == "error"):
            raise FrameIndexError(
                f"a clip of {self.num_frames} frames at stride {self.stride} reaches frame {last}, but the "
                f"video has {count} frames: use out_of_range='repeat_last' or 'wrap', or leave the video out",
                index=last,
                length=count,
            )
        places = np.arange(self.num_frames)
        inside = -(-(count - start) // self.stride)
        fitting = np.minimum(places, inside - 1) if self.out_of_range == "repeat_last" else places % inside
        return np.asarray(start + self.stride * fitting, np.int64)


class ClipDataset(HasEpochs, Dataset[Clip]):
    """Clips of many videos, for a ``DataLoader`` with any sampler.

    Clip `i` is of video ``i // clips_per_video``. No video is opened before its first clip is
    requested, and then in the process that requests it, so the dataset works with each way
    to start workers. One thread at a time may use it in a process.

    Parameters
    ----------
    videos
        What `open_video` accepts, except what belongs to one process: streams, open files
        and descriptors.
    num_frames
        Number of frames in each clip.
    stride
        From one frame of a clip to the next.
    clips_per_video
        Number of clips from each video.
    sampling
        ``"random"``: a clip begins at any frame, which depends on `seed`, the epoch, the rank
        and the number of the clip, and on nothing else: whichever worker loads it, it is the
        same. ``"regular"``: clips begin at ``numpy.linspace(0, last, clips_per_video).round()``,
        where `last` is the last frame at which a whole clip begins.
    out_of_range
        What to do if a video is shorter than a clip, which then begins at frame 0.
        ``"repeat_last"`` (the default) repeats the last frame of the clip that exists,
        ``"wrap"`` repeats all of them in order, and ``"error"`` raises `FrameIndexError`.
    seed
        Of the random clips.
    rank
        Makes random clips differ between processes that train together; by default that of
        the default process group, if there is one when the dataset is made, otherwise 0. It does
        not divide the clips: a ``DistributedSampler`` does.
    max_open_videos
        Most videos that a process holds open; the least recently used one is closed for
        another. If videos decode in processes of their own, no more than there may be of these.
    **options
        How videos are opened and images are made; see `LoadingOptions` and `PictureOptions`.

    Raises
    ------
    NotPicklableError
        A source belongs to this process.
    SourceAddressError
        A path, or the first URL of a scheme, is invalid. Other URLs are checked when they are
        opened.
    TypeError, ValueError
        An argument is invalid.
    """

    @with_options(LoadingOptions, name="ClipDataset", defaults=LOADING_DEFAULTS)
    def __init__(
        self,
        videos: Iterable[SourceLike],
        *,
        num_frames: int,
        stride: int = 1,
        clips_per_video: int = 1,
        sampling: Sampling = "random",
        out_of_range: OutOfRange = "repeat_last",
        seed: int = 0,
        rank: int | None = None,
        max_open_videos: int = 8,
        **options: Unpack[LoadingOptions],
    ) -> None:
        if sampling not in get_args(Sampling):
            raise ValueError(f"sampling={quoted_option(sampling)}: expected 'random' or 'regular'")
        check_counts(least=1, clips_per_video=clips_per_video, max_open_videos=max_open_videos)
        check_counts(least=0, seed=seed, rank=rank or 0)
        self._shape = ClipShape(num_frames, stride, out_of_range)
        self._videos = Videos(videos, options)
        # One more than there may be processes would wait for them forever.
        most_open = min(max_open_videos, self._videos.most_processes or max_open_videos)
        self._open = OpenVideos(self._videos, most_open)
        self._clips_per_video = clips_per_video
        self._sampling = sampling
        self._seed = seed
        self._rank = this_rank(None, None).rank if rank is None else rank
        self._epoch = Epoch()

    def __repr__(self) -> str:
        shape = self._shape
        return (
            f"ClipDataset({len(self)} {self._sampling} clips of {shape.num_frames} frames at stride "
            f"{shape.stride}, {len(self._videos)} videos)"
        )

    def __len__(self) -> int:
        return len(self._videos) * self._clips_per_video

    def __getitem__(self, clip: SupportsIndex) -> Clip:
        """Decode a clip.

        Parameters
        ----------
        clip
            Its number, from 0; negative numbers count from the end.

        Raises
        ------
        IndexError
            There is no clip of this number.
        FrameIndexError
            The clip is longer than its video, and ``out_of_range="error"``.
        AsyncFramesError
            As `open_video` and `Video.batch` do.
        """
        asked = operator.index(clip)
        if not -len(self) <= asked < len(self):
            raise IndexError(f"clip {asked} of a dataset of {len(self)} clips")
        number = asked % len(self)
        video, place = divmod(number, self._clips_per_video)
        try:
            opened = self._open.get(video)
            count = opened.count()
            indices = self._shape.indices(self._start(number, place, count), count)
            batch = opened.batch(indices=indices, **self._videos.picture)
        except Exception as exc:
            exc.add_note(f"while loading clip {number}, of video {video} of the dataset")
            self._open.drop(video)
            raise
        return as_clip(batch, video, self._videos.layout)

    def _start(self, number: int, place: int, count: int) -> int:
        last = max(count - self._shape.span, 0)
        if self._sampling == "regular":
            return int(np.linspace(0, last, self._clips_per_video).round()[place])
        chosen = np.random.default_rng((self._seed, self._epoch.value, self._rank, number))
        return int(chosen.integers(last, endpoint=True))

    def close(self) -> None:
        """Close the videos that this process holds open. The next clip opens its video again."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
