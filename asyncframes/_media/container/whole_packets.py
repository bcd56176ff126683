"""Packets of a fragmented MP4 that is read once, made those of the same file.

FFmpeg ends a packet with the media of its fragment if it cannot seek, and drops one that starts there. In a
file it reads what the header lists, wherever that is.
"""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes._media.files.forward_file import ForwardFile, outside_media
from asyncframes._media.pyav import packet_of


class WholePackets:
    """Completes the packets that FFmpeg cuts short, as it reads them from a file whose bytes arrive once.

    Parameters
    ----------
    file
        The file.
    stream
        The stream whose packets are read.
    """

    def __init__(self, file: ForwardFile, stream: VideoStream) -> None:
        self._file = file
        self._stream = stream
        self._stop = 0
        self._dts: int | None = None

    def whole(self, packet: Packet[VideoStream]) -> Packet[VideoStream]:
        """Return a packet as it is in the file.

        Raises
        ------
        CorruptMediaError
            What the file has here cannot be told, or is gone.
        """
        watch, begin = self._file.fragments, packet.pos
        if watch is None or begin is None:
            return packet
        astray = watch.first_astray(self._stream.id, begin)
        stop = watch.stop_of_cut(begin)
        if astray is not None or (stop is not None and (watch.has_sidx or packet.is_discard)):
            raise outside_media(self._file.source_name)
        return packet if stop is None else self._completed(packet, begin, stop)

    def _completed(self, packet: Packet[VideoStream], begin: int, stop: int) -> Packet[VideoStream]:
        end = begin + packet.size
        rest = self._file.read_ahead(end, stop - end)
        if end + len(rest) < stop and self._dts is None:
            self._dts = packet.dts
        self._stop = max(self._stop, stop)
        whole = packet_of(bytes(packet) + rest)
        whole.stream, whole.time_base = self._stream, packet.time_base
        whole.pts, whole.dts, whole.duration = packet.pts, packet.dts, packet.duration
        whole.is_keyframe = packet.is_keyframe
        for data in packet.iter_sidedata():
            whole.set_sidedata(data)
        return whole

    def check_end(self, *, has_failed: bool) -> None:
        """Check that FFmpeg found all packets that are in the file.

        Parameters
        ----------
        has_failed
            Whether it could not read on, which may be due to the packets of another stream.

        Raises
        ------
        CorruptMediaError
            It did not.
        """
        size, watch = self._file.size, self._file.fragments
        track = None if has_failed else self._stream.id
        if watch is not None and watch.first_astray(track, size) is not None:
            raise outside_media(self._file.source_name)

    @property
    def first_missing_dts(self) -> int | None:
        """The dts of the first packet whose last bytes are missing; FFmpeg's index has those that are not."""
        return self._dts

    @property
    def stop(self) -> int:
        """Where the last packet that was completed stops by its header."""
        return self._stop
