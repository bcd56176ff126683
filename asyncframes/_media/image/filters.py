"""Chains of libavfilter filters."""

from __future__ import annotations

from collections.abc import Mapping

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from asyncframes.errors import UnsupportedMediaError


def make_chain(
    picture: VideoFrame, *filters: tuple[str, Mapping[str, str]], tells_colors: bool = True
) -> Graph:
    """Make a chain for pictures like this one. It runs in the calling thread.

    Parameters
    ----------
    tells_colors
        Whether the filters need the colour tags of pictures. Reserved tags are refused.

    Raises
    ------
    av.FFmpegError, ValueError
        The bundled FFmpeg lacks a filter or one of its options.
    """
    graph = Graph()
    graph.threads = 1
    source = {
        "video_size": f"{picture.width}x{picture.height}",
        "pix_fmt": picture.format.name,
        "time_base": "1/1",
    }
    if tells_colors:
        source["colorspace"] = str(int(picture.colorspace))
        source["range"] = str(int(picture.color_range))
    chain = [("buffer", source), *filters, ("buffersink", {})]
    graph.link_nodes(*(graph.add(name, **options) for name, options in chain)).configure()
    return graph


def keeps_layout(layout: str, one: tuple[str, Mapping[str, str]]) -> bool:
    """Whether a filter takes a pixel format. libavfilter would convert any other one first."""
    picture = VideoFrame(16, 16, layout)
    try:
        graph = make_chain(picture, one)
        graph.vpush(picture)
        graph.vpush(None)
        result = pull(graph)
    except (av.FFmpegError, ValueError):
        return False
    return result is not None and result.format.name == layout


def pull(graph: Graph) -> VideoFrame | None:
    """Return the next picture that comes out, ``None`` if more must go in first."""
    try:
        return graph.vpull()
    except (av.BlockingIOError, av.EOFError):
        return None


def filtered(graph: Graph, picture: VideoFrame) -> VideoFrame:
    """Pass a picture through filters that output one picture for each input.

    Raises
    ------
    av.FFmpegError
        A filter refuses the picture.
    UnsupportedMediaError
        No picture comes out.
    """
    graph.vpush(picture)
    result = pull(graph)
    if result is None:
        raise UnsupportedMediaError("a filter of this FFmpeg returned no picture: expected one per input")
    return result
