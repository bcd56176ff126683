"""Write the first frames of a video in a tar file, without unpacking it.

python tar_member.py videos.tar clip.mp4 OUT
"""

import asyncio
import sys
import tarfile

import asyncframes as af
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError
from asyncframes.sources import LocalSource


class TarMember(StreamSource):
    """A member of an uncompressed tar file, whose bytes are there in one piece.

    Closing it closes the tar file too.
    """

    def __init__(self, path: str, member: str) -> None:
        with tarfile.open(path, "r:") as archive:
            found = archive.getmember(member)
        self._tar = LocalSource(path)
        self._name = f"{member} in {path}"
        self._start, self._size = found.offset_data, found.size
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int:
        return self._size

    @property
    def validator(self) -> str | None:
        return self._tar.validator

    async def open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.name} is closed")
        await self._tar.open()

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        await self.open()
        return await self._tar.read_range(self._start + start, self._start + stop)

    async def aclose(self) -> None:
        self._closed = True
        await self._tar.aclose()


async def main(path: str, member: str, directory: str) -> None:
    paths = await af.stream_frames_to_dir(TarMember(path, member), directory, end=9)
    print(f"Saved {len(paths)} frames:", *paths, sep="\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
