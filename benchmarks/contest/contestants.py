"""All contestants, by the names that the command line knows them by."""

from __future__ import annotations

from contest.bare_pyav import BarePyav
from contest.base import Contestant
from contest.decord_reader import Decord
from contest.ffmpeg_program import FfmpegProgram
from contest.imageio_pyav import Imageio
from contest.opencv import Opencv
from contest.ours import Ours
from contest.supervisely_sdk import SuperviselySdk
from contest.torchcodec_decoder import TorchcodecApproximate, TorchcodecExact

# Ours and the PyAV loop are compared to a few per cent, so they run next to each other.
CONTESTANTS: dict[str, type[Contestant]] = {
    "ours": Ours,
    "pyav": BarePyav,
    "torchcodec": TorchcodecExact,
    "torchcodec-approximate": TorchcodecApproximate,
    "opencv": Opencv,
    "decord": Decord,
    "imageio": Imageio,
    "ffmpeg": FfmpegProgram,
    "supervisely": SuperviselySdk,
}
