"""Sources that docs/ and examples/ show keep the contract that they are shown with."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncframes.abc import StreamSource
from asyncframes.errors import ShortReadError
from asyncframes.sources import MemorySource
from asyncframes.testing import SourceContract

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    block for page in PAGES for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def sources_in(program: str) -> list[str]:
    """Names of the classes that are sources, by their bases; Spark calls its own `DataSource`."""
    classes = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.ClassDef)]
    return [
        node.name
        for node in classes
        if any(re.search(r"(?<!Data)Source", ast.unparse(base)) for base in node.bases)
    ]


def page_namespace() -> dict[str, Any]:
    """Run the block that defines a source."""
    block = next(block for block in BLOCKS if sources_in(block))
    namespace: dict[str, Any] = {}
    exec(block, namespace)  # noqa: S102 - our own page
    return namespace


def example(name: str) -> Any:
    """Import a program of examples/, which is no package."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class TestShard(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        shard = MemorySource(b"before" + data + b"the next member")
        yield page_namespace()["ShardSource"](shard, len(b"before"), len(data))
        await shard.aclose()


class TestTarMember(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "videos.tar")
            with tarfile.open(path, "w") as archive:
                for name, content in (("a", b"before"), ("clip.mp4", data), ("z", b"the next member")):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
            yield example("tar_member").TarMember(str(path), "clip.mp4")


async def test_a_shard_does_not_read_its_neighbour() -> None:
    """Past the end of a member lies another one, whose bytes are nobody's frames."""
    source = page_namespace()["ShardSource"](MemorySource(b"abcdef"), 1, 2)
    assert await source.read_range(0, 2) == b"bc"
    with pytest.raises(ShortReadError):
        await source.read_range(0, 3)


def test_every_source_that_is_shown_is_tried() -> None:
    """A source that is added to docs/ or to examples/ is tested here too."""
    shown = [name for block in BLOCKS for name in sources_in(block)]
    shown += [f"{path.stem}.{name}" for path in EXAMPLES for name in sources_in(path.read_text())]
    assert shown == ["ShardSource", "tar_member.TarMember"]
