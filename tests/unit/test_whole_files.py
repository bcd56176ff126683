"""Files that appear under their names only once complete."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from asyncframes._runtime.temporaries import temporary_beside
from asyncframes._runtime.whole_files import WholeFile, whole_file, write_whole


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """Until the end the old content is there, then the new one, and nothing beside it."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".bin"
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    write_whole(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    """After an error half-way the old content is there and the temporary file is gone."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fill() -> None:
        with whole_file(path) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)) as caught:
        fill()
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]
    if isinstance(caught.value, OSError):
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))


@pytest.mark.parametrize("has_links", [True, False])
def test_a_name_that_is_taken_is_left_alone(
    tmp_path: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without hard links, the first file to take a name keeps it."""
    if not has_links:

        def refuse(*_args: object) -> None:
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.bin"
    files = [WholeFile(path=path, temporary=temporary_beside(path)) for _ in range(2)]
    for number, file in enumerate(files):
        file.temporary.write_bytes(bytes([number]))
    files[0].put_if_free()
    with pytest.raises(FileExistsError):
        files[1].put_if_free()
    for file in files:
        file.discard()
        file.discard()
    assert path.read_bytes() == b"\0"
    assert [*tmp_path.iterdir()] == [path]
