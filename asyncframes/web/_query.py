"""Parameters of requests: read strictly, so that none is ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from asyncframes._model.quoting import quoted_option
from asyncframes._types import PictureOptions, VideoInfo
from asyncframes.web._values import WebRequest

VERSION = "v"
"""The parameter that names the version of a video, which every route of a video takes."""

PICTURE = ("width", "crop", "quality")
"""Parameters of all images."""

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_SECONDS = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")


class Query:
    """The parameters of a request.

    Parameters
    ----------
    request
        The request.
    *names
        The parameters that its route takes, besides `VERSION`.

    Raises
    ------
    ValueError
        There is another parameter.
    """

    def __init__(self, request: WebRequest, *names: str) -> None:
        self._values: Mapping[str, str] = request.query
        for name in self._values:
            if name not in {*names, VERSION}:
                known = ", ".join((*names, VERSION))
                raise ValueError(f"parameter {quoted_option(name)} is unknown: expected one of {known}")

    def text(self, name: str) -> str | None:
        """Return a parameter as it was given."""
        return self._values.get(name)

    def integer(self, name: str, *, least: int | None = None) -> int | None:
        """Return a parameter as an integer; ``None`` if it is not given.

        Raises
        ------
        ValueError
            It is no integer, or less than `least`.
        """
        text = self._values.get(name)
        return None if text is None else integer(text, name, least=least)

    def quality(self, default: int | None = None) -> int | None:
        """Return the quality for the encoder.

        Raises
        ------
        ValueError
            It is no integer.
        """
        found = self.integer("quality")
        return default if found is None else found

    def seconds(self, name: str) -> Fraction | None:
        """Return a parameter as exact seconds; ``None`` if it is not given.

        Raises
        ------
        ValueError
            It is no number.
        """
        text = self._values.get(name)
        return None if text is None else seconds(text, name)

    def picture(self, info: VideoInfo) -> PictureOptions:
        """Return how an image is made: which part of it, and no wider than `width`.

        Raises
        ------
        ValueError
            A parameter is invalid.
        """
        options: PictureOptions = {}
        own_width = info.width
        if (crop := self.text("crop")) is not None:
            options["crop"] = part = _crop(crop)
            own_width = part[2]
        width = self.integer("width", least=1)
        if width is not None and width < own_width:
            options["resize"] = (width, None)
        return options


def integer(text: str, name: str, *, least: int | None = None) -> int:
    """Parse an integer.

    Raises
    ------
    ValueError
        It is no integer, or less than `least`.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{name}={quoted_option(text)}: expected an integer")
    value = int(text)
    if least is not None and value < least:
        raise ValueError(f"{name}={value}: expected {least} or more")
    return value


def seconds(text: str, name: str) -> Fraction:
    """Parse a decimal number of seconds, exactly.

    Raises
    ------
    ValueError
        It is no number.
    """
    if not _SECONDS.fullmatch(text):
        raise ValueError(f"{name}={quoted_option(text)}: expected seconds, such as 12.5")
    return Fraction(text)


def _crop(text: str) -> tuple[int, int, int, int]:
    parts = text.split(",")
    if len(parts) != 4 or not all(_INTEGER.fullmatch(part) for part in parts):
        raise ValueError(f"crop={quoted_option(text)}: expected x,y,width,height in pixels")
    x, y, width, height = map(int, parts)
    return x, y, width, height
