"""Containers that say by a label that they are engines: `sage.port`, the port they listen on."""

from collections.abc import Iterator, Mapping
from typing import Any

from control_plane.adapters.docker_engine import DockerEngine
from control_plane.domain.discoveries import MOST_LISTED, Address
from control_plane.domain.ports import LaunchFailed
from control_plane.domain.records import Source
from sage_contracts.errors import Unavailable

PORT_LABEL = "sage.port"
EVERY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104


class DockerRoster:
    """A container is reached where its port is published, else at its own address."""

    source: Source = "docker"
    name = "container"

    def __init__(self, docker: DockerEngine) -> None:
        self._docker = docker

    async def listed(self) -> Mapping[Address, str]:
        def found(client: Any) -> dict[Address, str]:
            containers = client.containers.list(filters={"label": PORT_LABEL}, ignore_removed=True)[:MOST_LISTED]
            return {
                address: f"{self.name} {container.name}"
                for container in containers
                for address in addresses(container.attrs)
            }

        try:
            return await self._docker.ask(found)
        except LaunchFailed as error:
            raise Unavailable(str(error)) from error


def addresses(attributes: Mapping[str, Any]) -> Iterator[Address]:
    """At most one; none for a label that is no port, or a container that cannot be reached."""
    label = str(attributes["Config"]["Labels"].get(PORT_LABEL, ""))
    if not (label.isascii() and label.isdecimal() and len(label) <= 5 and 0 < int(label) < 65536):
        return
    network = attributes["NetworkSettings"]
    for binding in (network.get("Ports") or {}).get(f"{label}/tcp") or []:
        host = str(binding["HostIp"])
        yield "127.0.0.1" if host in EVERY_ADDRESS else host, int(binding["HostPort"])
        return
    for one in (network.get("Networks") or {}).values():
        if one.get("IPAddress"):
            yield str(one["IPAddress"]), int(label)
            return
