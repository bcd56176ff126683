"""The versions of PyAV that are supported; each environment of ``nox -s tests`` holds one of them."""

from __future__ import annotations

import ctypes
import io
from dataclasses import fields
from fractions import Fraction
from functools import partial
from importlib.metadata import requires

import av
import pytest
from av.rational import AVRational
from packaging.requirements import Requirement

import asyncframes as af
from asyncframes._media.pyav import fraction_of, packet_of
from asyncframes.errors import CorruptMediaError
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.patches import lossless


def test_the_installed_version_is_supported_and_opens_a_clip() -> None:
    """PyAV is one of those that the package asks for, and every frame comes out by its index."""
    [wanted] = [
        found for found in map(Requirement, requires("asyncframes-video") or ()) if found.name == "av"
    ]
    assert wanted.specifier.contains(av.__version__)
    with af.sync.open_video(clip_bytes(frames=24)) as video:
        assert [painted_index(video.frame(index).image) for index in (23, 0, 11)] == [23, 0, 11]
        assert [painted_index(frame.image) for frame in video.frames()] == list(range(24))


def test_ratios_are_fractions() -> None:
    """No number of PyAV's own types reaches the caller."""
    with af.sync.open_video(clip_bytes(rate=Fraction(30000, 1001))) as video:
        info, frame, table = video.info, video.frame(5), video.frame_table()
    assert type(info.average_rate) is type(info.time_base) is type(info.sample_aspect_ratio) is Fraction
    assert info.average_rate == Fraction(30000, 1001)
    assert type(frame.time_base) is type(table.time_base) is type(table.average_rate) is Fraction
    modules = {type(getattr(info, field.name)).__module__.split(".")[0] for field in fields(info)}
    assert modules <= {"builtins", "fractions", "datetime", "asyncframes"}


def test_unset_ratios_are_passed_over() -> None:
    """``None``, 0/1 and n/0 all mean that a ratio is not set; the next one counts."""
    unset = [None, AVRational(0, 1), AVRational(1, 0), Fraction(0)]
    assert fraction_of(*unset) is None
    assert fraction_of(*unset, AVRational(30000, 1001), Fraction(25)) == Fraction(30000, 1001)
    assert type(fraction_of(AVRational(30, 2))) is Fraction


def test_metadata_may_be_in_any_encoding() -> None:
    """A title that is not UTF-8 does not keep a file from being opened."""
    written = io.BytesIO()
    with av.open(io.BytesIO(clip_bytes()), "r") as reader, av.open(written, "w", format="mp4") as writer:
        source = reader.streams.video[0]
        stream = writer.add_stream_from_template(source)
        writer.metadata["title"] = "Title in Latin-1"
        for packet in reader.demux(source):
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    data = written.getvalue()
    assert data.count(b"Title in Latin-1") == 1
    with af.sync.open_video(data.replace(b"Title in Latin-1", b"Title in Latin-\xe9")) as video:
        assert painted_index(video.frame(7).image) == 7


def test_a_codec_that_cannot_be_opened_is_an_error() -> None:
    """PyAV 19 crashes the process where the name of such a codec is asked for."""
    data = lossless([av.VideoFrame(128, 96, "yuv420p") for _ in range(12)])
    with av.open(io.BytesIO(data)) as container:
        extradata = container.streams.video[0].codec_context.extradata or b""
    assert data.count(extradata) == 1
    broken = data.replace(extradata, b"\xff" * len(extradata))
    for threads in (1, 4):
        with af.sync.open_video(broken, threads=threads) as video:
            assert video.info.codec == video.info.video_streams[0].codec == "ffv1"
            for request in (video.count, partial(video.frame, 0), partial(next, video.frames())):
                with pytest.raises(CorruptMediaError):
                    request()


def test_a_packet_ends_in_zeros() -> None:
    """Decoders read behind it. PyAV uses the memory of bytes, behind which there may be anything."""
    data = bytes(range(1, 140))
    packet = packet_of(data)
    assert ctypes.string_at(packet.buffer_ptr, packet.size + 64) == data + bytes(64)
