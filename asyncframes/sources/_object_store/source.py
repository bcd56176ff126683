"""Bytes in S3, Google Cloud Storage or Azure, through obstore."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from asyncframes._model.quoting import quoted, shortened
from asyncframes._runtime.life import ForkGuard, OneProcess
from asyncframes.abc import StreamSource
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    MissingExtraError,
    RangeNotSupportedError,
    SourceAddressError,
    SourceChangedError,
    SourceError,
)
from asyncframes.sources._limits import check_counts, check_seconds, within
from asyncframes.sources._object_store.errors import as_source_error, is_unsatisfiable
from asyncframes.sources._retries import retries_of_obstore

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

_HEAD_BYTES = 64 * 1024


@cache
def _runtime() -> ForkGuard:
    """Know the process in which obstore began: its threads do not run in a forked child, which would wait."""
    return ForkGuard(
        "the object store library",
        remedy='start the child by "spawn" or "forkserver", or read through FsspecSource',
    )


class ObjectStoreSource(OneProcess, StreamSource):
    """An object in a bucket or container.

    Credentials come from where obstore finds them: `config`, then the
    environment (``AWS_ACCESS_KEY_ID``, ``GOOGLE_APPLICATION_CREDENTIALS``,
    ``AZURE_STORAGE_ACCOUNT_NAME``, …), then the machine's role. Profiles in
    ``~/.aws`` are not read by it; for them pass
    ``credential_provider=obstore.auth.boto3.Boto3CredentialProvider()``.

    The first reply pins the object: if it changes later, reads raise
    `SourceChangedError` and never mix the two.

    Parameters
    ----------
    store
        ``s3://bucket/key``, ``gs://bucket/key`` or ``az://container/key``, the
        key as it is, without URL quoting; or a store of obstore's.
    path
        Key of the object; only with a store.
    version
        Version of the object to read, in a bucket that keeps them.
    read_timeout_seconds, connect_timeout_seconds
        Longest wait for more bytes, and for a connection.
    range_timeout_seconds
        Longest time that one range may take in all, retries included.
    attempts
        How often to try before an error of the network or the server counts.
    **config
        Passed to obstore's store: ``endpoint=`` (``base_url=`` for Google),
        ``region=``, ``skip_signature=True`` for anonymous access,
        ``account_name=``, keys, ``sas_key=``, ``credential_provider=``,
        ``client_options=``; only with a URL.

    Raises
    ------
    MissingExtraError
        obstore is not installed.
    SourceAddressError
        The URL names no bucket or no key.
    ValueError
        The configuration is refused by obstore, or a bound is out of range.
    """

    def __init__(
        self,
        store: str | ObjectStore,
        path: str | None = None,
        *,
        version: str | None = None,
        read_timeout_seconds: float = 30.0,
        connect_timeout_seconds: float = 10.0,
        range_timeout_seconds: float = 120.0,
        attempts: int = 4,
        **config: Any,
    ) -> None:
        check_seconds(
            read_timeout_seconds=read_timeout_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
            range_timeout_seconds=range_timeout_seconds,
        )
        check_counts(least=1, attempts=attempts)
        if isinstance(store, str):
            if path is not None:
                raise ValueError("path goes with a store; a URL holds the key itself")
            scheme, bucket, self._path = split_url(store)
            self._name = f"{scheme}://{bucket}/{self._path}"
            client = {
                # An endpoint of plain http has to be asked for; the clouds' own are all https.
                "allow_http": True,
                "connect_timeout": timedelta(seconds=connect_timeout_seconds),
                "read_timeout": timedelta(seconds=read_timeout_seconds),
                "timeout": timedelta(seconds=range_timeout_seconds),
            }
            config["client_options"] = client | config.get("client_options", {})
            config.setdefault("retry_config", retries_of_obstore(attempts, range_timeout_seconds))
            self._store: ObjectStore | None = make_store(scheme, bucket, config)
        else:
            if path is None or config:
                raise ValueError("a store needs a path, and has its configuration already")
            self._path, self._store = path, store
            self._name = f"{path} in a {type(store).__name__}"
        self._asked_version = version
        self._range_timeout_seconds = range_timeout_seconds
        self._meta: ObjectMeta | None = None
        self._head = b""
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"ObjectStoreSource({quoted(self.name)})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int | None:
        return None if self._meta is None else self._meta["size"]

    @property
    def validator(self) -> str | None:
        return None if self._meta is None else _validator(self._meta)

    async def open(self) -> None:
        self._bind_to_process()
        async with self._opening:
            self._open_store()
            if self._meta is None:
                self._head = await within(self._range_timeout_seconds, self._first_bytes(), name=self.name)

    async def read_range(self, start: int, stop: int) -> bytes:
        await self.prepare_range(start, stop)
        if stop <= len(self._head) or start == stop:
            return self._head[start:stop]
        return await within(self._range_timeout_seconds, self._get(start, stop), name=self.name)

    async def aclose(self) -> None:
        if self._is_forked:
            return
        self._closed = True
        self._store = None
        self._head = b""

    def _open_store(self) -> ObjectStore:
        if self._closed or self._store is None:
            raise ClosedError(f"{self!r} is closed")
        return self._store

    async def _first_bytes(self) -> bytes:
        """Learn the size from a range, as a reader may have no right to ask for it otherwise."""
        try:
            return await self._get(0, _HEAD_BYTES)
        except RangeNotSupportedError as exc:
            if not is_unsatisfiable(exc):
                raise
        await self._get_empty()
        return b""

    async def _get(self, start: int, stop: int) -> bytes:
        import obstore

        _runtime().check()
        options: obstore.GetOptions = {"range": (start, stop)}
        if self._meta is not None and (etag := self._meta["e_tag"] or "").startswith('"'):
            options["if_match"] = etag
        if self._asked_version is not None:
            options["version"] = self._asked_version
        try:
            reply = await obstore.get_async(self._open_store(), self._path, options=options)
            meta, place = reply.meta, reply.range
            self._pin(meta)
            if place != (start, min(stop, meta["size"])):
                raise self._other_bytes(start, stop, *place)
            body = bytearray()
            async for part in reply.stream(min_chunk_size=max(1, place[1] - start)):
                body += part
                if len(body) > place[1] - start:
                    break  # a body that never ends is not read to its end
        except AsyncFramesError:
            raise
        except Exception as exc:  # noqa: BLE001 - obstore reads what servers send, and fails in many ways
            raise self._translated(exc) from None
        if len(body) != place[1] - start:
            raise self._other_bytes(start, stop, start, start + len(body))
        return bytes(body)

    def _other_bytes(self, start: int, stop: int, first: int, end: int) -> RangeNotSupportedError:
        return RangeNotSupportedError(
            f"bytes {start}-{stop} were asked for and {first}-{end} came", source=self.name
        )

    async def _get_empty(self) -> None:
        """Check that an object without a first byte has none at all."""
        import obstore

        try:
            self._pin(await obstore.head_async(self._open_store(), self._path))
        except AsyncFramesError:
            raise
        except Exception as exc:  # noqa: BLE001 - as above
            raise self._translated(exc) from None
        if self.size:
            raise RangeNotSupportedError("the first bytes of the object are refused", source=self.name)

    def _translated(self, exc: Exception) -> SourceError:
        # Without its cause: obstore's texts hold whole addresses and the server's words, keys among them.
        return as_source_error(exc, name=self.name)

    def _pin(self, meta: ObjectMeta) -> None:
        if self._meta is None:
            self._meta = meta
        elif (meta["size"], _validator(meta)) != (self._meta["size"], _validator(self._meta)):
            raise SourceChangedError("the key holds another object than when it was opened", source=self.name)


def split_url(url: str) -> tuple[str, str, str]:
    """Take an address apart: scheme, bucket, key.

    Raises
    ------
    SourceAddressError
        A part is missing.
    """
    scheme, separator, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if not separator or not bucket or not key or "@" in bucket or not _is_unicode(rest):
        raise SourceAddressError(
            f"expected scheme://bucket/key, and no credentials in it, not {shortened(scheme, longest=40)}://…"
        )
    return scheme.lower(), bucket, key


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def make_store(scheme: str, bucket: str, config: dict[str, Any]) -> ObjectStore:
    """Configure obstore's store for a bucket; no I/O.

    Raises
    ------
    MissingExtraError
        obstore is not installed.
    ValueError
        The configuration is refused.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError as exc:
        raise MissingExtraError(
            f"{scheme}:// needs obstore: pip install 'asyncframes-video[cloud]'", extra="cloud"
        ) from exc
    stores: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    if scheme not in stores:
        known = ", ".join(stores)
        raise ValueError(f"{shortened(scheme, longest=40)}:// is no object store known here (known: {known})")
    if scheme == "s3" and "endpoint" in config:
        # AWS_ENDPOINT_URL_S3 in the environment would go before an endpoint that is given.
        config.setdefault("aws_endpoint_url_s3", config["endpoint"])
    try:
        store: ObjectStore = stores[scheme](bucket, **config)
    except BaseError as exc:
        reason = shortened(str(exc).partition("\n")[0])
        raise ValueError(f"{scheme}://{bucket} cannot be configured: {reason}") from None
    return store


def _validator(meta: ObjectMeta) -> str:
    return meta["e_tag"] or meta["last_modified"].isoformat()
