"""data: URLs: RFC 2397's two encodings, what browsers make of it, and what is malformed."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

import asyncframes as af
from asyncframes.errors import ClosedError, SourceAddressError, SourceError, SourceLimitError
from asyncframes.sources import _data_url, resolve_source
from asyncframes.sources._data_url import DataUrlSource, decoded, is_data_url
from asyncframes.sources._names import name_of
from tests.support.streams.clips import clip_bytes

CLIP = clip_bytes(frames=6)


@given(
    data=st.binary(max_size=200),
    chunk=st.integers(4, 40),
    breaks=st.integers(1, 30),
    is_padded=st.booleans(),
    is_escaped=st.booleans(),
)
def test_base64_decodes(data: bytes, chunk: int, breaks: int, is_padded: bool, is_escaped: bool) -> None:
    """With line breaks, without padding, and with its signs percent-encoded, wherever a chunk ends."""
    text = base64.b64encode(data).decode()
    text = text if is_padded else text.rstrip("=")
    text = "\r\n ".join(text[start : start + breaks] for start in range(0, len(text), breaks))
    if is_escaped:
        text = text.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_data_url, "_CHUNK", chunk)
        assert decoded(f"data:video/mp4;base64,{text}#t=3") == data


@given(data=st.binary(max_size=200), chunk=st.integers(4, 40))
def test_percent_encoding_decodes(data: bytes, chunk: int) -> None:
    """All bytes or only those that have to be are escaped, in either case."""
    few, lower = quote_from_bytes(data), "".join(f"%{byte:02x}" for byte in data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_data_url, "_CHUNK", chunk)
        for text in (few, lower, lower.upper()):
            assert decoded(f"data:application/octet-stream,{text}") == data


@pytest.mark.parametrize(
    "header",
    [
        "data:;base64,",
        "data:video/mp4;base64,",
        "DATA:Video/MP4;Base64,",
        "data:video/mp4; base64,",
        "data:video/webm;codecs=vp9;base64,",
        "data:video/webm;codecs=vp8,opus;base64,",
        'data:video/mp4;codecs="avc1.4D401E, mp4a.40.2";base64,',
        "data:video/mp4;charset=utf-8;name=a%20b.mp4;base64,",
    ],
)
def test_headers_that_are_met(header: str) -> None:
    """What browsers write, which end a header at its last comma, and what RFC 2397 has."""
    assert is_data_url(header)
    assert decoded(header + "AAEC") == b"\0\1\2"


@pytest.mark.parametrize("header", ["data:,", "data:video/mp4,", "data:video/mp4;codecs=avc1,"])
def test_headers_without_base64(header: str) -> None:
    """Then the data is percent-encoded."""
    assert is_data_url(header)
    assert decoded(header + "AAEC%00") == b"AAEC\0"


@pytest.mark.parametrize("path", ["data:video.mp4", "data", "data/a,b.mp4", "data:video/mp4", "mydata:,", ""])
def test_paths_that_are_none(path: str) -> None:
    """A file may be called so."""
    assert not is_data_url(path)


MALFORMED = {
    "data:;base64,A": "breaks off",
    "data:;base64,AAAAA": "breaks off",
    "data:;base64,AA===": "breaks off",
    "data:;base64,AA=A": "characters of base64",
    "data:;base64,AAA=AAAA": "padding at the end",
    "data:;base64,hush!hus": "characters of base64",
    "data:;base64,AA-_": "characters of base64",
    "data:;base64,AA%4": "two hexadecimal digits",
    "data:,hush%": "two hexadecimal digits",
    "data:,hush%4": "two hexadecimal digits",
    "data:,hush%4g": "two hexadecimal digits",
    "data:,hush%%41": "two hexadecimal digits",
    "data:,hush\u00e9": "ASCII",
    "data:,hush\ud800": "ASCII",
    "data:hush" + "x" * 5000: "media type",
}


@pytest.mark.anyio
@pytest.mark.parametrize("url", MALFORMED, ids=range(len(MALFORMED)))
async def test_what_is_malformed_is_a_named_error(url: str) -> None:
    """It says what was expected, and quotes nothing but the length."""
    source = resolve_source(url)
    with pytest.raises(SourceAddressError, match=f"{MALFORMED[url]}.*data: URL of {len(url)} char") as caught:
        await source.open()
    with pytest.raises(SourceAddressError, match=MALFORMED[url]):
        source.local_file()  # type: ignore[union-attr]  # a data URL has one
    shown = [str(caught.value), repr(source), name_of(url), source.name]
    assert not [text for text in shown if "hush" in text or len(text) > 300]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is decoded."""
    monkeypatch.setattr(_data_url, "MOST_CHARACTERS", 20)
    with pytest.raises(SourceLimitError, match="at most 20 characters; pass the bytes"):
        af.open_video("data:;base64,AAAAAAAA")


@pytest.mark.anyio
async def test_frames_of_a_data_url() -> None:
    """The video decodes, and its source holds nothing after it is closed."""
    source = DataUrlSource("data:video/mp4;base64," + base64.b64encode(CLIP).decode())
    assert source.size is None
    async with af.open_video(source) as video:
        assert [frame.index async for frame in video.frames(indices=[5, 0])] == [5, 0]
        assert source.size == len(CLIP)
    with pytest.raises(ClosedError, match="DataUrlSource"):
        await source.read_range(0, 1)
    assert (source._data, source._url) == (b"", "")


@pytest.mark.anyio
async def test_closing_while_it_is_decoded_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening ends in `ClosedError`, and the bytes are dropped."""
    begun, may_end = threading.Event(), threading.Event()

    def slow(url: str, check: Callable[[int], None]) -> bytes:
        begun.set()
        may_end.wait(10)
        return decoded(url, check)

    monkeypatch.setattr(_data_url, "decoded", slow)
    source = DataUrlSource("data:;base64,AAAA")
    opening = asyncio.create_task(source.open())
    assert await asyncio.to_thread(begun.wait, 10)
    await source.aclose()
    may_end.set()
    with pytest.raises(ClosedError):
        await opening
    assert (source._data, source._url) == (b"", "")


@pytest.mark.anyio
async def test_a_data_url_that_is_no_video_is_not_quoted() -> None:
    """Nor is it in the error of the decoder, or in the results of many."""
    url = "data:text/plain;base64," + base64.b64encode(b"hush" * 999).decode()
    with pytest.raises(af.errors.AsyncFramesError) as caught:
        await af.open_video(url)
    assert not isinstance(caught.value, SourceError)
    assert url[-40:] not in str(caught.value)
    async for result in af.extract_many([(url, "nowhere")]):
        assert result.name == f"a data: URL of {len(url)} characters"
        assert url[-40:] not in repr(result)
