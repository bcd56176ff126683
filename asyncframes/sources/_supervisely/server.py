"""A Supervisely server without its SDK: looks up where a video is stored."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import aiohttp

from asyncframes._model.quoting import quoted, shortened
from asyncframes.errors import (
    SourceAccessError,
    SourceError,
    SourceLimitError,
    SourceNotFoundError,
)
from asyncframes.sources._http.address import parse_url
from asyncframes.sources._http.client import as_source_error
from asyncframes.sources._http.reply import status_error
from asyncframes.sources._names import harmless_cause, public_url
from asyncframes.sources._retries import Retries

_METHOD = "/public/api/v3/videos.info"
_MAX_BODY_BYTES = 64 * 1024**2
_MAX_RETRY_AFTER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class SuperviselyServer:
    """A Supervisely server, used without its SDK.

    Pass it where the SDK's ``Api`` object is expected. It does not follow redirects, so
    that the token is sent only to this address.

    Parameters
    ----------
    server_address
        Address such as ``https://app.supervisely.com``; https if the scheme is missing.
    token
        API token, sent as ``x-api-key``.
    timeout_seconds
        Longest wait for each reply.
    attempts
        Most attempts for a request, including the first.

    Raises
    ------
    SourceAddressError
        `server_address` is not an http or https URL.
    ValueError
        `token` contains invalid characters.
    """

    def __init__(
        self, server_address: str, token: str | None, *, timeout_seconds: float = 30.0, attempts: int = 4
    ) -> None:
        address = server_address.strip().strip("/")
        self.server_address: str = address if "://" in address else f"https://{address}"
        parse_url(self.server_address)
        self.token = token
        self._headers = token_header(token)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._all_attempts_seconds = timeout_seconds * attempts
        self._retries = Retries(
            attempts=attempts, max_retry_after_seconds=_MAX_RETRY_AFTER_SECONDS, name=self.name
        )

    def __repr__(self) -> str:
        return f"SuperviselyServer({quoted(self.name)})"

    @property
    def name(self) -> str:
        """The address, without credentials."""
        return public_url(self.server_address)

    async def video_info(self, video_id: int) -> dict[str, Any]:
        """Return what the server knows of a video.

        Parameters
        ----------
        video_id
            Number of the video.

        Returns
        -------
        dict
            The server's JSON; ``fullStorageUrl`` is where the video is stored.

        Raises
        ------
        SourceNotFoundError
            The server has no such video, or is not a Supervisely server.
        SourceAccessError
            The server refuses the token, or redirects.
        SourceError
            The server cannot be reached, or answers with an error.
        """

        async def ask(_attempt: int) -> dict[str, Any]:
            return self._read(await self._post({"id": video_id, "forceMetadataForLinks": False}))

        deadline = asyncio.get_running_loop().time() + self._all_attempts_seconds
        return await self._retries.run(ask, deadline=deadline)

    async def _post(self, question: Mapping[str, Any]) -> _Reply:
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(
                    self.server_address + _METHOD, json=question, headers=self._headers, allow_redirects=False
                ) as response,
            ):
                body = bytearray()
                while len(body) <= _MAX_BODY_BYTES and (part := await response.content.readany()):
                    body += part
                return _Reply(response.status, response.headers, bytes(body))
        except Exception as exc:  # noqa: BLE001 - aiohttp raises anything on unexpected input
            error = as_source_error(exc, name=self.name)
            error.__cause__ = harmless_cause(exc)
        raise error

    def _read(self, reply: _Reply) -> dict[str, Any]:
        if reply.status != 200:
            raise self._refusal(reply)
        if len(reply.body) > _MAX_BODY_BYTES:
            raise SourceLimitError(
                f"the server sent more than {_MAX_BODY_BYTES} bytes about one video", source=self.name
            )
        try:
            info = json.loads(reply.body)
        except (ValueError, RecursionError):
            info = None
        if not isinstance(info, dict):
            raise SourceNotFoundError("there is no Supervisely API at this address", source=self.name)
        return info

    def _refusal(self, reply: _Reply) -> SourceError:
        if 300 <= reply.status < 400:
            return SourceAccessError(
                f"the server redirects its API to {self._elsewhere(reply)}, where the token is not sent: "
                "pass the new address if you trust it",
                source=self.name,
            )
        if reply.status == 404:
            return SourceNotFoundError(
                "there is no such video, or no Supervisely API, at this address", source=self.name
            )
        return status_error(reply.status, reply.headers, name=self.name)

    def _elsewhere(self, reply: _Reply) -> str:
        try:
            address = urljoin(self.server_address, reply.headers.get("Location", ""))
        except ValueError:
            return "a malformed address"
        return shortened(public_url(address))


def token_header(token: str | None) -> dict[str, str]:
    """Make the header that carries the token, if there is one."""
    if token is not None and not re.fullmatch(r"[\x21-\x7e]*", token):
        raise ValueError("the API token contains invalid characters, such as spaces or line breaks")
    return {"x-api-key": token} if token else {}
