"""Headers that are sent only to the origin of an address."""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import SimpleCookie
from typing import TypeAlias

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from asyncframes.errors import SourceAccessError

Headers: TypeAlias = Mapping[str, str]
HeadersLike: TypeAlias = Headers | Callable[[], Headers | Awaitable[Headers]]
"""Headers, or a function that returns them, plain or asynchronous."""


class Credentials:
    """Headers for one origin, fixed or returned by a function.

    Parameters
    ----------
    url
        Its user info becomes the `Authorization` header.
    headers
        A function is called before the first request, before each retry, and after a
        server has refused the headers.
    auth
        Login and password.
    cookies
        Cookies by name.
    """

    def __init__(
        self,
        url: URL,
        *,
        headers: HeadersLike | None,
        auth: aiohttp.BasicAuth | tuple[str, str] | None,
        cookies: Mapping[str, str] | None,
    ) -> None:
        self._ask = headers if callable(headers) else None
        self._fixed = CIMultiDict({} if headers is None or callable(headers) else headers)
        if auth is None and url.user is not None:
            auth = url.user, url.password or ""
        if auth is not None and ("Authorization" in self._fixed or self._ask):
            raise ValueError(
                "auth, or user info in the URL, cannot be combined with headers that have Authorization "
                "or come from a function"
            )
        if auth is not None:
            self._fixed["Authorization"] = _basic(auth)
        if cookies:
            self._fixed["Cookie"] = "; ".join(
                morsel.OutputString() for morsel in SimpleCookie(dict(cookies)).values()
            )
        self._current: CIMultiDict[str] | None = None if self._ask else self._fixed
        self._asking = asyncio.Lock()

    async def headers(self, *, name: str) -> CIMultiDict[str]:
        """Return the current headers.

        Raises
        ------
        SourceAccessError
            The function failed.
        """
        async with self._asking:
            if self._current is None:
                self._current = CIMultiDict({**self._fixed, **await self._asked(name)})
            return self._current

    def outdate(self, used: CIMultiDict[str] | None) -> bool:
        """Discard the headers if they are still `used`; tell whether there is a function to call again."""
        if used is None or self._current is used:
            self._current = None if self._ask else self._fixed
        return self._ask is not None

    async def _asked(self, name: str) -> Headers:
        assert self._ask is not None  # noqa: S101 - narrows for the type checker
        try:
            answer = self._ask()
            return await answer if inspect.isawaitable(answer) else answer
        except Exception as exc:
            raise SourceAccessError(
                f"the function for the headers raised {type(exc).__name__}", source=name
            ) from exc


def _basic(auth: aiohttp.BasicAuth | tuple[str, str]) -> str:
    text = f"{auth[0]}:{auth[1]}".encode(getattr(auth, "encoding", "utf-8"))
    return f"Basic {base64.b64encode(text).decode()}"
