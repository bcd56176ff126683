"""Which addresses are public: every row of the list, and every form in which an address can hide."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes.sources._http.public_addresses import REFUSED_IPV4, REFUSED_IPV6, is_public

# Both registries of IANA, all rows of 25 November 2026, and the deprecated and multicast spaces.
REGISTERED = [
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32",
    "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24",
    "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    "::1/128", "::/128", "::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "200::/7",
    "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48",
    "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "4000::/3", "5f00::/16",
    "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip

METADATA = {
    "169.254.169.254": "most clouds",
    "169.254.170.2": "AWS, containers",
    "169.254.42.42": "Scaleway",
    "100.100.100.200": "Alibaba",
    "192.0.0.192": "Oracle",
    "168.63.129.16": "Azure, wire server",
    "fd00:ec2::254": "AWS",
    "fd20:ce::254": "Google",
    "fd00:42::42": "Scaleway",
    "fe80::a9fe:a9fe%eth0": "OpenStack",
}

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255",
    "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2001:200::1", "2001:db7::1", "2001:db9::1", "2003::1", "2600::1", "2606:4700::1111",
    "2620:4f:8001::1", "3ffe::1", "3fff:1000::1", "2a00:1450::1", "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8", "2606:4700::5efe:808:808",
]  # fmt: skip


def ends(network: IPv4Network | IPv6Network) -> tuple[str, str]:
    return str(network.network_address), str(network.broadcast_address)


@pytest.mark.parametrize("row", REGISTERED)
def test_each_row_of_the_registries_is_refused(row: str) -> None:
    """The first and the last address of each special-purpose network."""
    assert not any(map(is_public, ends(ipaddress.ip_network(row))))


@pytest.mark.parametrize("row", [*REFUSED_IPV4, *REFUSED_IPV6], ids=str)
def test_each_row_of_the_list_is_refused(row: IPv4Network | IPv6Network) -> None:
    """The first, the last and a middle address of each, and the reason is told."""
    middle = str(row.network_address + row.num_addresses // 2)
    assert not any(map(is_public, (*ends(row), middle)))
    assert len((REFUSED_IPV4 | REFUSED_IPV6)[row]) > 3


@pytest.mark.parametrize("address", METADATA)
def test_metadata_of_clouds_is_refused(address: str) -> None:
    """What a machine in a cloud asks for its credentials."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_let_through(address: str) -> None:
    """Neighbours of what is refused, and public addresses in other forms."""
    assert is_public(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "1.2.3", "0x7f.1", "2130706433", "1.2.3.4.5", "[::1]", "::1/128", "\0"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Nothing is guessed."""
    assert not is_public(text)


def forms(ip: IPv4Address) -> dict[str, str]:
    """All the IPv6 addresses that lead to an IPv4 one."""
    number = int(ip)
    return {
        "mapped": f"::ffff:{ip}",
        "NAT64": f"64:ff9b::{ip}",
        "local NAT64": f"64:ff9b:1::{ip}",
        "compatible": f"::{ip}",
        "translated": f"::ffff:0:{ip}",
        "6to4": str(IPv6Address((0x2002 << 112) | (number << 80) | 1)),
        "Teredo server": str(IPv6Address((0x20010000 << 96) | (number << 64))),
        "Teredo client": str(IPv6Address((0x20010000 << 96) | (number ^ 0xFFFF_FFFF))),
        "ISATAP": str(IPv6Address((0x26064700 << 96) | (0x5EFE << 32) | number)),
        "ISATAP, unique": str(IPv6Address((0x26064700 << 96) | (0x02005EFE << 32) | number)),
    }


@pytest.mark.parametrize("row", REFUSED_IPV4, ids=str)
def test_a_refused_address_stays_refused_in_every_form(row: IPv4Network) -> None:
    """Mapped, translated or tunnelled."""
    for address in (row.network_address, row.broadcast_address):
        assert not [form for form, text in forms(address).items() if is_public(text)]


@given(st.ip_addresses(v=4))
def test_no_form_makes_an_address_public(ip: IPv4Address) -> None:
    """What counts as the address itself is as public as it; no other form makes it more so."""
    wrapped = {form: is_public(text) for form, text in forms(ip).items()}
    assert wrapped["mapped"] == wrapped["NAT64"] == is_public(str(ip))
    assert is_public(str(ip)) or not any(wrapped.values())


@given(st.ip_addresses())
def test_no_python_is_stricter(ip: IPv4Address | IPv6Address) -> None:
    """What this Python calls private is never public here, whatever its release."""
    assert ip.is_global or not is_public(str(ip)) or getattr(ip, "ipv4_mapped", None) is not None
