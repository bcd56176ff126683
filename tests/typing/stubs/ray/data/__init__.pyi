from collections.abc import Iterable
from typing import Any

from ray.data.datasource import Datasink, Datasource

class DataContext:
    target_max_block_size: int | None
    @staticmethod
    def get_current() -> DataContext: ...

class Dataset:
    def iter_batches(self, *, batch_size: int | None, batch_format: str) -> Iterable[Any]: ...
    def write_datasink(self, datasink: Datasink[Any], *, concurrency: int | None = None) -> None: ...

def read_datasource(
    datasource: Datasource,
    *,
    num_cpus: float | None = None,
    concurrency: int | None = None,
    override_num_blocks: int | None = None,
) -> Dataset: ...
