"""A loop over PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from benchmarks.peers.base import (
    JPEG_QUALITY,
    Images,
    Peer,
    Reader,
    RgbImage,
    Take,
    file_name,
    versions,
)
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

    def _open(self, address: str, *, threads: str = "AUTO") -> tuple[Any, Any]:
        container = self._av.open(address)
        stream = container.streams.video[0]
        stream.thread_type = threads
        return container, stream

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return ByRate(*self._open(path))

    def _rgb(self, frame: Any, **size: int) -> Any:
        return self._reformatter.reformat(frame, format="rgb24", threads=1, **size)

    def _from(
        self, container: Any, stream: Any, index: int, rate: str, *, seek_to_start: bool = False
    ) -> Iterator[Any]:
        """Decode from the frame at `index` on; frame 0 of a file just opened needs no seeking."""
        target = round(index / Fraction(rate) / stream.time_base) + (stream.start_time or 0)
        if index or seek_to_start:
            container.seek(target, stream=stream)
        for frame in self._decoded(container, stream, target):
            if frame.pts >= target:
                yield frame

    def _decoded(self, container: Any, stream: Any, _target: int) -> Iterator[Any]:
        return cast("Iterator[Any]", container.decode(stream))

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

    def resized(self, job: Job, take: Take) -> None:
        container, stream = self._open(job.address)
        width, height = job.size
        for index in job.indices:
            frame = next(self._from(container, stream, index, job.clip.rate))
            take(self._rgb(frame, width=width, height=height).to_ndarray())
        container.close()

    def clip(self, job: Job, indices: list[int]) -> Images:
        container, stream = self._open(job.address, threads="NONE")
        # Clips are read in several threads, and a reformatter serves one.
        reformatter = self._av.video.reformatter.VideoReformatter()
        frames = self._from(container, stream, indices[0], job.clip.rate)
        wanted = {index - indices[0] for index in indices}
        images = []
        for place, frame in zip(range(indices[-1] - indices[0] + 1), frames, strict=False):
            if place in wanted:
                images.append(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray())
        container.close()
        return np.stack(images)

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


NOTHING_SKIPPED = "is the PyAV loop here: nothing can be skipped"


class PyavSkipping(PyavLoop):
    """The loop, tuned further: it reads on where that is nearer, and does not decode what no frame needs."""

    name = "PyAV loop, tuned"
    settings = (
        'the same; packets before the frame asked for are decoded with `skip_frame="NONREF"`, and a step to '
        "the next frame reads on"
    )
    lacks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("hd", "small", "first", "to_files", "last", "opened"), NOTHING_SKIPPED
    )

    def _decoded(self, container: Any, stream: Any, target: int) -> Iterator[Any]:
        for packet in container.demux(stream):
            is_early = packet.pts is not None and packet.pts < target
            stream.codec_context.skip_frame = "NONREF" if is_early else "DEFAULT"
            yield from packet.decode()

    def stepping(self, job: Job) -> Reader:
        return SteppingOn(self, job)


class SteppingOn(Reader):
    """Goes on to the next frame, and seeks to any other."""

    def __init__(self, peer: PyavLoop, job: Job) -> None:
        self._peer = peer
        self._rate = job.clip.rate
        self._container, self._stream = peer._open(job.address)
        self._at = -1
        self._frames: Iterator[Any] = iter(())

    def count(self) -> int:
        return cast("int", self._stream.frames)

    def frame(self, index: int) -> RgbImage:
        if index != self._at:
            again = self._at >= 0
            self._frames = self._peer._from(
                self._container, self._stream, index, self._rate, seek_to_start=again
            )
        self._at = index + 1
        return cast("RgbImage", self._peer._rgb(next(self._frames)).to_ndarray())

    def close(self) -> None:
        self._container.close()


class PyavLoopByPts(PyavLoop):
    """The same loop, told the true pts of every frame when it is asked by index."""

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return ByPts(*self._open(path), pts)
