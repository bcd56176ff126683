"""torchcodec on the CPU, in both of its modes."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar, cast

from benchmarks.peers.base import NO_WRITER, Images, Peer, Reader, RgbImage, Take, versions
from benchmarks.peers.job import Job


class Indexed(Reader):
    """torchcodec.decoders.VideoDecoder, indexed."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def count(self) -> int:
        return len(self._decoder)

    def frame(self, index: int) -> RgbImage:
        return cast("RgbImage", self._decoder[index].numpy())


class TorchcodecExact(Peer):
    """torchcodec.decoders.VideoDecoder, with as many threads as FFmpeg chooses, in its own layout."""

    name = package = "torchcodec"
    mode: ClassVar[str] = "exact"
    settings = (
        '`VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=0)`; `get_frame_at` one by one, '
        "which is faster than batches here, and `get_frames_at` for scattered frames; clips and steps with "
        "its default of one thread; `transforms=[Resize(…)]`; with a CUDA build of torch, but on the CPU"
    )
    lacks: ClassVar[dict[str, str]] = {"png": NO_WRITER, "jpeg": NO_WRITER}

    def __init__(self) -> None:
        self._decoders: Any = import_module("torchcodec.decoders")

    def version(self) -> str:
        ops: Any = import_module("torchcodec._core.ops")
        found = ops.get_ffmpeg_library_versions()
        return f"{versions('torchcodec', 'torch')}, FFmpeg {found.get('ffmpeg_version', 'unknown')}"

    def _open(self, address: str, **options: Any) -> Any:
        return self._decoders.VideoDecoder(address, dimension_order="NHWC", seek_mode=self.mode, **options)

    def _open_threaded(self, job: Job) -> Any:
        return self._open(job.address, num_ffmpeg_threads=0)

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return Indexed(self._open(path))

    def sequence(self, job: Job, take: Take) -> None:
        decoder = self._open_threaded(job)
        for index in job.indices:
            take(decoder.get_frame_at(index).data.numpy())

    def scattered(self, job: Job, take: Take) -> None:
        for image in self._open_threaded(job).get_frames_at(job.indices).data.numpy():
            take(image)

    def resized(self, job: Job, take: Take) -> None:
        transforms: Any = import_module("torchcodec.transforms")
        scale = transforms.Resize(size=(job.size[1], job.size[0]))
        decoder = self._open(job.address, num_ffmpeg_threads=0, transforms=[scale])
        for image in decoder.get_frames_at(job.indices).data.numpy():
            take(image)

    def clip(self, job: Job, indices: list[int]) -> Images:
        return cast("Images", self._open(job.address).get_frames_at(indices).data.numpy())

    def last(self, job: Job, take: Take) -> int:
        decoder = self._open_threaded(job)
        take(decoder.get_frame_at(len(decoder) - 1).data.numpy())
        return len(decoder)


class TorchcodecCpu(TorchcodecExact):
    """An earlier release, with a build of torch for the CPU."""

    name = "torchcodec 0.13"
    settings = "the same, release 0.13, with a build of torch for the CPU"


class TorchcodecApproximate(TorchcodecExact):
    """The same without a scan: an index is a time at the average rate."""

    name = "torchcodec, approximate"
    mode = "approximate"
    settings = 'the same with `seek_mode="approximate"`'
