"""Where frames go: image files in a directory, or anything that implements `FrameWriter`."""

from __future__ import annotations

from asyncframes.writers._directory import DirectoryWriter
from asyncframes.writers._encoders import Encoder, encoder_for
from asyncframes.writers._jpeg import encode_jpeg
from asyncframes.writers._pipeline import write_frames
from asyncframes.writers._png import encode_png

__all__ = ["DirectoryWriter", "Encoder", "encode_jpeg", "encode_png", "encoder_for", "write_frames"]
