"""What is quoted of inputs is short, printable and without secrets."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import asyncframes as af
from asyncframes import errors
from asyncframes._model.quoting import a_kind, quoted, shortened
from asyncframes._model.rendering import make_rendering
from asyncframes._model.selection import make_selection
from asyncframes._saving.save import Saving
from asyncframes.cli import main
from asyncframes.errors import AsyncFramesError, MediaError, SourceError
from asyncframes.sources import HttpSource, MemorySource, register_scheme, resolve_source
from asyncframes.sources._names import public_name, public_url

LONG = "x" * 500_000


@given(st.text(), st.integers(10, 60))
def test_what_is_shown_is_short_and_printable(text: str, longest: int) -> None:
    """Whatever comes in, what goes out has no more characters than allowed, and no line breaks."""
    shown = shortened(text * 3, longest=longest)
    assert len(shown) <= longest
    assert shown.isprintable()
    assert len(quoted(text * 3, longest=longest)) <= 2 * longest


def test_short_text_stays() -> None:
    """What is short and printable is shown as it is; of what is long both ends are."""
    assert shortened("a clip.mp4") == "a clip.mp4"
    assert shortened("a\nb\0\ud800") == r"a\nb\x00\ud800"
    assert shortened("begin" + LONG + "end.mp4").startswith("begin")
    assert shortened("begin" + LONG + "end.mp4").endswith("end.mp4")


def test_a_value_without_a_representation_is_named_by_its_type() -> None:
    """An error about a value does not end in that value's own error."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert quoted(Broken()) == "a Broken"
    assert quoted(b"1234") == "bytes of length 4"
    assert quoted("it's") == repr("it's")
    assert quoted("a\0\n\\b") == repr("a\0\n\\b")


def test_a_kind_has_the_article_of_its_first_letter() -> None:
    """An error says "an int", not "a int"."""
    values: list[object] = [1, "", [], None]
    assert [a_kind(value) for value in values] == ["an int", "a str", "a list", "None"]


@pytest.mark.parametrize("kind", [SourceError, MediaError])
def test_an_error_is_short_whatever_its_source_is_called(kind: type[SourceError] | type[MediaError]) -> None:
    """The text of an error holds some of a long name, the attribute all of it."""
    error = kind("no such file", source=LONG)
    assert len(str(error)) < 300
    assert error.source == LONG


@pytest.mark.parametrize(
    "named",
    [
        f"gopher{LONG}://host/",
        f"s3://{LONG}",
        f"file://{LONG}/",
        f"file://[{LONG}/",
        f"http://{LONG}/",
        f"http://[{LONG}/",
        f"a\0{LONG}",
        "a\0b",
        "\ud800",
    ],
)
def test_an_address_that_cannot_be_opened_is_a_short_error(named: str) -> None:
    """Our error, a `ValueError` too, of a few hundred characters at most."""
    with pytest.raises(AsyncFramesError) as caught:
        resolve_source(named)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 400


@pytest.mark.anyio
@pytest.mark.parametrize("named", [LONG, f"{LONG}/a.mp4", f"data;{LONG}"])
async def test_a_long_path_is_a_short_error(named: str) -> None:
    """A path that is too long for any file is shown by its ends."""
    source = resolve_source(named)
    with pytest.raises(SourceError) as caught:
        await source.open()
    assert len(str(caught.value)) < 400
    assert len(repr(source)) < 400
    assert len("".join(traceback.format_exception(caught.value))) < 20_000


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://user:hush@host:80/a?sig=hush#hush", "http://host:80/a"),
        ("http://user:hu/sh@host/a", "http://…"),
        ("http://[hush", "http://…"),
        ("user:hush@host/a?sig=hush", "host/a"),
        ("//user:hush@host/a", "//host/a"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_the_name_of_a_url_holds_no_secret(url: str, name: str) -> None:
    """User info, query and fragment are left out, also where the URL is none."""
    assert public_url(url) == name


def test_a_path_is_its_own_name() -> None:
    """What is no URL may hold anything."""
    assert public_name("a@b?c#d.mp4") == "a@b?c#d.mp4"


def test_a_source_of_a_long_address_is_shown_short() -> None:
    """A representation is for people; `name` stays whole, since tables are found by it."""
    source = HttpSource(f"http://host/{LONG}")
    assert len(repr(source)) < 300
    assert source.name == f"http://host/{LONG}"


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in errors.__all__])
def test_no_error_of_ours_is_long(kind: type[AsyncFramesError]) -> None:
    """Whatever goes into its message, what comes out is less than a kilobyte and one line."""
    text = str(kind(f"a\n{LONG}"))
    assert len(text) < 1000
    assert "\n" not in text


