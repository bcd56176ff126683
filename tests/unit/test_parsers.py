"""Parsers of hostile bytes, fed with mutations of real headers: a result, or the one signal."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncframes._media.bitstream.hidden import _has_no_gif_image, _is_hidden_vp8, _is_hidden_vp9
from asyncframes._media.checked import MalformedError
from asyncframes._media.container.motion_jpeg import begins_with_two
from asyncframes._media.files.media_files import DirectFile
from asyncframes._media.mp4.boxes import boxes_in, boxes_of
from asyncframes._media.mp4.claims import ContainerLimits, check_claims
from asyncframes._media.mp4.fragment_watch import FragmentWatch
from asyncframes._media.mp4.fragments import beginning_of, media_ranges
from asyncframes._media.mp4.samples import _positions, _tracks
from asyncframes._media.mp4.segments import claimed_seconds, places_in_mfra, read_sidx
from asyncframes._media.stepwise import finished
from asyncframes.errors import UnsupportedMediaError
from tests.support.marks import examples
from tests.support.streams.clips import clip_bytes
from tests.support.streams.hostile import box

SIDX = box(b"sidx", bytes(4) + (b"\0\0\0\1" * 4) + b"\0\0\0\3" + b"\0\0\1\0\0\0\4\0\0\0\0\0" * 3)
TFRA = box(b"mfra", box(b"tfra", b"\1" + bytes(11) + b"\0\0\0\2" + bytes(40)))


def _file(data: bytes) -> DirectFile:
    return DirectFile(io.BytesIO(data), len(data), "fuzzed")


def _moov(data: bytes) -> None:
    for tables in _tracks(data):
        with suppress(MalformedError):
            _positions(tables, np.ones(24, np.int64))


def _watch(data: bytes) -> None:
    watch = FragmentWatch(1000, "fuzzed", finds_cut=True)
    for start in range(0, len(data), 1000):
        watch.see(start, data[start : start + 1000])
        watch.stop_of_cut(start)
        watch.first_astray(1, start)


PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "boxes": (lambda data: list(boxes_in(data)), clip_bytes(frames=4, faststart=True)[:2048]),
    "file boxes": (lambda data: list(boxes_of(_file(data))), clip_bytes(frames=24, fragmented=True)),
    "sample tables": (_moov, clip_bytes(frames=24, faststart=True)[40:2048]),
    "beginning": (lambda data: beginning_of(_file(data)), clip_bytes(frames=24, fragmented=True)),
    "media ranges": (
        lambda data: finished(media_ranges(_file(data))),
        clip_bytes(frames=24, fragmented=True),
    ),
    "fragment watch": (_watch, clip_bytes(frames=24, fragmented=True)),
    "claimed seconds": (
        lambda data: claimed_seconds(_file(data)),
        SIDX + clip_bytes(frames=4, fragmented=True),
    ),
    "motion jpeg": (
        begins_with_two,
        clip_bytes(frames=2, codec="mjpeg", container="mjpeg", pixel_format="yuvj420p"),
    ),
    "sidx": (lambda data: read_sidx(data, 0), SIDX),
    "mfra": (places_in_mfra, TFRA),
    "claims": (
        lambda data: check_claims(_file(data), ContainerLimits()),
        clip_bytes(frames=24, faststart=True)[:4096],
    ),
}


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=examples(150))
@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(min_size=1, max_size=8)), max_size=6),
    length=st.integers(0, 1 << 14),
)
def test_mutations(name: str, changes: list[tuple[int, bytes]], length: int) -> None:
    """Whatever bytes are changed, cut off or put in, nothing else is raised."""
    parse, seed = PARSERS[name]
    data = bytearray(seed)
    for place, value in changes:
        at = place % len(data)
        data[at : at + len(value)] = value
    with suppress(MalformedError, UnsupportedMediaError):
        parse(bytes(data[: length or None]))


@pytest.mark.parametrize("parse", [_is_hidden_vp8, _is_hidden_vp9, _has_no_gif_image])
@settings(max_examples=examples(300))
@given(
    begin=st.sampled_from([b"", b"GIF89a", b"\x21\xf9", b"\x82\x49"]), rest=st.binary(min_size=1, max_size=64)
)
def test_packets_of_any_bytes(parse: Callable[[Any], bool], begin: bytes, rest: bytes) -> None:
    """A packet that holds anything is told to be shown or not, whatever its bytes."""
    assert parse(memoryview(begin + rest)) in {True, False}
