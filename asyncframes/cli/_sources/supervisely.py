"""``supervisely://VIDEO_ID``: finds the server's settings in the environment or in files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from asyncframes._model.quoting import quoted_option
from asyncframes.errors import MissingExtraError
from asyncframes.sources._supervisely.server import SuperviselyServer
from asyncframes.sources._supervisely.source import SuperviselySource

SCHEME = "supervisely"
_ADDRESS, _TOKEN, _VIDEO = "SERVER_ADDRESS", "API_TOKEN", "VIDEO_ID"


def source_from_settings(address: str) -> SuperviselySource:
    """Return the source for an address, with settings from the environment or from files.

    Parameters
    ----------
    address
        ``supervisely://123``, or ``supervisely://`` for the video in ``VIDEO_ID``.

    Raises
    ------
    ValueError
        A setting is missing or invalid.
    MissingExtraError
        There is a settings file, but python-dotenv is not installed.
    """
    parts = urlsplit(address)
    places = list(_places(wanted={_ADDRESS, _TOKEN} if parts.netloc else {_ADDRESS, _TOKEN, _VIDEO}))
    video_id = _video_id(parts.netloc + parts.path.rstrip("/"), places)
    return SuperviselySource(_server(places), video_id)


def _server(places: list[tuple[str, Mapping[str, str]]]) -> SuperviselyServer:
    """Take address and token from the same place, so that a stray local.env cannot send a token elsewhere."""
    for name, settings in places:
        missing = [setting for setting in (_ADDRESS, _TOKEN) if not settings.get(setting)]
        if not missing:
            return SuperviselyServer(settings[_ADDRESS], settings[_TOKEN])
        if len(missing) == 1:
            raise ValueError(f"{missing[0]} is not set in {name}: set {_ADDRESS} and {_TOKEN} in one place")
    looked = ", ".join(name for name, _ in places)
    raise ValueError(f"{_ADDRESS} and {_TOKEN} are not set (looked in {looked})")


def _video_id(text: str, places: list[tuple[str, Mapping[str, str]]]) -> int:
    text = text or next((found for _, settings in places if (found := settings.get(_VIDEO))), "")
    if not text:
        raise ValueError(f"the video ID is missing: write supervisely://123, or set {_VIDEO}")
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"{quoted_option(text)} is not a video ID: expected supervisely://123")
    return int(text)


def _places(wanted: set[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    # The environment takes precedence. Files are read only for settings that it lacks.
    found = {name: os.environ[name] for name in (_ADDRESS, _TOKEN, _VIDEO) if os.environ.get(name)}
    yield "the environment", found
    if wanted <= found.keys():
        return
    for path in (Path("local.env"), Path("~/supervisely.env").expanduser()):
        if path.is_file():
            yield str(path), _read(path)


def _read(path: Path) -> Mapping[str, str]:
    try:
        from dotenv import dotenv_values
    except ImportError as exc:
        raise MissingExtraError(
            f"{path} is read with python-dotenv: pip install 'asyncframes-video[supervisely]'",
            extra="supervisely",
        ) from exc
    return {name: value for name, value in dotenv_values(path).items() if value is not None}
