"""Sources that belong to the process that opened them."""

from __future__ import annotations

from asyncframes._runtime.life import ForkGuard, watch
from asyncframes.abc import StreamSource


class OneProcess(StreamSource):
    """A source that forked children of the process that opened it cannot use.

    One that is not open yet may be opened by any process.
    """

    _process: ForkGuard | None = None

    def _bind_to_process(self) -> None:
        """Note who opens it, and refuse a child of that process.

        Raises
        ------
        ForkedError
            The parent opened it.
        """
        if self._process is None:
            self._process = ForkGuard(f"the source {self.name}")
            watch(self)
        self._process.check()

    @property
    def _is_forked(self) -> bool:
        return self._process is not None and self._process.is_forked
