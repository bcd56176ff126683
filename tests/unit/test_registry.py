"""From what a user names to the source it means."""

from __future__ import annotations

import io
import mmap
from array import array
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydantic
import pytest
import yarl

from asyncframes.abc import StreamSource
from asyncframes.sources import (
    FileObjectSource,
    HttpSource,
    LocalSource,
    MemorySource,
    _registry,
    register_scheme,
    resolve_source,
)
from asyncframes.sources._data_url import DataUrlSource
from asyncframes.sources._names import name_of


class Tape(MemorySource):
    """A third party's source."""

    def __init__(self, url: str) -> None:
        super().__init__(url.encode())


@pytest.fixture(autouse=True)
def _registry_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_factories", dict(_registry._factories))


@pytest.mark.parametrize(
    ("named", "kind", "name"),
    [
        ("clip.mp4", LocalSource, "clip.mp4"),
        ("a:b.mp4", LocalSource, "a:b.mp4"),
        (r"C:\clips\a.mp4", LocalSource, r"C:\clips\a.mp4"),
        ("concat:a.ts|b.ts", LocalSource, "concat:a.ts|b.ts"),
        (Path("clips/a.mp4"), LocalSource, str(Path("clips/a.mp4"))),
        ("file:///clips/a%20b.mp4", LocalSource, "/clips/a b.mp4"),
        ("file:/clips/a.mp4", LocalSource, "/clips/a.mp4"),
        ("FILE://localhost/clips/a.mp4", LocalSource, "/clips/a.mp4"),
        ("http://host/a.mp4?sig=hush", HttpSource, "http://host/a.mp4"),
        ("HTTPS://host/a.mp4#t=3", HttpSource, "https://host/a.mp4"),
        (yarl.URL("http://user:hush@host/a.mp4?sig=hush"), HttpSource, "http://host/a.mp4"),
        (httpx.URL("https://user:hush@host/a.mp4?sig=hush"), HttpSource, "https://host/a.mp4"),
        (pydantic.HttpUrl("https://host/a.mp4?sig=hush"), HttpSource, "https://host/a.mp4"),
        (yarl.URL("file:///clips/a%20b.mp4"), LocalSource, "/clips/a b.mp4"),
        (b"1234", MemorySource, "4 bytes in memory"),
        (bytearray(b"1234"), MemorySource, "4 bytes in memory"),
        (memoryview(b"1234"), MemorySource, "4 bytes in memory"),
        (array("B", b"1234"), MemorySource, "4 bytes in memory"),
        (np.arange(4, dtype=np.uint8), MemorySource, "4 bytes in memory"),
        (np.arange(8, dtype=np.uint8)[::2], MemorySource, "4 bytes in memory"),
        (io.BytesIO(b"1234"), FileObjectSource, "a BytesIO object"),
        (mmap.mmap(-1, 4), FileObjectSource, "a mmap object"),
        ("data:video/mp4;base64,MTIzNA==", DataUrlSource, "a data: URL of 30 characters"),
        ("DATA:,1234", DataUrlSource, "a data: URL of 10 characters"),
        ("data:video.mp4", LocalSource, "data:video.mp4"),
    ],
)
def test_each_kind_has_its_source(named: Any, kind: type[StreamSource], name: str) -> None:
    """A path, a URL, bytes and a file object mean what they look like."""
    source = resolve_source(named)
    assert type(source) is kind
    assert source.name == name
    if "host" in name:
        assert name_of(named) == name


def test_a_source_is_passed_through() -> None:
    """A source means itself."""
    source = MemorySource(b"")
    assert resolve_source(source) is source


def test_an_unknown_scheme_names_the_known_ones() -> None:
    """The error helps and tells nothing of the address."""
    with pytest.raises(ValueError, match=r"gopher://.*file, gs, http, https") as caught:
        resolve_source("gopher://user:hush@host/a.mp4?sig=hush")
    assert "hush" not in str(caught.value)


def test_a_scheme_that_ffmpeg_opens_names_its_source() -> None:
    """A camera's address leads to the class that is asked for by name."""
    with pytest.raises(ValueError, match=r"rtsp:// URLs .* pass FFmpegUrlSource\(url\)") as caught:
        resolve_source("rtsp://user:hush@camera/1?hush")
    assert "hush" not in str(caught.value)


def test_a_file_url_of_another_host_is_refused() -> None:
    """Only this machine's files are files."""
    with pytest.raises(ValueError, match="host"):
        resolve_source("file://elsewhere/a.mp4")


@pytest.mark.parametrize(("named", "text"), [(4.2, "float"), (True, "bool"), (None, "is None:")])
def test_what_names_no_source_is_a_type_error(named: Any, text: str) -> None:
    """The text says what came."""
    with pytest.raises(TypeError, match=text):
        resolve_source(named)


def test_a_scheme_can_be_registered() -> None:
    """A registered factory gets the whole URL, whatever the case of its scheme."""
    register_scheme("Tape", Tape)
    source = resolve_source("tape://reel/7")
    assert type(source) is Tape
    with pytest.raises(ValueError, match="scheme"):
        register_scheme("not a scheme", Tape)


def test_a_scheme_can_come_from_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is loaded on first use and named among the known schemes before."""
    offered = EntryPoints([EntryPoint("tape", f"{__name__}:Tape", "asyncframes.sources")])
    monkeypatch.setattr(_registry, "entry_points", lambda group: offered.select(group=group))
    with pytest.raises(ValueError, match="http, https, s3, tape"):
        resolve_source("gopher://host/")
    assert type(resolve_source("tape://reel/7")).__name__ == "Tape"
