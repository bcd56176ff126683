from collections.abc import Iterator, Sequence
from typing import Any

Block = Any

class BlockMetadata:
    def __init__(
        self,
        num_rows: int | None,
        size_bytes: int | None,
        exec_stats: None,
        input_files: Sequence[str] | None,
    ) -> None: ...

class BlockAccessor:
    @staticmethod
    def for_block(block: Block) -> BlockAccessor: ...
    def iter_rows(self, public_row_format: bool) -> Iterator[dict[str, Any]]: ...
