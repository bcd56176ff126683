from collections.abc import Iterable
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)

class Dataset(Generic[T_co]): ...
class IterableDataset(Dataset[T_co], Iterable[T_co]): ...

class WorkerInfo:
    id: int
    num_workers: int

def get_worker_info() -> WorkerInfo | None: ...
