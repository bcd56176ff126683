"""Frames as members of tar files, for WebDataset."""

from __future__ import annotations

import os
import tarfile
from concurrent.futures import Executor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import BinaryIO, Literal

from asyncframes._frames.encoders import encoder_for, without_dot
from asyncframes._frames.frame import Frame
from asyncframes._model.quoting import quoted_option
from asyncframes._types import ImageFormat
from asyncframes.writers._files import prepare_directory
from asyncframes.writers._names import NameTemplate
from asyncframes.writers._ordered import OrderedWriter, SinkFile, check_overwrite

__all__ = ["TarWriter"]

_END_BYTES = 2 * tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Member:
    """An encoded frame."""

    info: tarfile.TarInfo
    data: bytes

    @property
    def nbytes(self) -> int:
        """Size of the member in a tar file."""
        header = len(self.info.tobuf(tarfile.PAX_FORMAT))
        return header + _rounded_up(len(self.data), tarfile.BLOCKSIZE)


class Shard:
    """A tar file that is being written."""

    def __init__(self, file: SinkFile) -> None:
        self.file = file
        self._bytes: BinaryIO = file.temporary.open("xb")
        self._tar = tarfile.open(fileobj=self._bytes, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - `finish` closes it
        self._names: set[str] = set()

    def has_room_for(self, member: Member, *, max_frames: int | None, max_bytes: int | None) -> bool:
        """Whether the file stays within its limits with this member added."""
        if max_frames is not None and len(self._names) >= max_frames:
            return False
        size = _rounded_up(self._tar.offset + member.nbytes + _END_BYTES, tarfile.RECORDSIZE)
        return max_bytes is None or size <= max_bytes

    def add(self, member: Member) -> None:
        """Append a frame.

        Raises
        ------
        ValueError
            The shard already has a member of this name.
        """
        if member.info.name in self._names:
            raise ValueError(f"the shard already has a member {member.info.name}")
        self._names.add(member.info.name)
        self._tar.addfile(member.info, BytesIO(member.data))

    def finish(self) -> None:
        """Complete the file and rename it to its final path."""
        self._tar.close()
        self._bytes.close()
        self.file.publish()

    def drop(self) -> None:
        """Remove the file."""
        self._bytes.close()
        self.file.discard()


class TarWriter(OrderedWriter[Member]):
    """Stores frames as members of numbered tar files (shards), in order.

    Each shard is written to a hidden temporary file in the same directory, and renamed
    once complete: when the next frame does not fit, or by `aclose`. Without frames there
    is no shard.

    Parameters
    ----------
    path_template
        `str.format` template of the paths. The last part has the field ``shard``:
        ``"out/{shard:06d}.tar"``. Directories are created.
    ext
        Kind of image file; see `encoder_for`.
    max_frames_per_shard
        Most frames in a shard.
    max_shard_bytes
        Largest size of a shard, unless a single frame is larger.
    member_template
        Template of the members' names, as for `DirectoryWriter`. Names are unique within
        a shard.
    quality, compression_level
        See `encoder_for`.
    overwrite
        What to do if a shard exists: ``"error"`` raises `FrameExistsError` at its first
        frame, ``"replace"`` replaces it. Other shards of an earlier run remain.
    image_format
        Format of the frames. Required by the encoder for ``"i420"``.
    executor
        Runs blocking calls; ``None`` for the event loop's default executor.

    Raises
    ------
    ValueError
        A template does not give each shard or frame its own name, or an option is out of
        range.
    """

    def __init__(
        self,
        path_template: str | os.PathLike[str],
        *,
        ext: str = "png",
        max_frames_per_shard: int | None = 10_000,
        max_shard_bytes: int | None = 1024**3,
        member_template: str = "{index:06d}.{ext}",
        quality: int | None = None,
        compression_level: int | None = None,
        overwrite: Literal["error", "replace"] = "error",
        image_format: ImageFormat = "rgb24",
        executor: Executor | None = None,
    ) -> None:
        super().__init__(executor)
        check_overwrite(overwrite)
        _check_bounds(max_frames_per_shard=max_frames_per_shard, max_shard_bytes=max_shard_bytes)
        path = Path(path_template).absolute()
        self._directory, self._template = path.parent, _checked(path.name)
        self._names = NameTemplate(member_template, without_dot(ext))
        self._encode = encoder_for(
            ext, quality=quality, compression_level=compression_level, image_format=image_format
        )
        self._max_frames, self._max_bytes = max_frames_per_shard, max_shard_bytes
        self._overwrite = overwrite
        self._number = 0
        self._shard: Shard | None = None

    def _path_of(self) -> Path:
        return self._directory / self._template.format(shard=self._number)

    def _prepare(self, frame: Frame) -> Member:
        info = tarfile.TarInfo(self._names.name_of(frame))
        data = self._encode(frame.image)
        info.size = len(data)
        return Member(info, data)

    def _store(self, frame: Frame, prepared: Member) -> str:
        if self._shard is not None and not self._has_room_for(prepared):
            self._finish()
        if self._shard is None:
            self._shard = self._new_shard(frame.index)
        try:
            self._shard.add(prepared)
        except ValueError as exc:
            raise self._write_error(frame, str(exc)) from exc
        return str(self._path_of() / prepared.info.name)

    def _has_room_for(self, member: Member) -> bool:
        assert self._shard is not None  # noqa: S101 - narrows for the type checker
        return self._shard.has_room_for(member, max_frames=self._max_frames, max_bytes=self._max_bytes)

    def _new_shard(self, index: int) -> Shard:
        prepare_directory(self._directory)
        file = SinkFile.at(self._path_of(), index=index, overwrite=self._overwrite)
        file.refuse_other_files()
        return Shard(file)

    def _finish(self) -> None:
        if self._shard is not None:
            self._shard.finish()
            self._shard = None
            self._number += 1

    def _drop(self) -> None:
        if self._shard is not None:
            self._shard.drop()


def _checked(name: str) -> str:
    """Return the template of the shards' names if it gives each its own name."""
    try:
        fields = {field for _, field, _, _ in Formatter().parse(name) if field is not None}
        numbered = {name.format(shard=number) for number in (0, 1, 10, 999_999, 1_000_000)}
    except (KeyError, IndexError, ValueError, AttributeError) as exc:
        raise ValueError(
            f"path_template ends in {quoted_option(name)}, which cannot be formatted: "
            "expected a field such as {shard:06d}"
        ) from exc
    if fields != {"shard"} or len(numbered) < 5:
        raise ValueError(
            f"path_template ends in {quoted_option(name)}: expected a name that contains {{shard}}"
        )
    return name


def _check_bounds(**named: int | None) -> None:
    for name, bound in named.items():
        if bound is not None and bound < 1:
            raise ValueError(f"{name}={bound}: expected 1 or more, or None")


def _rounded_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit
