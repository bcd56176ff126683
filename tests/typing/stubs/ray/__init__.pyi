"""The part of Ray that asyncframes uses, so that types are checked where it is not installed."""

from collections.abc import Callable
from typing import Any

from ray import data as data

def get(refs: Any) -> Any: ...
def is_initialized() -> bool: ...
def remote(function: Callable[..., Any]) -> Any: ...
