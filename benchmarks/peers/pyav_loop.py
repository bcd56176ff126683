"""A loop over PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

from benchmarks.peers.base import JPEG_QUALITY, Peer, Reader, RgbImage, Take, file_name, versions
from benchmarks.peers.job import Job


class ByRate(Reader):
    """Seeks to the time of the index at the average rate, and takes the nearest frame."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream

    def count(self) -> int:
        return cast("int", self._stream.frames)

    def _target(self, index: int) -> tuple[int, int]:
        """Return the time to seek to, and how much before it a frame may be."""
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


class ByPts(ByRate):
    """Seeks to the true pts of the frame."""

    def __init__(self, container: Any, stream: Any, pts: list[int | None]) -> None:
        super().__init__(container, stream)
        self._pts = pts

    def _target(self, index: int) -> tuple[int, int]:
        pts = self._pts[index]
        if pts is None:
            raise LookupError("this frame has no pts")
        return pts, 0


class PyavLoop(Peer):
    """The loop one writes by hand: seek by time, decode to the first frame that is not before it."""

    name = "PyAV loop"
    package = "av"
    settings = (
        '`thread_type = "AUTO"`, one `VideoReformatter` with one thread; seeks to index / rate; counts by '
        "demuxing all packets; PNG by FFmpeg's encoder at level 1, JPEG by Pillow"
    )

    def __init__(self) -> None:
        import av
        import av.video.reformatter

        self._av = av
        self._reformatter = av.video.reformatter.VideoReformatter()

    def version(self) -> str:
        return f"{versions('av')}, FFmpeg {self._av.ffmpeg_version_info}"

    def _open(self, address: str) -> tuple[Any, Any]:
        container = self._av.open(address)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return container, stream

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return ByRate(*self._open(path))

    def _rgb(self, frame: Any) -> Any:
        return self._reformatter.reformat(frame, format="rgb24", threads=1)

    def _from(self, container: Any, stream: Any, index: int, rate: str) -> Iterator[Any]:
        """Decode from the frame at `index` on."""
        target = round(index / Fraction(rate) / stream.time_base) + (stream.start_time or 0)
        if index:
            container.seek(target, stream=stream)
        for frame in container.decode(stream):
            if frame.pts >= target:
                yield frame

    def sequence(self, job: Job, take: Take) -> None:
        container, stream = self._open(job.address)
        frames = self._from(container, stream, job.indices[0], job.clip.rate)
        for frame in islice(frames, len(job.indices)):
            take(self._rgb(frame).to_ndarray())
        container.close()

    def scattered(self, job: Job, take: Take) -> None:
        container, stream = self._open(job.address)
        for index in job.indices:
            take(self._rgb(next(self._from(container, stream, index, job.clip.rate))).to_ndarray())
        container.close()

    def last(self, job: Job, take: Take) -> int:
        container, stream = self._open(job.address)
        packets = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        container.seek(max(packets), stream=stream)
        frame = None
        for frame in container.decode(stream):  # noqa: B007 - the last one counts
            pass
        take(self._rgb(frame).to_ndarray())
        container.close()
        return len(packets)

    def to_files(self, job: Job) -> None:
        container, stream = self._open(job.address)
        encoder = self._png_encoder(job) if job.ext == "png" else None
        for index, frame in zip(job.indices, container.decode(stream), strict=False):
            if encoder is None:
                self._rgb(frame).to_image().save(file_name(job, index), quality=JPEG_QUALITY)
            else:
                [packet] = encoder.encode(self._rgb(frame))
                Path(file_name(job, index)).write_bytes(packet)
        container.close()

    def _png_encoder(self, job: Job) -> Any:
        encoder: Any = self._av.CodecContext.create("png", "w")
        encoder.width, encoder.height, encoder.pix_fmt = job.clip.width, job.clip.height, "rgb24"
        encoder.time_base = 1 / Fraction(job.clip.rate)
        encoder.thread_count = 1
        encoder.options = {"compression_level": "1", "pred": "up"}
        return encoder


class PyavLoopByPts(PyavLoop):
    """The same loop, told the true pts of every frame when it is asked by index."""

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return ByPts(*self._open(path), pts)
