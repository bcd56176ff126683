"""What may be said of an address: everything but its secrets."""

from __future__ import annotations

from urllib.parse import urlsplit


def public_url(url: str) -> str:
    """Name a URL without user info, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an unreadable URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def public_name(name: str) -> str:
    """Name a path as it is, and a URL without its secrets."""
    return public_url(name) if "://" in name else name
