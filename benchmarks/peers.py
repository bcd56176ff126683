"""One class for each library that gives a frame by its index, opened and asked as its documentation shows.

Run as a script, it reads one file with one library, in a process of its own::

    python benchmarks/peers.py opencv --version
    python benchmarks/peers.py opencv FILE ASK.json GIVEN.npz

The images that it is given go, made smaller, into the last file; what else there is to say is printed.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

# Behind the installed packages, which are what is measured.
sys.path.append(str(Path(__file__).parents[1]))

from tests.support.exact.same_frame import reduced

RgbImage = NDArray[np.uint8]


class Peer(ABC):
    """A file, opened with a library.

    Attributes
    ----------
    name
        What the tables call it.
    package, module
        What is installed, and what is imported.
    """

    name: str
    package: str
    module: str

    @abstractmethod
    def __init__(self, path: str, pts: list[int | None]) -> None: ...

    @abstractmethod
    def count(self) -> int:
        """Return the number of frames that the library claims."""

    @abstractmethod
    def frame(self, index: int) -> RgbImage:
        """Return a frame by its index."""

    def close(self) -> None:  # noqa: B027 - some have nothing to close
        """Release the file."""


class Ours(Peer):
    """asyncframes, one index at a time."""

    name = "asyncframes"
    package = "asyncframes-video"
    module = "asyncframes"

    def __init__(self, path: str, _pts: list[int | None]) -> None:
        from asyncframes import sync

        self._video = sync.open_video(path, on_corrupt="keep")

    def count(self) -> int:
        return self._video.count()

    def frame(self, index: int) -> RgbImage:
        return self._video.frame(index).image

    def close(self) -> None:
        self._video.close()


class PyavByRate(Peer):
    """A loop over PyAV: the time of the index at the average rate, a seek, and the frame nearest to it."""

    name = "PyAV, seek to index / rate"
    package = module = "av"

    def __init__(self, path: str, _pts: list[int | None]) -> None:
        import av

        self._container = av.open(path)
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"

    def count(self) -> int:
        return self._stream.frames

    def _target(self, index: int) -> tuple[int, int]:
        """Time to seek to, and how much before it a frame may be."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        if not rate or not self._stream.time_base:
            raise LookupError("no frame rate")
        ticks = 1 / rate / self._stream.time_base
        return round(index * ticks) + (self._stream.start_time or 0), int(ticks / 2)

    def frame(self, index: int) -> RgbImage:
        target, slack = self._target(index)
        self._container.seek(target, stream=self._stream)
        for frame in self._container.decode(self._stream):
            if frame.pts is not None and frame.pts >= target - slack:
                return cast("RgbImage", frame.to_ndarray(format="rgb24"))
        raise LookupError("no frame at or after that time")

    def close(self) -> None:
        self._container.close()


class PyavByPts(PyavByRate):
    """The same loop, told the true pts of every frame."""

    name = "PyAV, seek to the true pts"

    def __init__(self, path: str, pts: list[int | None]) -> None:
        super().__init__(path, pts)
        self._pts = pts

    def _target(self, index: int) -> tuple[int, int]:
        pts = self._pts[index]
        if pts is None:
            raise LookupError("this frame has no pts")
        return pts, 0


class Opencv(Peer):
    """cv2.VideoCapture, set to a frame by CAP_PROP_POS_FRAMES."""

    name = "OpenCV"
    package, module = "opencv-python-headless", "cv2"

    def __init__(self, path: str, _pts: list[int | None]) -> None:
        import cv2

        self._cv2 = cv2
        self._capture = cv2.VideoCapture(path)
        if not self._capture.isOpened():
            raise OSError("VideoCapture is not opened")

    def count(self) -> int:
        return int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))

    def frame(self, index: int) -> RgbImage:
        self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, index)
        there, image = self._capture.read()
        if not there:
            raise LookupError("read() gives no frame")
        return cast("RgbImage", self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        self._capture.release()


class Decord(Peer):
    """decord.VideoReader, indexed."""

    name = package = module = "decord"

    def __init__(self, path: str, _pts: list[int | None]) -> None:
        import decord  # type: ignore[import-not-found]  # a wheel without types, and not always there

        self._reader = decord.VideoReader(path)

    def count(self) -> int:
        return len(self._reader)

    def frame(self, index: int) -> RgbImage:
        return cast("RgbImage", self._reader[index].asnumpy())


class Imageio(Peer):
    """imageio.v3 with its PyAV plugin, read(index=…)."""

    name = "imageio"
    package, module = "imageio", "imageio"

    def __init__(self, path: str, _pts: list[int | None]) -> None:
        import imageio.v3 as iio

        self._file: Any = iio.imopen(path, "r", plugin="pyav")

    def count(self) -> int:
        return int(self._file.properties(index=...).n_images or 0)

    def frame(self, index: int) -> RgbImage:
        return cast("RgbImage", self._file.read(index=index))

    def close(self) -> None:
        self._file.close()


class Torchcodec(Peer):
    """torchcodec.decoders.VideoDecoder on the CPU, in its exact mode, indexed."""

    name = package = module = "torchcodec"

    def __init__(self, path: str, _pts: list[int | None]) -> None:
        from torchcodec.decoders import VideoDecoder  # type: ignore[import-not-found]  # as above

        self._decoder = VideoDecoder(path, dimension_order="NHWC")

    def count(self) -> int:
        return len(self._decoder)

    def frame(self, index: int) -> RgbImage:
        return cast("RgbImage", self._decoder[index].numpy())


PEERS: dict[str, type[Peer]] = {
    "ours": Ours,
    "pyav-rate": PyavByRate,
    "pyav-pts": PyavByPts,
    "opencv": Opencv,
    "decord": Decord,
    "imageio": Imageio,
    "torchcodec": Torchcodec,
}


def ask(peer: str, path: str, asked: dict[str, list[Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Open a file and ask for frames: what is to be said of it, and the images by index."""
    given: dict[str, Any] = {}
    errors: dict[int, str] = {}
    try:
        video = PEERS[peer](path, asked["pts"])
    except Exception as exc:  # noqa: BLE001 - libraries raise what they like
        return {"opened": False, "error": _line(exc)}, given
    try:
        count: int | str = video.count()
    except Exception as exc:  # noqa: BLE001
        count = _line(exc)
    for index in asked["indices"]:
        try:
            given[str(index)] = reduced(video.frame(index))
        except Exception as exc:  # noqa: BLE001
            errors[index] = _line(exc)
    video.close()
    return {"opened": True, "count": count, "errors": errors}, given


def _line(exc: Exception) -> str:
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:160]


def main(peer: str, *arguments: str) -> None:
    """Say a version, or read a file."""
    if arguments == ("--version",):
        import_module(PEERS[peer].module)
        print(version(PEERS[peer].package))
        return
    path, asked, target = arguments
    said, given = ask(peer, path, json.loads(Path(asked).read_text()))
    np.savez(target, **given)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
