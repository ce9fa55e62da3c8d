"""
No engine's name may lead to where clouds hand out credentials.

control-plane checks an engine's address when it is registered. A name may have come to stand for something else since,
so the address is looked at once more, just before it is connected to.
"""

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from sage_contracts.addresses import METADATA


def guarded_socket(found: tuple[Any, ...]) -> socket.socket:
    """A socket for an address as `getaddrinfo` tells it; PermissionError for one no engine can have."""
    family, kind, protocol, _, (host, *_) = found
    if is_forbidden(str(host)):
        raise PermissionError(errno.EACCES, "no engine may be at this address")
    return socket.socket(family=family, type=kind, proto=protocol)


def is_forbidden(host: str) -> bool:
    address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address in METADATA or address.is_link_local or address.is_unspecified or address.is_multicast
