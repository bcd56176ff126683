from typing import Any

class ArrowTensorArray:
    @classmethod
    def from_numpy(cls, arr: Any) -> Any: ...

class ArrowTensorTypeV2:
    storage_type: Any
    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None: ...
