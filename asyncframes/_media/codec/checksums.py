"""Checksums of decoded pictures, before any conversion."""

from __future__ import annotations

import zlib

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

try:
    from isal.isal_zlib import crc32
except ImportError:  # isal has no build for some processors
    from zlib import crc32


def picture_checksum(frame: VideoFrame) -> int:
    """Return a 32-bit checksum of the pixels, pixel format and size, without the padding of rows."""
    checksum = zlib.crc32(f"{frame.format.name} {frame.width}x{frame.height}".encode())
    for number, plane in enumerate(frame.planes):
        checksum = crc32(_pixels(plane, _row_bytes(frame, number, plane)), checksum)
    return checksum


def _pixels(plane: VideoPlane, row_bytes: int) -> memoryview:
    data = memoryview(plane)
    stride = abs(plane.line_size)
    if stride == row_bytes:
        return data
    rows = np.frombuffer(data, np.uint8)[: plane.height * stride].reshape(plane.height, stride)
    return np.ascontiguousarray(rows[:, :row_bytes]).data


def _row_bytes(frame: VideoFrame, number: int, plane: VideoPlane) -> int:
    layout, stride = frame.format, abs(plane.line_size)
    if layout.has_palette:
        return stride if number else plane.width
    if layout.is_bit_stream:
        return plane.width // 8
    bits = sum(-(-component.bits // 8) * 8 for component in layout.components if component.plane == number)
    if not layout.is_planar:
        bits = layout.padded_bits_per_pixel
    return min(plane.width * bits // 8, stride)
