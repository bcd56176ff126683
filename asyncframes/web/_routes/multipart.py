"""Bodies of several parts, as RFC 2046 describes them."""

from __future__ import annotations

from collections.abc import Mapping


class Multipart:
    """The pieces of a body. Each part ends with the delimiter after it, so that readers need not wait for it.

    Parameters
    ----------
    boundary
        What no part contains.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = f"--{boundary}".encode("ascii")

    @property
    def start(self) -> bytes:
        """What comes before the first part."""
        return self._delimiter

    @property
    def end(self) -> bytes:
        """What comes after the last part."""
        return b"--\r\n"

    def part(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """Return a part. Its length is added to its headers."""
        lines = {**headers, "Content-Length": str(len(body))}
        head = "".join(f"\r\n{name}: {value}" for name, value in lines.items())
        return b"".join((head.encode("ascii"), b"\r\n\r\n", body, b"\r\n", self._delimiter))
