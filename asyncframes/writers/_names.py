"""File names from a template, checked before the first frame."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

from asyncframes._frames.frame import Frame
from asyncframes._model.quoting import quoted_option

__all__ = ["NameTemplate"]

FIELDS = frozenset({"index", "ext", "pts", "seconds"})
TRIAL_INDICES = (0, 1, 9, 10, 999_999, 1_000_000, 1_000_001)


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A `str.format` template that gives each frame its own name.

    Attributes
    ----------
    template
        Fields: ``index`` (required), ``ext``, ``pts`` (ticks), ``seconds``.
    ext
        File extension without its dot.
    """

    template: str
    ext: str

    def __post_init__(self) -> None:
        given = f"template={quoted_option(self.template)}"
        try:
            fields = self._fields()
            unknown = sorted(fields - FIELDS)
            names = {self._format(index, pts=0, seconds=0.0) for index in TRIAL_INDICES if not unknown}
        except (KeyError, IndexError, ValueError, AttributeError) as exc:
            raise ValueError(f"{given} cannot be formatted: expected fields such as {{index:06d}}") from exc
        if unknown:
            known = ", ".join(sorted(FIELDS))
            raise ValueError(f"{given} has an unknown field {quoted_option(unknown[0])}: expected {known}")
        if "index" not in fields or len(names) < len(TRIAL_INDICES):
            raise ValueError(f"{given}: expected a template that gives each index its own name")
        for name in names:
            if name in {".", ".."} or set(name) & set("/\\\0"):
                raise ValueError(f"{given} leaves the directory: it gives {quoted_option(name)}")

    @property
    def needs_pts(self) -> bool:
        """Whether the name depends on more than the index."""
        return bool(self._fields() & {"pts", "seconds"})

    @property
    def naming(self) -> str:
        """The template with the extension filled in."""
        return self.template.replace("{ext}", self.ext)

    def name(self, index: int) -> str:
        """Return the file name for an index.

        Raises
        ------
        ValueError
            The template uses ``pts`` or ``seconds``.
        """
        if self.needs_pts:
            raise ValueError(f"template={quoted_option(self.template)} needs more than the frame's index")
        return self._format(index, pts=None, seconds=None)

    def name_of(self, frame: Frame) -> str:
        """Return the file name for a frame.

        Raises
        ------
        ValueError
            The template uses ``pts`` or ``seconds``, and the frame has none.
        """
        if frame.pts is None and self.needs_pts:
            raise ValueError(f"template={quoted_option(self.template)} needs a pts, and the frame has none")
        return self._format(frame.index, pts=frame.pts, seconds=frame.pts_seconds)

    def _fields(self) -> set[str]:
        return {field for _, field, _, _ in Formatter().parse(self.template) if field is not None}

    def _format(self, index: int, *, pts: int | None, seconds: float | None) -> str:
        return self.template.format(index=index, ext=self.ext, pts=pts, seconds=seconds)
