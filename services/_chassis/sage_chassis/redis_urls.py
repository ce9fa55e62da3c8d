"""What one URL says of Redis or Valkey: a server, the Sentinels that know who is master, or a cluster."""

import re
from dataclasses import dataclass
from typing import Literal

Topology = Literal["server", "sentinel", "cluster"]

_AUTH = r"(?:[^@/]*@)?"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
_HOSTS = rf"{_HOST}(?::[0-9]{{1,5}})?(?:,{_HOST}(?::[0-9]{{1,5}})?)*"
_SERVER = rf"rediss?://{_AUTH}{_HOST}?(?::[0-9]{{1,5}})?(?:/[0-9]*)?(?:\?.*)?"
_SENTINEL = rf"rediss?\+sentinel://{_AUTH}{_HOSTS}/[A-Za-z0-9._-]+(?:/[0-9]*)?(?:\?.*)?"
_CLUSTER = rf"rediss?\+cluster://{_AUTH}{_HOSTS}(?:/0?)?(?:\?.*)?"

PATTERN = f"^(?:{_SERVER}|unix://.+|{_SENTINEL}|{_CLUSTER})$"

_PARTS = re.compile(
    rf"(?P<scheme>rediss?)\+(?P<topology>sentinel|cluster)://(?P<auth>{_AUTH})(?P<hosts>{_HOSTS})"
    r"(?:/(?P<path>[^?]*))?(?P<query>\?.*)?"
)
_PORTS: dict[Topology, int] = {"sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class Servers:
    """
    `url` is a plain one: who we are, which database, TLS, options; its host is to be taken for that of a server alone.

    Else `nodes` are whom to ask first, Sentinels or some nodes of the cluster, and `master` is the name under which
    Sentinels know it.
    """

    topology: Topology
    url: str
    nodes: tuple[tuple[str, int], ...] = ()
    master: str = ""


def servers_of(url: str) -> Servers:
    """`url` has passed PATTERN."""
    found = _PARTS.fullmatch(url)
    if found is None:
        return Servers("server", url)
    topology: Topology = "sentinel" if found["topology"] == "sentinel" else "cluster"
    first, _, second = (found["path"] or "").partition("/")
    master, database = (first, second) if topology == "sentinel" else ("", first)
    hosts = found["hosts"].split(",")
    plain = f"{found['scheme']}://{found['auth']}{hosts[0]}/{database}{found['query'] or ''}"
    return Servers(topology, plain, tuple(_node(host, _PORTS[topology]) for host in hosts), master)


def _node(text: str, port: int) -> tuple[str, int]:
    host, found, number = text.rpartition(":")
    if not found or text.endswith("]"):
        return text.strip("[]"), port
    return host.strip("[]"), int(number)
