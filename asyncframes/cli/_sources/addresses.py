"""Sources of addresses, with the options that were given for them. All calls may read files."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import asyncframes as af
from asyncframes.cli._sources import supervisely
from asyncframes.sources import ObjectStoreSource, SourceLike
from asyncframes.sources._directories.listing import list_videos, with_options

_HTTP = frozenset({"http", "https"})
_BUCKETS = frozenset({"s3", "gs", "az"})


@dataclass(frozen=True, slots=True)
class Addresses:
    """What is said about addresses beside them.

    Attributes
    ----------
    headers
        Headers of HTTP requests.
    skip_signature
        Whether to read buckets without credentials.
    policy
        Whether a directory may be listed.
    """

    headers: Mapping[str, str]
    skip_signature: bool
    policy: af.Policy | None

    @classmethod
    def of(
        cls, arguments: argparse.Namespace, policy: af.Policy | None, *, among: Iterable[str] = ()
    ) -> Self:
        """Take the options from the arguments.

        Raises
        ------
        argparse.ArgumentError
            An option goes with none of the addresses.
        """
        schemes = {scheme_of(address) for address in among}
        if arguments.header and schemes and not schemes & _HTTP:
            raise argparse.ArgumentError(
                None, "argument --header: expected a SOURCE with http:// or https://"
            )
        if arguments.skip_signature and schemes and not schemes & _BUCKETS:
            raise argparse.ArgumentError(
                None, "argument --skip-signature: expected a SOURCE with s3://, gs:// or az://"
            )
        return cls(dict(arguments.header), arguments.skip_signature, policy)

    def source(self, address: str) -> SourceLike:
        """Return a new source for one address."""
        if scheme_of(address) == supervisely.SCHEME:
            return supervisely.source_from_settings(address)
        return with_options(address, self._options(address))

    def expanded(self, address: str) -> list[str]:
        """Return the addresses that one stands for: itself, or those of a directory or a pattern.

        Raises
        ------
        SourceError
            The directory cannot be listed, or has no videos.
        """
        options = self._options(address) if scheme_of(address) in _BUCKETS else {}
        listed = (source for source, _ in list_videos(address, options, self.policy))
        return [source.name if isinstance(source, ObjectStoreSource) else str(source) for source in listed]

    def _options(self, address: str) -> dict[str, Any]:
        scheme = scheme_of(address)
        if scheme in _HTTP and self.headers:
            return {"headers": self.headers}
        return {"skip_signature": True} if scheme in _BUCKETS and self.skip_signature else {}


def scheme_of(address: str) -> str:
    """Return the scheme of a URL in lower case; empty for a path."""
    return urlsplit(address).scheme.lower() if "://" in address else ""
