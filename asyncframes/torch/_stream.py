"""`FrameStream`: whole videos, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Unpack

import numpy as np
from torch.utils.data import IterableDataset

from asyncframes import sync
from asyncframes._frames.batch import FrameBatch
from asyncframes._model.options import with_options
from asyncframes.sources import SourceLike
from asyncframes.sources._limits import check_counts
from asyncframes.torch._options import LOADING_DEFAULTS, LoadingOptions
from asyncframes.torch._shards import Epoch, HasEpochs, this_rank, this_shard
from asyncframes.torch._tensors import Clip, as_clip
from asyncframes.torch._videos import LoopHold, Videos


class FrameStream(HasEpochs, IterableDataset[Clip]):
    """All frames of many videos, in runs of consecutive frames of one video.

    Each video is read once, from its beginning to its end, by one worker of one rank. Use
    ``DataLoader(stream, batch_size=None, num_workers=…)``: a run is a batch already. Workers
    read their videos at the same time, so their runs arrive in turns.

    Parameters
    ----------
    videos
        As for `ClipDataset`.
    size
        Number of frames in a run; the last one of a video may have fewer.
    step
        Read every `step`-th frame.
    drop_last
        Whether to omit the last run of a video if it has fewer frames.
    shuffle
        Whether to read the videos in a random order, which depends on `seed` and the epoch.
    seed
        Of that order.
    rank, world_size
        Which of how many processes that train together this is, each of which reads other
        videos. By default those of the default process group, if there is one when the stream is
        made, otherwise there is one process.
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

    @with_options(LoadingOptions, name="FrameStream", defaults=LOADING_DEFAULTS)
    def __init__(
        self,
        videos: Iterable[SourceLike],
        *,
        size: int = 32,
        step: int = 1,
        drop_last: bool = False,
        shuffle: bool = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        **options: Unpack[LoadingOptions],
    ) -> None:
        check_counts(least=1, size=size, step=step)
        check_counts(least=0, seed=seed)
        self._videos = Videos(videos, options)
        self._size = size
        self._step = step
        self._drop_last = drop_last
        self._shuffle = shuffle
        self._seed = seed
        self._rank = this_rank(rank, world_size)
        self._epoch = Epoch()

    def __repr__(self) -> str:
        rank = self._rank
        return f"FrameStream({len(self._videos)} videos, rank {rank.rank} of {rank.world_size})"

    def __iter__(self) -> Iterator[Clip]:
        """Read this worker's share of the videos.

        Returns
        -------
        Iterator of Clip
            Up to `size` consecutive frames each. It raises what `open_video` and
            `Video.batches` raise.
        """
        return _Runs(self, self._order()[this_shard(self._rank)])

    def _order(self) -> list[int]:
        if not self._shuffle:
            return [*range(len(self._videos))]
        # The rank is no part of the seed: all ranks divide one order among them.
        chosen = np.random.default_rng((self._seed, self._epoch.value))
        return [int(video) for video in chosen.permutation(len(self._videos))]


class _Runs(Iterator[Clip]):
    """Reads some videos of a stream.

    A generator would close its video when it is collected, which waits.
    """

    def __init__(self, stream: FrameStream, numbers: list[int]) -> None:
        self._stream = stream
        self._numbers = iter(numbers)
        self._number = -1
        self._loop = LoopHold()
        self._video: sync.Video | None = None
        self._batches: Iterator[FrameBatch] = iter(())

    def __next__(self) -> Clip:
        try:
            while (batch := next(self._batches, None)) is None:
                self._close()
                self._number = next(self._numbers)
                self._open()
        except StopIteration:
            raise
        except Exception as exc:
            exc.add_note(f"while reading video {self._number} of the stream")
            self._close()
            raise
        return as_clip(batch, self._number, self._stream._videos.layout)

    def _open(self) -> None:
        stream = self._stream
        self._loop.hold()
        self._video = stream._videos.open(self._number)
        self._batches = self._video.batches(
            stream._size, step=stream._step, drop_last=stream._drop_last, **stream._videos.picture
        )

    def _close(self) -> None:
        video, self._video, self._batches = self._video, None, iter(())
        if video is not None:
            video.close()
