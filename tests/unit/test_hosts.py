"""Lists of hosts: names with wildcards, networks, ports, and the address that a name leads to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._policy.hosts import Hosts
from asyncframes.sources._http.public_addresses import is_public

PUBLIC, PRIVATE = "8.8.8.8", "10.1.2.3"


def allows(entries: list[str], host: str, address: str, port: int = 443) -> bool:
    return Hosts(entries).allows(host, port, address, is_public=is_public(address))


@pytest.mark.parametrize(
    ("entry", "host", "address", "expected"),
    [
        ("public", "example.com", PUBLIC, True),
        ("public", "example.com", PRIVATE, False),
        ("*", "example.com", PUBLIC, True),
        ("*", "example.com", PRIVATE, False),
        ("example.com", "example.com", PUBLIC, True),
        ("example.com", "EXAMPLE.com.", PUBLIC, True),
        ("EXAMPLE.com", "example.com", PUBLIC, True),
        ("example.com", "www.example.com", PUBLIC, False),
        ("example.com", "badexample.com", PUBLIC, False),
        ("example.com", "example.com.evil.net", PUBLIC, False),
        ("example.com", "example.com", PRIVATE, False),
        ("*.example.com", "www.example.com", PUBLIC, True),
        ("*.example.com", "a.b.example.com", PUBLIC, True),
        ("*.example.com", "example.com", PUBLIC, False),
        ("*.example.com", "badexample.com", PUBLIC, False),
        ("cdn-*.example.com", "cdn-7.example.com", PUBLIC, True),
        ("cdn-*.example.com", "cdn-7.evil.example.com", PUBLIC, False),
        ("bücher.example", "xn--bcher-kva.example", PUBLIC, True),
        ("10.1.0.0/16", "nas.local", PRIVATE, True),
        ("10.1.0.0/16", "nas.local", "10.2.0.1", False),
        ("10.1.0.0/16", "nas.local", PUBLIC, False),
        ("10.1.2.3", "10.1.2.3", PRIVATE, True),
        ("10.1.2.3", "nas.local", "::ffff:10.1.2.3", True),
        ("::1", "::1", "::1", True),
        ("[::1]", "::1", "::1", True),
        ("fd00::/8", "nas.local", "fd12::1", True),
        ("fd00::/8", "nas.local", "fe80::1%eth0", False),
        ("127.0.0.0/8", "localhost", "::1", False),
    ],
)
def test_an_entry_allows_what_it_names(entry: str, host: str, address: str, *, expected: bool) -> None:
    """A name needs a public address, so that it cannot lead into a private network."""
    assert allows([entry], host, address) is expected


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("public", "example.com", PUBLIC),
        ("example.com", "example.com", PUBLIC),
        ("*.example.com", "www.example.com", PUBLIC),
        ("10.1.2.3", "nas.local", PRIVATE),
        ("[::1]", "::1", "::1"),
    ],
)
def test_a_port_is_part_of_an_entry(entry: str, host: str, address: str) -> None:
    """With a port, an entry allows this one alone, also before the name is resolved."""
    with_port = f"{entry}:8443"
    assert allows([with_port], host, address, 8443)
    assert not allows([with_port], host, address, 443)
    assert Hosts([with_port]).may_allow(host, 8443)
    assert not Hosts([with_port]).may_allow(host, 443)


def test_one_entry_is_enough() -> None:
    """The entries of a list are alternatives, and an empty list allows nothing."""
    entries = ["example.com", "10.1.0.0/16"]
    assert allows(entries, "example.com", PUBLIC)
    assert allows(entries, "elsewhere.net", PRIVATE)
    assert not allows(entries, "elsewhere.net", PUBLIC)
    assert not allows([], "example.com", PUBLIC)


@pytest.mark.parametrize(
    "entry",
    [
        *("", ":443", "a..b", "exa mple.com", "example.com:0", "example.com:65536", "example.com:http"),
        *("http://example.com", "example.com/path", "*.", "[::1", "10.1.0.0/33", "user@example.com", "a\0b"),
        "a" * 301,
    ],
)
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    """At once and by its text, rather than to match nothing later."""
    with pytest.raises(ValueError, match=r"^hosts: .* is invalid: expected 'public', a name"):
        Hosts([entry])


@given(st.ip_addresses())
def test_public_is_what_the_list_of_public_addresses_says(address: object) -> None:
    """Whatever the form, literal or from a name."""
    text = str(address)
    assert allows(["public"], "example.com", text) is is_public(text)
    assert allows(["public"], text, text) is is_public(text)
