"""One adapter for each way to get frames, under the names that the command line uses."""

from __future__ import annotations

from benchmarks.peers.base import Peer
from benchmarks.peers.decord_reader import Decord
from benchmarks.peers.ffmpeg_program import FfmpegProgram
from benchmarks.peers.imageio_pyav import Imageio
from benchmarks.peers.opencv import Opencv
from benchmarks.peers.ours import Ours
from benchmarks.peers.pyav_loop import PyavLoop, PyavLoopByPts, PyavSkipping
from benchmarks.peers.spdl_packets import Spdl
from benchmarks.peers.supervisely_sdk import SuperviselySdk
from benchmarks.peers.torchcodec_decoder import (
    TorchcodecApproximate,
    TorchcodecCpu,
    TorchcodecExact,
)

__all__ = ["ASKED_BY_INDEX", "CONTESTANTS", "Peer", "title_of"]

# Ours and the PyAV loop are compared to a few per cent, so they run next to each other.
CONTESTANTS: dict[str, type[Peer]] = {
    "ours": Ours,
    "pyav": PyavLoop,
    "pyav-tuned": PyavSkipping,
    "torchcodec": TorchcodecExact,
    "torchcodec-approximate": TorchcodecApproximate,
    "torchcodec-0.13": TorchcodecCpu,
    "opencv": Opencv,
    "decord": Decord,
    "spdl": Spdl,
    "imageio": Imageio,
    "ffmpeg": FfmpegProgram,
    "supervisely": SuperviselySdk,
}
"""Peers that are timed."""

ASKED_BY_INDEX: dict[str, type[Peer]] = {
    "ours": Ours,
    "pyav-rate": PyavLoop,
    "pyav-pts": PyavLoopByPts,
    "opencv": Opencv,
    "decord": Decord,
    "imageio": Imageio,
    "torchcodec": TorchcodecExact,
}
"""Peers that are asked for frames by index, to see which frames they give."""


_WAYS = {"pyav-rate": "PyAV, seek to index / rate", "pyav-pts": "PyAV, seek to the true pts"}


def title_of(key: str) -> str:
    """Return what the tables of exactness call a peer."""
    return _WAYS.get(key, ASKED_BY_INDEX[key].name)
