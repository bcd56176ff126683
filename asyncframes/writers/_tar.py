"""Frames as members of tar files, as WebDataset reads them."""

from __future__ import annotations

import os
import tarfile
from concurrent.futures import Executor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import BinaryIO, Literal

from asyncframes._model.quoting import quoted
from asyncframes._types import Frame, ImageFormat
from asyncframes.writers._encoders import encoder_for
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
        """What it takes in a tar file."""
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
        """Whether the file stays within its bounds with this member, whose name it does not have yet."""
        if max_frames is not None and len(self._names) >= max_frames:
            return False
        size = _rounded_up(self._tar.offset + member.nbytes + _END_BYTES, tarfile.RECORDSIZE)
        return max_bytes is None or size <= max_bytes

    def add(self, member: Member) -> None:
        """Put a frame behind the others.

        Raises
        ------
        ValueError
            There is one of its name.
        """
        if member.info.name in self._names:
            raise ValueError(f"{member.info.name} is in it already")
        self._names.add(member.info.name)
        self._tar.addfile(member.info, BytesIO(member.data))

    def finish(self) -> None:
        """Write the end, and give the file its name."""
        self._tar.close()
        self._bytes.close()
        self.file.publish()

    def drop(self) -> None:
        """Remove the file."""
        self._bytes.close()
        self.file.discard()


class TarWriter(OrderedWriter[Member]):
    """Stores frames as members of numbered tar files (shards), in order.

    Each shard is written under a hidden temporary name in the same directory
    and renamed when it is whole: when the next frame does not fit, and the last
    one by `aclose`. Where no frame came there is no shard.

    Parameters
    ----------
    path_template
        `str.format` template of the paths, whose last part has the field
        ``shard``: ``"out/{shard:06d}.tar"``. Directories are made.
    ext
        Kind of image file; see `encoder_for`.
    max_frames_per_shard
        Most frames in a shard.
    max_shard_bytes
        Longest shard, unless a frame by itself is longer.
    member_template
        Name of a member, formatted as by `DirectoryWriter`. A shard takes each
        name once.
    quality, compression_level
        See `encoder_for`.
    overwrite
        Where a shard is there already: ``"error"`` raises `FrameExistsError` at
        its first frame, ``"replace"`` replaces it. Further shards of an earlier
        run stay.
    image_format
        Of the frames; the encoder needs to know where it is ``"i420"``.
    executor
        Where blocking calls are made; the event loop's default if ``None``.

    Raises
    ------
    ValueError
        A template that does not give each shard or frame its own name, or an
        option out of its range.
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
        self._names = NameTemplate(member_template, ext.removeprefix("."))
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
    """Return the template of a shard's name, if it gives each its own."""
    try:
        fields = {field for _, field, _, _ in Formatter().parse(name) if field is not None}
        numbered = {name.format(shard=number) for number in (0, 1, 10, 999_999, 1_000_000)}
    except (KeyError, IndexError, ValueError, AttributeError) as exc:
        raise ValueError(f"path_template ends in {quoted(name)}, which does not format: {exc}") from exc
    if fields != {"shard"} or len(numbered) < 5:
        raise ValueError(f"path_template ends in {quoted(name)}: expected a name with {{shard}} in it")
    return name


def _check_bounds(**named: int | None) -> None:
    for name, bound in named.items():
        if bound is not None and bound < 1:
            raise ValueError(f"{name}={bound}: expected 1 or more, or None")


def _rounded_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit
