"""From videos to tasks: long videos are cut at keyframes, short ones share a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np

from asyncframes._media.table.part import TablePart, part_of_table
from asyncframes._model.selection import resolve
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes.ray._options import Reading
from asyncframes.ray._probe import Found, packets_of
from asyncframes.ray._sources import Entry

# Ray holds every task in the memory of the driver, and warns beyond this many.
MOST_TASKS = 5000


@dataclass(frozen=True, eq=False)
class Piece:
    """A video, or a part of one, that one task reads.

    Attributes
    ----------
    entry
        The video.
    rows
        How many frames; ``None`` if that is unknown.
    is_exact
        Whether that number is certain.
    work
        How much has to be decoded; see `work_of`.
    indices, part
        The frames of a part and where they are; ``None`` for all that is selected.
    """

    entry: Entry
    rows: int | None
    is_exact: bool
    work: float
    indices: Int64Array | None = None
    part: TablePart | None = None


def plan_tasks(
    entries: Sequence[Entry],
    found: Sequence[Found],
    reading: Reading,
    *,
    parallelism: int,
    split_frames: int | None,
    least_work: float,
) -> list[list[Piece]]:
    """Divide videos among tasks, in order.

    Parameters
    ----------
    entries, found
        The videos, and what is known of them.
    reading
        How they are read.
    parallelism
        How many tasks are wanted.
    split_frames
        Frames of each part of a cut video; ``None`` to divide the work evenly.
    least_work
        A task decodes at least this much, unless there is less.
    """
    usual = _mean([one.work for one in found if one.work is not None])
    amounts = [usual if one.work is None else one.work for one in found]
    share = max(sum(amounts) / max(1, min(parallelism, MOST_TASKS)), least_work)
    pieces: list[Piece] = []
    for entry, facts, amount in zip(entries, found, amounts, strict=True):
        whole = Piece(entry, facts.rows, facts.is_exact, amount)
        if facts.table is None:
            pieces.append(whole)
        else:
            pieces += _cut(whole, facts.table, reading, split_frames, share)
    return [*grouped(pieces, share, parts_alone=bool(split_frames))]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 1.0


def _cut(
    whole: Piece, table_bytes: bytes, reading: Reading, split_frames: int | None, share: float
) -> list[Piece]:
    table = FrameTable.from_bytes(table_bytes)
    order = resolve(reading.selection, table)
    pieces = []
    parts = round(whole.work / share)
    for begin, stop in cut_at_keyframes(table, order, split_frames=split_frames, parts=parts):
        indices = order[begin:stop]
        part = part_of_table(table, int(indices[0]), int(indices[-1]), reach=reading.rendering.reach)
        amount = whole.work * (stop - begin) / len(order)
        pieces.append(
            replace(whole, rows=stop - begin, is_exact=True, work=amount, indices=indices, part=part)
        )
    return pieces if len(pieces) > 1 else [whole]


def cut_at_keyframes(
    table: FrameTable, order: Int64Array, *, split_frames: int | None, parts: int
) -> list[tuple[int, int]]:
    """Cut frames in ascending order into runs that share no GOP.

    Only a keyframe that leading pictures refer to is decoded on both sides of a cut.

    Parameters
    ----------
    table
        The frames of the video.
    order
        The frames wanted.
    split_frames
        About how many frames a run has; ``None`` to divide what is decoded evenly.
    parts
        How many runs there are then.

    Returns
    -------
    list of tuple
        First place in `order` of each run, and the one after its last.
    """
    if not len(order):
        return []
    places, reads = packets_of(table, order)
    starts = table.starts_for(order)
    later = np.minimum.accumulate(starts[::-1])[::-1]
    allowed = np.append(True, later[1:] > np.maximum.accumulate(starts)[:-1])
    is_place = allowed[places]
    cuts = places[is_place]
    chosen: list[int] = []
    if split_frames:
        # A run goes on to the first keyframe after that many frames.
        while (place := int(np.searchsorted(cuts, [0, *chosen][-1] + split_frames))) < len(cuts):
            chosen.append(int(cuts[place]))
    else:
        done = np.append(0, np.cumsum(reads))[:-1][is_place]
        wanted = np.arange(1, max(parts, 1)) * int(reads.sum()) / max(parts, 1)
        chosen += cuts[np.searchsorted(done, wanted, side="right") - 1].tolist()
    edges = sorted({0, *chosen, len(order)})
    return [*pairwise(edges)]


def grouped(pieces: Sequence[Piece], share: float, *, parts_alone: bool) -> Iterator[list[Piece]]:
    """Join consecutive pieces whose middles lie in the same share of the work.

    Parameters
    ----------
    pieces
        Videos and parts of videos, in order.
    share
        How much work a group should have.
    parts_alone
        Whether each part of a cut video is a group of its own.
    """
    middles = np.cumsum([piece.work for piece in pieces]) - [piece.work / 2 for piece in pieces]
    keys = [
        (share_number, place if parts_alone and piece.part is not None else None)
        for place, (piece, share_number) in enumerate(zip(pieces, (middles // share).tolist(), strict=True))
    ]
    for _, group in groupby(zip(keys, pieces, strict=True), key=itemgetter(0)):
        yield [piece for _, piece in group]
