"""Which rank and worker this is, and the epoch, which workers that stay alive share with their parent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed
from torch.utils.data import get_worker_info

from asyncframes.sources._limits import check_counts


class Epoch:
    """A number in shared memory: setting it in the parent sets it in workers that already run."""

    def __init__(self) -> None:
        self._value = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def value(self) -> int:
        """The number."""
        return int(self._value)

    def set(self, epoch: int) -> None:
        """Set the number.

        Raises
        ------
        ValueError
            `epoch` is negative.
        """
        check_counts(least=0, epoch=epoch)
        self._value.fill_(epoch)


class HasEpochs:
    """A data set that is read differently in each epoch."""

    _epoch: Epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose other random clips, or another order of the videos.

        Call it before each epoch, in the parent: workers get the number too, even if they
        already run.

        Parameters
        ----------
        epoch
            Number of the epoch, from 0.

        Raises
        ------
        ValueError
            `epoch` is negative.
        """
        self._epoch.set(epoch)


@dataclass(frozen=True, slots=True)
class Rank:
    """One of several processes that train together."""

    rank: int
    world_size: int


def this_rank(rank: int | None, world_size: int | None) -> Rank:
    """Return the given rank, or that of the default process group, or the only one.

    Raises
    ------
    ValueError
        Only one of the two is given, or they are out of range.
    """
    if rank is None and world_size is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return Rank(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return Rank(0, 1)
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise ValueError(f"rank={rank}, world_size={world_size}: expected 0 <= rank < world_size, or neither")
    return Rank(rank, world_size)


def this_shard(rank: Rank) -> slice:
    """Return which of all items the current worker of a rank reads."""
    info = get_worker_info()
    worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
    return slice(rank.rank * workers + worker, None, rank.world_size * workers)
