"""Clips that PyTorch's ``DataLoader`` reads in workers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from benchmarks.peers.base import Figures, Take, take_all
from benchmarks.peers.job import Job

if TYPE_CHECKING:
    from benchmarks.peers.base import Peer

EPOCHS = 2


class Clips:
    """A data set: the clips of a job, each of which opens the file.

    Parameters
    ----------
    peer
        Reads them.
    """

    def __init__(self, peer: Peer, job: Job) -> None:
        self._peer = peer
        self._job = job
        self._clips = job.clips()

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"frames": torch.from_numpy(self._peer.clip(self._job, self._clips[number]))}


def loaded(dataset: Any, numbers: Iterable[int], job: Job, take: Take) -> Figures:
    """Load clips in as many workers as the job says, and take those of the second epoch.

    Parameters
    ----------
    dataset
        Its items have ``frames`` as a tensor in NHWC layout.
    numbers
        The items to load, in this order.
    """
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=list(numbers),
        num_workers=job.at_once,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    clips: list[Any] = []
    for _ in range(EPOCHS):
        began = time.perf_counter()
        clips = [clip["frames"] for clip in loader]
        seconds = time.perf_counter() - began
    for clip in clips:
        take_all(clip.numpy(), take)
    return {"seconds": seconds / len(clips)}
