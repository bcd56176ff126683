"""The one question about videos that a Supervisely server is asked, without its SDK."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp
import stamina

from asyncframes.errors import (
    SourceAccessError,
    SourceError,
    SourceLimitError,
    SourceNotFoundError,
)
from asyncframes.sources._http_client import as_source_error, parse_url
from asyncframes.sources._http_reply import retry_wait, status_error
from asyncframes.sources._names import public_url

_METHOD = "/public/api/v3/videos.info"
_MAX_BODY_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class SuperviselyServer:
    """A Supervisely server, for those who do without its SDK.

    Serves wherever the SDK's ``Api`` object does. Redirects are not followed:
    the token goes to this address and nowhere else.

    Parameters
    ----------
    server_address
        As ``https://app.supervisely.com``; https where no scheme is named.
    token
        Sent as ``x-api-key``.
    timeout_seconds
        Longest wait for each answer.
    attempts
        How often to try before an error of the network or the server counts.

    Raises
    ------
    ValueError
        The address is none, or the token cannot be one.
    """

    def __init__(
        self, server_address: str, token: str | None, *, timeout_seconds: float = 30.0, attempts: int = 4
    ) -> None:
        address = server_address.strip().strip("/")
        self.server_address = address if "://" in address else f"https://{address}"
        parse_url(self.server_address)
        self.token = token
        self._headers = token_header(token)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._attempts = attempts

    def __repr__(self) -> str:
        return f"SuperviselyServer({self.name!r})"

    @property
    def name(self) -> str:
        """The address, without credentials."""
        return public_url(self.server_address)

    async def video_info(self, video_id: int) -> dict[str, Any]:
        """Ask what the server knows of a video.

        Parameters
        ----------
        video_id
            Number of the video.

        Returns
        -------
        dict
            As the server's JSON has it; ``fullStorageUrl`` is where the bytes are.

        Raises
        ------
        SourceNotFoundError
            The server has no such video, or is no Supervisely server.
        SourceAccessError
            It refuses the token, or redirects.
        SourceError
            It cannot be reached, or answers with an error.
        """
        async for attempt in stamina.retry_context(
            on=retry_wait, attempts=self._attempts, timeout=None, wait_initial=0.2, wait_jitter=0.5
        ):
            with attempt:
                return self._read(await self._post({"id": video_id, "forceMetadataForLinks": False}))
        raise AssertionError("stamina ends with a result or an error")

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
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            error = as_source_error(exc, name=self.name)
            # Some of aiohttp's texts hold the whole URL, and that may hold a password.
            error.__cause__ = None if "://" in str(exc) else exc
        raise error

    def _read(self, reply: _Reply) -> dict[str, Any]:
        if reply.status != 200:
            raise self._refusal(reply)
        if len(reply.body) > _MAX_BODY_BYTES:
            raise SourceLimitError(
                f"the server sends more than {_MAX_BODY_BYTES} bytes about one video", source=self.name
            )
        try:
            info = json.loads(reply.body)
        except ValueError:
            info = None
        if not isinstance(info, dict):
            raise SourceNotFoundError("what answers at this address is no Supervisely API", source=self.name)
        return info

    def _refusal(self, reply: _Reply) -> SourceError:
        if 300 <= reply.status < 400:
            elsewhere = public_url(urljoin(self.server_address, reply.headers.get("Location", "")))
            return SourceAccessError(
                f"the server redirects its API to {elsewhere}, and the token is not sent on; "
                "if that is right, use the new address",
                source=self.name,
            )
        if reply.status == 404:
            return SourceNotFoundError(
                "no such video, or no Supervisely API, is at this address", source=self.name
            )
        return status_error(reply.status, reply.headers, name=self.name)


def token_header(token: str | None) -> dict[str, str]:
    """Make the header that carries the token, if there is one."""
    if token is not None and not re.fullmatch(r"[\x21-\x7e]*", token):
        raise ValueError("the API token holds characters that no token has, such as a space or a line break")
    return {"x-api-key": token} if token else {}
