"""Which hosts may be connected to: names with wildcards, networks, and ports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from asyncframes._model.quoting import quoted_option

PUBLIC = "public"
"""The entry that allows every public address."""

_NAME = re.compile(r"(?:\*\.)?(?:[a-z0-9_*-]+\.)*[a-z0-9_*-]+")
_LONGEST_ENTRY = 300
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entry. A public address needs a matching name, or none; any other address needs its network."""

    name: re.Pattern[str] | None
    network: IPv4Network | IPv6Network | None
    port: int | None

    def may_allow(self, host: str, port: int) -> bool:
        """Whether an address of a host may be allowed. Where a name leads is not known yet."""
        literal = _address(host)
        if self.port not in {None, port}:
            return False
        if self.network is not None:
            return literal is None or _is_in(literal, self.network)
        return self.name is None or self.name.fullmatch(_plain(host)) is not None

    def allows(self, host: str, port: int, address: str, *, is_public: bool) -> bool:
        """Whether an address that a host has may be connected to."""
        if not self.may_allow(host, port):
            return False
        found = _address(address)
        return is_public if self.network is None else found is not None and _is_in(found, self.network)


class Hosts:
    """A list of hosts that may be connected to.

    Parameters
    ----------
    entries
        As for `Policy.hosts`.

    Raises
    ------
    ValueError
        An entry is invalid.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.entries = tuple(entries)
        self._rules = tuple(map(_rule, self.entries))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hosts) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def may_allow(self, host: str, port: int) -> bool:
        """Whether an address of a host may be allowed: ask before its name is resolved."""
        return any(rule.may_allow(host, port) for rule in self._rules)

    def allows(self, host: str, port: int, address: str, *, is_public: bool) -> bool:
        """Whether an address may be connected to: ask once the name is resolved.

        Parameters
        ----------
        host, port
            As in the URL.
        address
            IPv4 or IPv6 address as text, with or without a zone.
        is_public
            Whether the address is public.
        """
        return any(rule.allows(host, port, address, is_public=is_public) for rule in self._rules)


def _rule(entry: str) -> _Rule:
    """Parse an entry.

    Raises
    ------
    ValueError
        It is neither a name nor a network, or its port is invalid.
    """
    if not isinstance(entry, str) or len(entry) > _LONGEST_ENTRY:
        raise _invalid(entry)
    network = _network(entry)
    if network is not None:
        return _Rule(None, network, None)
    host, port = _split_port(entry)
    if (network := _network(host.removeprefix("[").removesuffix("]"))) is not None:
        return _Rule(None, network, port)
    if host.lower() in {PUBLIC, "*"}:
        return _Rule(None, None, port)
    return _Rule(_pattern(host, entry), None, port)


def _split_port(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    if not colon or entry.endswith("]"):
        return entry, None
    if not port.isascii() or not port.isdigit() or not 0 < int(port) <= _LAST_PORT:
        raise _invalid(entry)
    return host, int(port)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _pattern(host: str, entry: str) -> re.Pattern[str]:
    """Return what matches the names: ``*.`` at the front any labels, ``*`` elsewhere a part of one label."""
    try:
        plain = _plain(host if host.isascii() else host.encode("idna").decode())
    except UnicodeError:
        raise _invalid(entry) from None
    if plain == "*" or not _NAME.fullmatch(plain):
        raise _invalid(entry)
    below = plain.startswith("*.")
    rest = re.escape(plain.removeprefix("*.")).replace(r"\*", "[^.]*")
    return re.compile((r"(?:[^.]+\.)+" if below else "") + rest)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return an address as a number, without its zone; one inside another is the inner one."""
    try:
        found = ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _is_in(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


def _invalid(entry: object) -> ValueError:
    return ValueError(
        f"hosts: {quoted_option(entry)} is invalid: expected 'public', a name such as '*.example.com', "
        "an address or a network, each with a port if needed, such as 'example.com:8443'"
    )
