"""The command line on supervisely://VIDEO_ID, with settings from the environment and files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asyncframes.cli import main
from asyncframes.cli._sources.supervisely import source_from_settings
from asyncframes.errors import MissingExtraError
from asyncframes.sources import resolve_source
from tests.support.servers.supervisely_platform import TOKEN, Platform
from tests.support.streams.clips import clip_bytes, painted_index

VIDEO = 12


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as running:
        running.add_video(VIDEO, clip_bytes(frames=48))
        yield running


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment, a home and a working directory with nothing of Supervisely in them."""
    for name in ("SERVER_ADDRESS", "API_TOKEN", "VIDEO_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")


def settings(**values: object) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


def extract(address: str, *options: str) -> list[int]:
    assert main(["extract", address, "out", *options]) == 0
    return [painted_index(np.asarray(Image.open(path))) for path in sorted(Path("out").glob("[!.]*"))]


def test_settings_in_the_environment(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, token and even the video's number may come from it; no file is read then."""
    monkeypatch.setenv("SERVER_ADDRESS", platform.address)
    monkeypatch.setenv("API_TOKEN", TOKEN)
    monkeypatch.setenv("VIDEO_ID", str(VIDEO))
    monkeypatch.setitem(sys.modules, "dotenv", None)
    Path("local.env").write_text(settings(VIDEO_ID=99))
    assert extract("supervisely://", "--start", "-2") == [46, 47]


def test_settings_in_files(platform: Platform) -> None:
    """As in the SDK's tutorial: credentials in ~/supervisely.env, the video's number in local.env."""
    Path("~/supervisely.env").expanduser().write_text(
        settings(SERVER_ADDRESS=platform.address, API_TOKEN=TOKEN, VIDEO_ID=99)
    )
    Path("local.env").write_text(settings(VIDEO_ID=VIDEO))
    assert extract("supervisely://", "--end", "0") == [0]
    assert extract(f"SUPERVISELY://{VIDEO}/", "--indices", "7") == [0, 7]


def test_local_settings_come_first(platform: Platform) -> None:
    """Credentials in local.env stand before those in the home directory."""
    Path("~/supervisely.env").expanduser().write_text(
        settings(SERVER_ADDRESS="http://h", API_TOKEN=TOKEN[1:])
    )
    Path("local.env").write_text(f"# mine\nSERVER_ADDRESS={platform.address} # here\nAPI_TOKEN='{TOKEN}'\n")
    assert extract(f"supervisely://{VIDEO}", "--end", "1") == [0, 1]


@pytest.mark.parametrize(
    ("local", "home", "address", "reason"),
    [
        ({}, {}, "supervisely://12", "SERVER_ADDRESS and API_TOKEN are not set (looked in the environment)"),
        ({"SERVER_ADDRESS": "http://evil"}, {"SERVER_ADDRESS": "http://good", "API_TOKEN": TOKEN},
         "supervisely://12", "API_TOKEN is not set in local.env"),
        ({"API_TOKEN": TOKEN}, {}, "supervisely://12", "SERVER_ADDRESS is not set in local.env"),
        ({"SERVER_ADDRESS": "http://a", "API_TOKEN": TOKEN}, {}, "supervisely://", "the video ID is missing"),
        ({"SERVER_ADDRESS": "http://a", "API_TOKEN": TOKEN}, {}, "supervisely://twelve", "is not a video ID"),
        ({"SERVER_ADDRESS": "ftp://a", "API_TOKEN": TOKEN}, {}, "supervisely://12", "its scheme is ftp"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(
    local: dict[str, str],
    home: dict[str, str],
    address: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line says what to set where; a local.env cannot name where another place's token goes."""
    for path, values in (Path("local.env"), local), (Path("~/supervisely.env").expanduser(), home):
        if values:
            path.write_text(settings(**values))
    assert main(["extract", address, "out"]) == 1
    shown = capsys.readouterr().err
    assert reason in shown
    assert TOKEN not in shown


def test_a_refused_token_is_one_line(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's refusal reaches the shell, the token does not."""
    monkeypatch.setenv("SERVER_ADDRESS", platform.address)
    monkeypatch.setenv("API_TOKEN", "wrong" + TOKEN)
    assert main(["info", f"supervisely://{VIDEO}"]) == 1
    shown = capsys.readouterr().err
    assert "403" in shown
    assert shown.count("\n") == 1
    assert TOKEN not in shown


def test_headers_are_for_http(capsys: pytest.CaptureFixture[str]) -> None:
    """The platform's token is the one header there is."""
    with pytest.raises(SystemExit):
        main(["info", "supervisely://12", "--header", "a: b"])
    assert "expected a SOURCE with http:// or https://" in capsys.readouterr().err


def test_without_dotenv_a_file_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings file that cannot be read is no reason to go on without it."""
    monkeypatch.setitem(sys.modules, "dotenv", None)
    Path("local.env").write_text(settings(VIDEO_ID=1))
    with pytest.raises(MissingExtraError, match=r"asyncframes-video\[supervisely\]"):
        source_from_settings("supervisely://12")


def test_the_library_does_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the command line knows this scheme."""
    monkeypatch.setenv("SERVER_ADDRESS", "http://h")
    monkeypatch.setenv("API_TOKEN", TOKEN)
    with pytest.raises(ValueError, match="no source opens supervisely://"):
        resolve_source("supervisely://12")
