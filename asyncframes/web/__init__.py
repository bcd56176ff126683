"""Exact frames over HTTP: an application for aiohttp and ASGI, with a page that shows videos."""

from __future__ import annotations

from asyncframes.web._aiohttp import frame_app
from asyncframes.web._asgi import FrameAsgi, asgi
from asyncframes.web._limits import WebLimits
from asyncframes.web._values import WebRequest

__all__ = ["FrameAsgi", "WebLimits", "WebRequest", "asgi", "frame_app"]
