"""A report of isolation comes from a process that may be hostile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._isolation.report import LIMITED, MEASURES, IsolationReport

LOCKED = IsolationReport(
    mode="process",
    pid=4711,
    uid=1000,
    no_new_privileges=True,
    rlimits=(("address_space", 2**40), ("core_size", 0)),
    landlock_abi=7,
    seccomp="allow-list",
    notes=("Processes are not limited: the system would count all threads of the user.",),
)
BARE = IsolationReport(mode="process", pid=4711)
THREADS = IsolationReport(mode="none")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("report", [LOCKED, BARE, THREADS])
def test_a_report_travels_as_json(report: IsolationReport) -> None:
    """What is read equals what was sent."""
    assert IsolationReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


def test_measures_are_what_took_effect() -> None:
    """Each counts alone, and threads have none."""
    assert LOCKED.measures == MEASURES
    assert BARE.measures == {"process"}
    assert THREADS.measures == set()
    limited = IsolationReport(mode="process", pid=1, rlimits=(("file_size", 0),), seccomp="allow-list")
    assert limited.measures == {"process", "rlimits", "seccomp"}
    assert IsolationReport(mode="process", pid=1, landlock_abi=1).measures == {"process", "landlock"}


def test_a_report_cannot_be_changed() -> None:
    """It is a value."""
    with pytest.raises(FrozenInstanceError):
        LOCKED.landlock_abi = 9  # type: ignore[misc]
    assert hash(LOCKED) == hash(IsolationReport.from_dict(LOCKED.as_dict()))


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "thread"},
        {"mode": None},
        {"mode": "none"},
        {"mode": ["process"]},
        {"pid": 0},
        {"pid": None},
        {"pid": -1},
        {"pid": 2**32},
        {"pid": True},
        {"pid": "4711"},
        {"pid": 4711.0},
        {"uid": -1},
        {"uid": 2**32},
        {"no_new_privileges": 1},
        {"no_new_privileges": None},
        {"rlimits": None},
        {"rlimits": {"address_space": 1}},
        {"rlimits": [["address_space", 1], ["address_space", 2]]},
        {"rlimits": [["unheard_of", 1]]},
        {"rlimits": [[["address_space"], 1]]},
        {"rlimits": [["address_space"]]},
        {"rlimits": [["address_space", 1, 2]]},
        {"rlimits": [["address_space", -1]]},
        {"rlimits": [["address_space", 2**64]]},
        {"rlimits": [["address_space", False]]},
        {"rlimits": [["address_space", 1]] * (len(LIMITED) + 1)},
        {"landlock_abi": 0},
        {"landlock_abi": 256},
        {"landlock_abi": "7"},
        {"seccomp": "deny-list"},
        {"seccomp": False},
        {"notes": "all is well"},
        {"notes": [1]},
        {"notes": ["a\x1b[2Jb"]},
        {"notes": ["one\ntwo"]},
        {"notes": ["\ud800"]},
        {"notes": ["x" * 301]},
        {"notes": ["x"] * 17},
        {"unheard_of": 1},
    ],
    ids=repr,
)
def test_a_wrong_value_is_an_error(changed: dict[str, Any]) -> None:
    """Every type and bound is checked, and what is quoted is short."""
    with pytest.raises(ValueError, match=next(iter(changed))) as caught:
        IsolationReport.from_dict(LOCKED.as_dict() | changed)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", LOCKED.as_dict())
def test_a_missing_value_is_an_error(name: str) -> None:
    """No field has a default that a process could leave out."""
    values = LOCKED.as_dict()
    del values[name]
    with pytest.raises(ValueError, match="expected a value per field"):
        IsolationReport.from_dict(values)


@pytest.mark.parametrize("values", [None, 1, "mode", ["mode"], {}])
def test_what_is_no_mapping_is_an_error(values: Any) -> None:
    """The same error, whatever it is."""
    with pytest.raises(ValueError, match="no report of isolation"):
        IsolationReport.from_dict(values)


@given(changed=st.dictionaries(st.sampled_from(sorted(LOCKED.as_dict())), JSON, max_size=3))
def test_any_values_are_a_report_or_an_error(changed: Mapping[str, Any]) -> None:
    """Law: no other error, and a report gives back the values that it was made of."""
    values = LOCKED.as_dict() | dict(changed)
    try:
        report = IsolationReport.from_dict(values)
    except ValueError:
        return
    assert report.as_dict() == values
