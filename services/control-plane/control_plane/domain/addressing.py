"""Which addresses an engine may have: decided on the resolved address, never on its spelling."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sage_contracts.addresses import METADATA
from sage_contracts.errors import AddressRefused

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

PRIVATE: tuple[IPNetwork, ...] = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""Private networks, carrier-grade NAT included: clusters number their pods from it."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)", re.ASCII)
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE = IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class Policy:
    """`networks` are those where engines may live beside the public internet, whose addresses are always allowed."""

    allow_loopback: bool = True
    networks: tuple[IPNetwork, ...] = PRIVATE

    def check(self, address: IPAddress) -> None:
        """Raises AddressRefused unless `address`, and every address that it carries, is allowed."""
        direct = _unmapped(address)
        reasons = [self._refusal(direct), *(self._refusal_carried(inner) for inner in _carried(direct))]
        reason = next((told for told in reasons if told is not None), None)
        if reason is not None:
            raise AddressRefused(f"{address} may not be an engine's address: {reason}", param="host")

    def _refusal_carried(self, address: IPv4Address) -> str | None:
        return "it is carried to loopback" if address.is_loopback else self._refusal(address)

    def _refusal(self, address: IPAddress) -> str | None:
        reason: str | None = None
        if address in METADATA:
            reason = "it is a cloud's metadata service"
        elif address.is_unspecified:
            reason = "it is unspecified"
        elif address.is_loopback:
            reason = None if self.allow_loopback else "loopback is allowed in local mode only"
        elif address.is_link_local:
            reason = "it is link-local"
        elif any(address in network for network in self.networks):
            reason = None
        elif any(address in network for network in PRIVATE):
            reason = "this private network is not allowed"
        elif not address.is_global or address.is_multicast or address.is_reserved:
            reason = "no engine can have it"
        return reason


def policy(*, allow_loopback: bool, networks: Sequence[str]) -> Policy:
    """`networks` are written as `10.0.0.0/8`; `private` stands for every private network. Raises ValueError."""
    read: list[IPNetwork] = []
    for text in networks:
        read.extend(PRIVATE if text == "private" else [ip_network(text)])
    return Policy(allow_loopback=allow_loopback, networks=tuple(read))


def host(text: str) -> str:
    """
    `text` as it is kept: an IP address in its usual form, or a lower-case DNS name.

    Raises AddressRefused for everything else: other spellings of an address (decimal, octal, hexadecimal, short),
    ports, paths, credentials, zones, anything beyond ASCII.
    """
    literal = _literal(text)
    if literal is not None:
        return str(literal)
    last = text.rsplit(".", 1)[-1]
    if len(text) > 253 or not _NAME.fullmatch(text) or _NUMBER.fullmatch(last):
        raise AddressRefused("host must be a DNS name or an IP address in its usual form", param="host")
    return text.lower()


def literal(checked_host: str) -> IPAddress | None:
    """The address that a host kept by `host` is, or None for a name."""
    return _literal(checked_host)


def base_url(checked_host: str, port: int) -> str:
    return f"http://[{checked_host}]:{port}" if ":" in checked_host else f"http://{checked_host}:{port}"


def _literal(text: str) -> IPAddress | None:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        raise AddressRefused("an address with a zone is link-local", param="host")
    return found


def _unmapped(address: IPAddress) -> IPAddress:
    """An IPv4-mapped address is its IPv4 address, only spelled differently."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _carried(address: IPAddress) -> Iterator[IPv4Address]:
    """The IPv4 addresses to which tunnels and translators forward a packet sent to this one."""
    if isinstance(address, IPv4Address):
        return
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or (address in _IPV4_COMPATIBLE and not (address.is_loopback or address.is_unspecified)):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
