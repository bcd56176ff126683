from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from ray.data.block import BlockMetadata

T = TypeVar("T")

class Datasource: ...
class Datasink(Generic[T]): ...

class ReadTask:
    def __init__(
        self,
        read_fn: Callable[[], Iterable[Any]],
        metadata: BlockMetadata,
        schema: Any = None,
        per_task_row_limit: int | None = None,
    ) -> None: ...
