"""Destinations for frames: image files, tar shards, one array, or any `FrameWriter`."""

from __future__ import annotations

from asyncframes._frames.encoders import Encoder, encoder_for
from asyncframes._frames.jpeg import encode_i420, encode_jpeg
from asyncframes._frames.png import encode_png
from asyncframes.writers._directory import DirectoryWriter
from asyncframes.writers._npy import NpyWriter
from asyncframes.writers._pipeline import write_frames
from asyncframes.writers._tar import TarWriter

__all__ = [
    "DirectoryWriter",
    "Encoder",
    "NpyWriter",
    "TarWriter",
    "encode_i420",
    "encode_jpeg",
    "encode_png",
    "encoder_for",
    "write_frames",
]
