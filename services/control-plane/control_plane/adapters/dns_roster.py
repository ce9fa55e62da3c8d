"""The addresses behind a DNS name, each an engine: a headless service, a round-robin name."""

from collections.abc import Awaitable, Callable, Mapping

from control_plane.domain.discoveries import MOST_LISTED, Address
from control_plane.domain.records import Source
from sage_contracts.errors import Unavailable


class DNSRoster:
    """`resolve` answers every address of a name, or raises OSError."""

    source: Source = "dns"

    def __init__(self, name: str, port: int, resolve: Callable[[str], Awaitable[list[str]]]) -> None:
        self.name = f"dns {name}:{port}"
        self._host = name
        self._port = port
        self._resolve = resolve

    async def listed(self) -> Mapping[Address, str]:
        try:
            found = await self._resolve(self._host)
        except OSError as error:
            raise Unavailable(f"{self._host} cannot be resolved: {error}") from error
        return {(address, self._port): self.name for address in sorted(found)[:MOST_LISTED]}
