"""Sources that travel to other processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yarl

from asyncframes.errors import NotPicklableError, SourceAddressError
from asyncframes.sources import LocalSource, MemorySource
from asyncframes.sources._picklable import picklable_sources, source_to_open
from asyncframes.sources._registry import SourceLike


def test_addresses_are_sent_unchanged() -> None:
    given: list[SourceLike] = [
        "https://example.com/a.mp4",
        "https://example.com/b.mp4",
        "a.mp4",
        Path("b.mp4"),
    ]
    assert picklable_sources(given) == given


def test_a_parsed_url_is_sent_as_its_text() -> None:
    url = "https://example.com/a.mp4?signature=one"
    assert picklable_sources([yarl.URL(url)]) == [url]


def test_what_is_no_address_is_sent_as_a_source() -> None:
    (source,) = picklable_sources([b"bytes of a video"])
    assert isinstance(source, MemorySource)


def test_an_open_file_belongs_to_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"bytes of a video")
    with path.open("rb") as file, pytest.raises(NotPicklableError):
        picklable_sources([file])


@pytest.mark.parametrize("address", ["nothing://a.mp4", "https://"])
def test_a_wrong_address_is_refused_where_it_is_given(address: str) -> None:
    with pytest.raises(SourceAddressError):
        picklable_sources([address])


def test_a_source_is_opened_as_a_copy() -> None:
    source = LocalSource("a.mp4")
    copy = source_to_open(source)
    assert isinstance(copy, LocalSource)
    assert copy is not source
    assert copy.name == source.name
    assert source_to_open("a.mp4") == "a.mp4"