WRONG = "never-" * 10
"""Sixty characters, so that an error shows its ends only."""


def _unknown_option(options: Any) -> object:
    return af.stream_frames(b"", **options)


BLACK = np.zeros((8, 8, 3), np.uint8)

REFUSED: dict[str, Callable[[Any], object]] = {
    "on_corrupt": lambda value: af.open_video(b"", on_corrupt=value),
    "seek_mode": lambda value: af.open_video(b"", seek_mode=value),
    "seek_mode, blocking": lambda value: af.sync.open_video(MemorySource(b""), seek_mode=value),
    "allow_containers": lambda value: af.open_video(b"", allow_containers=value),
    "allow_containers, one": lambda value: af.open_video(b"", allow_containers=(value,)),
    "an option": lambda value: _unknown_option({value: 1}),
    "overwrite": lambda value: af.writers.DirectoryWriter("out", overwrite=value),
    "overwrite, one file": lambda value: af.writers.NpyWriter("a.npy", overwrite=value),
    "template": lambda value: af.writers.DirectoryWriter("out", template=value),
    "template, field": lambda value: af.writers.DirectoryWriter("out", template=f"{{{value}}}"),
    "template, format": lambda value: af.writers.DirectoryWriter("out", template=f"{{index:{value}}}"),
    "template, nested": lambda value: af.writers.DirectoryWriter("out", template=f"{{index:{{{value}}}}}"),
    "ext": lambda value: af.writers.DirectoryWriter("out", ext=value),
    "ext with quality": lambda value: af.writers.DirectoryWriter("out", ext=value, quality=3),
    "ext with level": lambda value: af.writers.DirectoryWriter("out", ext=value, compression_level=3),
    "ext with planes": lambda value: af.writers.DirectoryWriter("out", ext=value, image_format="i420"),
    "ext with 16 bits": lambda value: Saving("out", None, None, 1, {"ext": value, "image_format": "rgb48"}),
    "path_template": lambda value: af.writers.TarWriter(f"{value}.tar"),
    "path_template, field": lambda value: af.writers.TarWriter(f"{{shard:{{{value}}}}}.tar"),
    "subsampling": lambda value: af.writers.encode_jpeg(BLACK, subsampling=value),
    "image_format": lambda value: make_rendering(image_format=value),
    "color_matrix": lambda value: make_rendering(color_matrix=value),
    "resize": lambda value: make_rendering(resize=value),
    "start": lambda value: make_selection(value, None, 1),
    "end": lambda value: make_selection(None, value, 1),
    "step": lambda value: make_selection(None, None, value),
    "indices": lambda value: make_selection(None, None, 1, indices=value),
    "an index": lambda value: make_selection(None, None, 1, indices=[value]),
    "times": lambda value: make_selection(None, None, 1, times=value),
    "a time": lambda value: make_selection(None, None, 1, times=[value]),
    "fps": lambda value: make_selection(None, None, 1, fps=value),
    "num_frames": lambda value: make_selection(None, None, 1, num_frames=value),
    "short": lambda value: make_selection(None, None, 1, num_frames=1, short=value),
    "tolerance_seconds": lambda value: make_selection(None, None, 1, times=[0], tolerance_seconds=value),
    "time_range": lambda value: make_selection(None, None, 1, time_range=(value, None)),
    "scheme": lambda value: register_scheme(f"{value}!", resolve_source),
    "attempts": lambda value: HttpSource("http://host/", attempts=value),
    "timeout": lambda value: HttpSource("http://host/", range_timeout_seconds=value),
}


@pytest.mark.parametrize("value", [WRONG, LONG], ids=["60", "long"])
@pytest.mark.parametrize("name", REFUSED)
def test_no_refused_argument_is_quoted_whole(name: str, value: str) -> None:
    """A wrong value of over 50 characters is shown by its ends, whatever the option."""
    with pytest.raises((ValueError, TypeError)) as caught:
        REFUSED[name](value)
    assert len(str(caught.value)) < 1000
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        "extract {} out --on-corrupt {}",
        "extract {} out --fps {}",
        "extract {} out --indices {}",
        "extract {} out --times {}",
        "extract {} out --time-range {}",
        "extract {} out --resize {}",
        "extract {} out --step {}",
        "extract {} out --workers {}",
        "extract {} out --{}",
        "{}",
    ],
)
def test_nor_is_one_on_the_command_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What argparse itself refuses included."""
    with pytest.raises(SystemExit, match="2"):
        main(command.format(WRONG, WRONG).split())
    assert WRONG not in capsys.readouterr().err
