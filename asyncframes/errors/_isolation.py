"""Faults of the process that decodes a video on its own."""

from __future__ import annotations

from asyncframes.errors._base import AsyncFramesError, with_source
from asyncframes.errors._policy import PolicyError


class IsolationError(PolicyError, RuntimeError):
    """A video cannot be decoded in a process of its own, or that process is less confined than required."""


class DecoderCrashedError(AsyncFramesError):
    """The process that decoded a video ended, was ended, or broke the protocol. Other videos go on.

    Frames that were delivered before are right. Open the video again to go on.

    Attributes
    ----------
    source
        Name of the source, without credentials; ``None`` if unknown.
    signal
        Name of the signal that ended the process, such as ``"SIGSEGV"``; ``None`` if there was none.
    limit
        The limit that it exceeded: ``"cpu"``, ``"memory"``, ``"progress"`` (it did nothing while it had
        work and bytes) or ``"protocol"``; ``None`` if it was none.
    exit_code
        Its exit code; ``None`` if it did not exit by itself.
    """

    def __init__(
        self,
        message: str = "",
        *,
        source: str | None = None,
        signal: str | None = None,
        limit: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(with_source(message, source))
        self.source = source
        self.signal = signal
        self.limit = limit
        self.exit_code = exit_code
