"""Ports on which to listen inside a machine: which may be taken, and which are free."""

import random
import socket
from collections.abc import Iterator
from pathlib import Path

INTERNAL = (20_000, 32_000)
"""Below what the kernel gives to outgoing connections: none of those may take a port before its service listens."""

CANDIDATES = 500


def candidates() -> Iterator[int]:
    """Ports to try, in an order that is another each time: two who choose at once rarely choose the same."""
    low, high = INTERNAL
    try:
        ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        ephemeral = high
    high = ephemeral if low + 1000 < ephemeral < high else high
    yield from random.sample(range(low, high), k=CANDIDATES)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises OSError where none can, and UnicodeError for a host that is no name."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    probe = socket.socket(family, kind, protocol)
    try:
        # As the servers do: connections of the last run that still wait for their end are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)
    except OSError:
        probe.close()
        raise
    return probe
