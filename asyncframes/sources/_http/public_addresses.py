"""Which IP addresses are public: a list of our own.

`ipaddress.is_global` follows the registries as of each release of Python, so it differs between
patch releases.

The rows come from

* the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, read on 25 November 2026:
  https://www.iana.org/assignments/iana-ipv4-special-registry,
  https://www.iana.org/assignments/iana-ipv6-special-registry), including the globally reachable
  ones: none of them serves files;
* the IANA multicast and IPv6 address space registries;
* addresses in public blocks where clouds serve their own machines.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

REFUSED_IPV4 = {
    IPv4Network("0.0.0.0/8"): "this network (RFC 791); 0.0.0.0 reaches this machine",
    IPv4Network("10.0.0.0/8"): "private use (RFC 1918)",
    IPv4Network("100.64.0.0/10"): "shared address space (RFC 6598); 100.100.100.200 is Alibaba's metadata",
    IPv4Network("127.0.0.0/8"): "loopback (RFC 1122)",
    IPv4Network("168.63.129.16/32"): "Azure's wire server, in a public block of Microsoft's",
    IPv4Network("169.254.0.0/16"): "link-local (RFC 3927); most clouds' metadata",
    IPv4Network("172.16.0.0/12"): "private use (RFC 1918)",
    IPv4Network("192.0.0.0/24"): "IETF protocol assignments (RFC 6890); 192.0.0.192 is Oracle's metadata",
    IPv4Network("192.0.2.0/24"): "documentation (RFC 5737)",
    IPv4Network("192.31.196.0/24"): "AS112-v4 (RFC 7535)",
    IPv4Network("192.52.193.0/24"): "AMT (RFC 7450)",
    IPv4Network("192.88.99.0/24"): "6to4 relay anycast, deprecated (RFC 7526)",
    IPv4Network("192.168.0.0/16"): "private use (RFC 1918)",
    IPv4Network("192.175.48.0/24"): "direct delegation AS112 service (RFC 7534)",
    IPv4Network("198.18.0.0/15"): "benchmarking (RFC 2544)",
    IPv4Network("198.51.100.0/24"): "documentation (RFC 5737)",
    IPv4Network("203.0.113.0/24"): "documentation (RFC 5737)",
    IPv4Network("224.0.0.0/4"): "multicast (RFC 5771)",
    IPv4Network("240.0.0.0/4"): "reserved (RFC 1112), and the limited broadcast (RFC 919)",
}
"""IPv4 networks to refuse, with the reason."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The space that IANA assigns to the public; everything else is refused.

Refused are ``::/8`` with loopback, unspecified and IPv4-compatible addresses;
``64:ff9b:1::/48`` (local NAT64, RFC 8215); ``100::/64`` and ``100:0:0:1::/64``
(RFC 6666, RFC 9780); ``5f00::/16`` (segment routing, RFC 9602); ``fc00::/7``
(unique local, RFC 4193), where ``fd00:ec2::254`` and ``fd20:ce::254`` are
metadata of AWS and Google; ``fe80::/10`` (link-local); ``fec0::/10`` (site-local,
deprecated by RFC 3879 and still routed inside sites); ``ff00::/8`` (multicast).
"""

REFUSED_IPV6 = {
    IPv6Network("2001::/23"): "IETF protocol assignments (RFC 2928): Teredo (RFC 4380), benchmarking "
    "(RFC 5180), AMT (RFC 7450), AS112 (RFC 7535), ORCHID (RFC 4843, RFC 7343), drones (RFC 9374)",
    IPv6Network("2001:db8::/32"): "documentation (RFC 3849)",
    IPv6Network("2002::/16"): "6to4 (RFC 3056), whose relays are gone (RFC 7526); it holds an IPv4 address",
    IPv6Network("2620:4f:8000::/48"): "direct delegation AS112 service (RFC 7534)",
    IPv6Network("3fff::/20"): "documentation (RFC 9637)",
}
"""Networks in the global unicast space to refuse, with the reason."""

_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


def is_public(address: str) -> bool:
    """Return whether an address is public.

    Parameters
    ----------
    address
        IPv4 or IPv6 address as text, with or without a zone. For an IPv4 address inside
        an IPv6 one (mapped, RFC 4291; NAT64, RFC 6052), the IPv4 address decides.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _is_public_ipv4(ip) if isinstance(ip, IPv4Address) else _is_public_ipv6(ip)


def _is_public_ipv4(ip: IPv4Address) -> bool:
    return not any(ip in network for network in REFUSED_IPV4)


def _is_public_ipv6(ip: IPv6Address) -> bool:
    last = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if ip in _MAPPED or ip in _NAT64:
        return _is_public_ipv4(last)
    if ip not in GLOBAL_UNICAST or any(ip in network for network in REFUSED_IPV6):
        return False
    # ISATAP (RFC 5214) forwards packets for such an interface to the IPv4 address in it.
    is_tunnel = int(ip) >> 32 & 0xFFFF_FFFF in _ISATAP
    return not is_tunnel or _is_public_ipv4(last)
