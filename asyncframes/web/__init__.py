"""Exact frames over HTTP: an application for aiohttp, with a page that shows videos frame by frame."""

from __future__ import annotations

from asyncframes.web._aiohttp import frame_app
from asyncframes.web._limits import WebLimits
from asyncframes.web._values import WebRequest

__all__ = ["WebLimits", "WebRequest", "frame_app"]
