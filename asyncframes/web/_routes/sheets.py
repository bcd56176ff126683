"""Many frames in one image: sprite sheets, and contact sheets."""

from __future__ import annotations

from urllib.parse import urlencode

from asyncframes._model.options import DEFAULTS
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes.web import _sprites
from asyncframes.web._caching import is_unchanged, unchanged
from asyncframes.web._problems import ProblemError
from asyncframes.web._query import VERSION, Query
from asyncframes.web._routes.frames import CONTENT_TYPES, encoder_of
from asyncframes.web._site import Ask
from asyncframes.web._values import Reply

_SPRITES = ("every", "columns", "width", "quality")
_SPRITE_QUALITY = 80


async def sprites(ask: Ask) -> Reply:
    """Answer with a sprite sheet."""
    query = Query(ask.request, *_SPRITES)
    quality = query.quality(_SPRITE_QUALITY)
    tag = ask.opened.tag("sprites", *(query.text(name) for name in _SPRITES))
    headers = {"Content-Type": CONTENT_TYPES["jpg"], **ask.caching(tag)}
    if is_unchanged(ask.request, tag):
        return unchanged(headers)
    async with ask.site.turns.turn():
        encode = await encoder_of("jpg", quality)
        sheet = await _sprites.draw_sprites(ask.video, await _planned(ask, query))
        body = await run_to_completion(in_thread(None, encode, sheet))
    return Reply(headers=headers, body=body)


async def sprites_vtt(ask: Ask) -> Reply:
    """Answer with the WebVTT that leads to a sprite sheet of the same parameters."""
    query = Query(ask.request, *_SPRITES)
    async with ask.site.turns.turn():
        planned = await _planned(ask, query)
    given = {name: value for name in _SPRITES if (value := query.text(name)) is not None}
    if ask.opened.version is not None:
        given[VERSION] = ask.opened.version
    text = planned.vtt(f"sprites.jpg?{urlencode(given)}" if given else "sprites.jpg")
    return ask.content(text.encode("ascii"), "text/vtt; charset=utf-8")


async def _planned(ask: Ask, query: Query) -> _sprites.Sprites:
    return await _sprites.plan_sprites(
        ask.video,
        every=query.seconds("every"),
        columns=query.integer("columns", least=1) or _sprites.COLUMNS,
        width=query.integer("width", least=1) or _sprites.WIDTH,
        most=ask.limits.max_tiles,
    )


async def sheet(ask: Ask) -> Reply:
    """Answer with a contact sheet, on which each frame has its index and time."""
    names = ("columns", "rows", "width")
    query, ext = Query(ask.request, *names), ask.parts["ext"]
    columns, rows, width = (query.integer(name, least=1) or DEFAULTS[name] for name in names)
    if columns * rows > ask.limits.max_tiles:
        raise ProblemError(413, f"{columns * rows} tiles: expected at most {ask.limits.max_tiles}")
    tag = ask.opened.tag("sheet", ext, columns, rows, width)
    headers = {"Content-Type": CONTENT_TYPES[ext], **ask.caching(tag)}
    if is_unchanged(ask.request, tag):
        return unchanged(headers)
    async with ask.site.turns.turn():
        drawn = await ask.video.contact_sheet(columns=columns, rows=rows, width=width)
        body = await run_to_completion(in_thread(None, drawn.encode, ext))
    return Reply(headers=headers, body=body)
