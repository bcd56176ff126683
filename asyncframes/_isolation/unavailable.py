"""The error of a measure that this system lacks."""

from __future__ import annotations

INSTALL = "pip install 'asyncframes-video[isolation]'"


class UnavailableError(Exception):
    """A measure did not take effect; the message is the note of the report that says why."""
