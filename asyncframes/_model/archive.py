"""Arrays and facts as bytes that are checked when they are read back.

The format is a magic word, a format version, a JSON header, the compressed arrays, and a
checksum of all of these. Integers are stored as differences, all lowest bytes first, because
neighbouring rows are alike.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
"""One-dimensional arrays by name: ``int64``, ``bool`` or ``uint8``."""

_MAGIC = b"asyncframes\n"
_HEAD = struct.Struct("<12sII")
_CHECKSUM_BYTES = 16
_DTYPES: dict[str, type[np.generic]] = {"int64": np.int64, "bool": np.bool_, "uint8": np.uint8}

# Deflate expands data by at most this factor, so a header that claims more is false.
_MOST_INFLATION = 1040


class ArchiveError(ValueError):
    """The bytes are not in this format, are damaged, or are in another version of the format."""


def pack(version: int, facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Convert facts (plain JSON values) and arrays to bytes."""
    described = [[name, array.dtype.name, len(array)] for name, array in arrays.items()]
    header = json.dumps({"facts": facts, "arrays": described}).encode()
    payload = zlib.compress(b"".join(_encoded(array) for array in arrays.values()), 1)
    body = _HEAD.pack(_MAGIC, version, len(header)) + header + payload
    return body + _checksum(body)


def unpack(
    version: int, data: bytes, *, most_bytes: int | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the facts and arrays that `pack` converted to bytes.

    Parameters
    ----------
    version
        As it was passed to `pack`.
    data
        The bytes.
    most_bytes
        Most bytes of all arrays together, ``None`` for any.

    Raises
    ------
    ArchiveError
        The bytes are not exactly what `pack` returned with this version.
    """
    if len(data) < _HEAD.size + _CHECKSUM_BYTES or not data.startswith(_MAGIC):
        raise ArchiveError("not an asyncframes file, or truncated")
    _, found, header_length = _HEAD.unpack_from(data)
    if found != version:
        raise ArchiveError(f"format version {found}: this release reads version {version}")
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if _checksum(body) != checksum:
        raise ArchiveError("damaged: the checksum does not match")
    try:
        header = json.loads(body[_HEAD.size : _HEAD.size + header_length])
        arrays = _decoded(header["arrays"], body[_HEAD.size + header_length :], most_bytes)
        return dict(header["facts"]), arrays
    except (KeyError, TypeError, ValueError, RecursionError, zlib.error) as exc:
        raise ArchiveError(f"malformed: {exc}") from exc


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest()


def _encoded(array: NDArray[Any]) -> bytes:
    if array.dtype != np.int64:
        return array.astype(np.uint8).tobytes()
    steps = np.diff(array, prepend=np.int64(0)).astype("<i8")
    return steps.view(np.uint8).reshape(-1, 8).T.tobytes()


def _decoded(described: list[Any], payload: bytes, most_bytes: int | None) -> dict[str, NDArray[Any]]:
    sizes = [np.dtype(_DTYPES[kind]).itemsize * length for _, kind, length in described]
    total = sum(sizes)
    most = _MOST_INFLATION * len(payload)
    if min(sizes, default=0) < 0 or total > (most if most_bytes is None else min(most, most_bytes)):
        raise ValueError("impossible lengths")
    inflater = zlib.decompressobj()
    data = inflater.decompress(payload, total + 1)
    if len(data) != total or not inflater.eof or inflater.unused_data:
        raise ValueError("its lengths differ from its header")
    arrays: dict[str, NDArray[Any]] = {}
    position = 0
    for (name, kind, _), size in zip(described, sizes, strict=True):
        raw = np.frombuffer(data, np.uint8, size, position)
        position += size
        if kind == "int64":
            steps = np.ascontiguousarray(raw.reshape(8, -1).T).view("<i8").reshape(-1)
            arrays[str(name)] = np.cumsum(steps, dtype=np.int64)
        else:
            arrays[str(name)] = raw.astype(_DTYPES[kind])
    return arrays
