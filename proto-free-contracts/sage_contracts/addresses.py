"""Addresses that no engine can have: looked at when one is registered, and again when it is connected to."""

from ipaddress import ip_address

METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds; link-local anyway
        "169.254.170.2",  # container credentials
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""Where clouds hand out credentials: never an engine, whatever network the operator allows."""
