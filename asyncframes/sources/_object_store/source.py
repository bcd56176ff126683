"""An object in S3, Google Cloud Storage or Azure, through obstore."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from asyncframes._model.quoting import a_kind, quoted, shortened
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

_SCHEMES_OF_STORES = {
    "S3Store": "s3",
    "GCSStore": "gs",
    "AzureStore": "az",
    "LocalStore": "file",
    "HTTPStore": "https",
    "MemoryStore": "memory",
}


@cache
def _runtime() -> ForkGuard:
    """Return the guard of obstore's threads, which do not run in a forked child: calls there would hang."""
    return ForkGuard(
        "the object store library",
        remedy='start the child with "spawn" or "forkserver", or read through FsspecSource',
    )


class ObjectStoreSource(OneProcess, StreamSource):
    """An object in a bucket or container.

    obstore looks for credentials in `config`, then in the environment
    (``AWS_ACCESS_KEY_ID``, ``GOOGLE_APPLICATION_CREDENTIALS``,
    ``AZURE_STORAGE_ACCOUNT_NAME``, …), then in the machine's role. It does not read
    profiles in ``~/.aws``; for them pass
    ``credential_provider=obstore.auth.boto3.Boto3CredentialProvider()``.

    The first reply pins the version of the object: if the object changes later, reads
    raise `SourceChangedError` and never mix versions.

    Parameters
    ----------
    store
        ``s3://bucket/key``, ``gs://bucket/key`` or ``az://container/key``, with the key
        not URL-quoted; or a store of obstore.
    path
        Key of the object. Only for a store.
    version
        Version of the object to read, in a bucket with versioning.
    read_timeout_seconds, connect_timeout_seconds
        Longest wait for more bytes, and for a connection.
    range_timeout_seconds
        Longest time for one range, including retries.
    attempts
        Most attempts for a request, including the first.
    **config
        Options of obstore's store: ``endpoint=`` (``base_url=`` for Google),
        ``region=``, ``skip_signature=True`` for anonymous access,
        ``account_name=``, keys, ``sas_key=``, ``credential_provider=``,
        ``client_options=``. Only for a URL.

    Raises
    ------
    MissingExtraError
        obstore is not installed.
    SourceAddressError
        The URL has no bucket or no key.
    ValueError
        obstore refuses the configuration, or a limit is out of range.
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
                raise ValueError(
                    "path cannot be combined with a URL: expected a store, or the key inside the URL"
                )
            scheme, bucket, self._path = split_url(store)
            self._scheme = scheme
            self._name = f"{scheme}://{bucket}/{self._path}"
            client = {
                # The clouds' own endpoints are all https, so http is used only if the caller passes it.
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
                raise ValueError("a store was passed: expected path=, and no further configuration")
            self._path, self._store = path, store
            self._scheme = _SCHEMES_OF_STORES.get(type(store).__name__, "s3")
            self._name = f"{path} in {a_kind(store)}"
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
    def _schemes(self) -> tuple[str, ...]:
        return (self._scheme,)

    @property
    def _checks_hosts(self) -> bool:
        return self._scheme != "https"

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
        """Read the first range, which also tells the size: the credentials may not allow other requests."""
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
                    break  # the body may be endless
        except AsyncFramesError:
            raise
        except Exception as exc:  # noqa: BLE001 - obstore raises anything on unexpected input
            raise self._translated(exc) from None
        if len(body) != place[1] - start:
            raise self._other_bytes(start, stop, start, start + len(body))
        return bytes(body)

    def _other_bytes(self, start: int, stop: int, first: int, end: int) -> RangeNotSupportedError:
        return RangeNotSupportedError(
            f"bytes {start}-{stop} were requested, but {first}-{end} arrived", source=self.name
        )

    async def _get_empty(self) -> None:
        """Check that an object without a first byte is empty."""
        import obstore

        try:
            self._pin(await obstore.head_async(self._open_store(), self._path))
        except AsyncFramesError:
            raise
        except Exception as exc:  # noqa: BLE001 - as above
            raise self._translated(exc) from None
        if self.size:
            raise RangeNotSupportedError("the server refused the first range of the object", source=self.name)

    def _translated(self, exc: Exception) -> SourceError:
        # Raised without its cause: obstore's texts contain whole addresses and replies, with keys.
        return as_source_error(exc, name=self.name)

    def _pin(self, meta: ObjectMeta) -> None:
        if self._meta is None:
            self._meta = meta
        elif (meta["size"], _validator(meta)) != (self._meta["size"], _validator(self._meta)):
            raise SourceChangedError("the object has changed since it was opened", source=self.name)


def split_url(url: str) -> tuple[str, str, str]:
    """Split an address into scheme, bucket and key.

    Raises
    ------
    SourceAddressError
        A part is missing or invalid.
    """
    scheme, separator, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if not separator or not bucket or not key or "@" in bucket or not _is_unicode(rest):
        raise SourceAddressError(
            f"the address {shortened(scheme, longest=40)}://… is invalid: expected scheme://bucket/key "
            "without credentials"
        )
    return scheme.lower(), bucket, key


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def make_store(scheme: str, bucket: str, config: dict[str, Any]) -> ObjectStore:
    """Configure obstore's store for a bucket, without I/O.

    Raises
    ------
    MissingExtraError
        obstore is not installed.
    ValueError
        obstore refuses the configuration.
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
        raise ValueError(
            f"scheme {shortened(scheme, longest=40)}:// is invalid: expected one of {', '.join(stores)}"
        )
    if scheme == "s3" and "endpoint" in config:
        # Otherwise AWS_ENDPOINT_URL_S3 in the environment overrides the caller's endpoint.
        config.setdefault("aws_endpoint_url_s3", config["endpoint"])
    try:
        store: ObjectStore = stores[scheme](bucket, **config)
    except BaseError as exc:
        reason = shortened(str(exc).partition("\n")[0])
        raise ValueError(f"{scheme}://{bucket} is misconfigured: {reason}") from None
    return store


def _validator(meta: ObjectMeta) -> str:
    return meta["e_tag"] or meta["last_modified"].isoformat()
