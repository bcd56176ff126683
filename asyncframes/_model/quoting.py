"""How inputs are quoted in errors, logs and representations: short, printable, one line."""

from __future__ import annotations

LONGEST = 200
"""Most characters quoted from one input."""

LONGEST_OPTION = 50
"""Most characters quoted from the value of an option."""

_GAP = "…"


def shortened(text: str, *, longest: int = LONGEST) -> str:
    """Return printable text: escape unprintable characters, and omit the middle of long text.

    Parameters
    ----------
    text
        Text of any length; only its ends are read.
    longest
        Most characters of the result.
    """
    if len(text) <= longest and text.isprintable():
        return text
    head = _printable(text[:longest])
    if len(text) <= longest and len(head) <= longest:
        return head
    tail = _printable(text[-longest:])
    room = longest - len(_GAP)
    return head[: room - room // 3] + _GAP + tail[len(tail) - room // 3 :]


def quoted(value: object, *, longest: int = LONGEST) -> str:
    """Return a short, printable representation of a value, like `repr`.

    Parameters
    ----------
    value
        Any object. If its `repr` raises, only its type is named.
    longest
        Most characters of the result.
    """
    if isinstance(value, str):
        ends = value if len(value) <= 2 * longest else value[:longest] + value[-longest:]
        return shortened(repr(ends), longest=longest)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{type(value).__name__} of length {len(value)}"
    try:
        return shortened(repr(value), longest=longest)
    except Exception:  # noqa: BLE001 - a failing `repr` must not replace the error that quotes the value
        return a_kind(value)


def quoted_option(value: object) -> str:
    """Return the value of an option as errors quote it, which is never whole if it is long."""
    return quoted(value, longest=LONGEST_OPTION)


def a_kind(value: object) -> str:
    """Return the name of a value's type with its article, such as ``"an int"``; ``"None"`` for that."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
