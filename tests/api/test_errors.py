"""The error tree: bases, pickling, and documentation that names real classes."""

from __future__ import annotations

import builtins
import inspect
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest

import asyncframes as af
from asyncframes import errors, supervisely

BUILTIN_BASES = {
    errors.SourceAddressError: ValueError,
    errors.SourceNotFoundError: FileNotFoundError,
    errors.SourceNotReadyError: RuntimeError,
    errors.SourceAccessError: PermissionError,
    errors.SourceTimeoutError: TimeoutError,
    errors.SourceUnavailableError: ConnectionError,
    errors.FrameIndexError: IndexError,
    errors.CropError: ValueError,
    errors.FrameEncodeError: ValueError,
    errors.FrameExistsError: FileExistsError,
    errors.ClosedError: RuntimeError,
    errors.DeadlineError: TimeoutError,
    errors.MissingExtraError: ImportError,
}
CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_has_the_common_base(error: type[Exception]) -> None:
    """`except AsyncFramesError` catches all; the builtin base serves those who know none of ours."""
    assert issubclass(error, errors.AsyncFramesError)
    assert issubclass(error, BUILTIN_BASES.get(error, Exception))


@pytest.mark.parametrize("error", CLASSES)
def test_errors_cross_process_boundaries(error: type[Exception]) -> None:
    """Text and context survive pickling."""
    context: dict[str, Any] = {
        name: 7
        for name, parameter in inspect.signature(error.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    original = error("what was asked", **context)
    copy = pickle.loads(pickle.dumps(original))
    assert type(copy) is error
    assert str(copy) == str(original)
    assert {name: getattr(copy, name) for name in context} == context


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Each line of the drawing names a class below the one it is drawn under."""
    drawn: list[tuple[int, str]] = [
        (len(match[1]), match[2])
        for match in re.finditer(r"^    ([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.M)
    ]
    assert {name for _, name in drawn} == set(errors.__all__)
    above: list[tuple[int, str]] = []
    for depth, name in drawn:
        above = [entry for entry in above if entry[0] < depth]
        if above:
            assert getattr(errors, above[-1][1]) in getattr(errors, name).__bases__
        above.append((depth, name))


def public_docstrings() -> Iterator[tuple[str, str]]:
    """Docstrings of what users can reach."""
    for module in (af, af.abc, af.sources, af.writers, af.sync, supervisely, errors):
        for name in module.__all__:
            thing = getattr(module, name)
            if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
                continue
            yield name, inspect.getdoc(thing) or ""
            if inspect.isclass(thing):
                for member, value in inspect.getmembers(thing):
                    if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                        yield f"{name}.{member}", inspect.getdoc(value) or ""


def test_raises_sections_name_real_classes() -> None:
    """What a docstring says is raised exists."""
    for name, text in public_docstrings():
        section = re.search(r"^Raises\n-+\n(.*?)(\n\n[A-Z]\w+\n-+|\Z)", text, re.S | re.M)
        for raised in re.findall(r"^(\w+)$", section[1] if section else "", re.M):
            assert hasattr(errors, raised) or hasattr(builtins, raised), f"{name} raises {raised}"


def test_every_public_name_is_documented() -> None:
    """Nothing that users can reach lacks a docstring."""
    bare = [name for name, text in public_docstrings() if not text]
    assert not bare
