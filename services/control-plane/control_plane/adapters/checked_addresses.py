"""Host names resolved and checked: nothing of ours connects to an address that the policy refuses."""

import asyncio
import socket
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from control_plane.domain import addressing
from control_plane.domain.addressing import Policy
from sage_contracts.errors import AddressRefused

RESOLVE_SECONDS = 2.0


class CheckedAddresses:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def check(self, host: str) -> None:
        literal = addressing.literal(host)
        if literal is not None:
            self._policy.check(literal)
            return
        try:
            found = await self.resolved(host)
        except OSError:
            return
        self._check_all(found)

    async def resolved(self, host: str) -> list[str]:
        """Every address of `host`, in the resolver's order; raises OSError, also when it takes too long."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(RESOLVE_SECONDS):
            infos = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(info[4][0]) for info in infos))

    async def allowed(self, host: str) -> list[str]:
        """As `resolved`; raises AddressRefused when any of the addresses is refused."""
        found = await self.resolved(host)
        self._check_all(found)
        return found

    def _check_all(self, found: list[str]) -> None:
        for address in found:
            if "%" in address:
                raise AddressRefused("an address with a zone is link-local", param="host")
            self._policy.check(ip_address(address))


class CheckedResolver(AbstractResolver):
    """aiohttp's resolver: the addresses it answers have been checked, and they are the ones connected to."""

    def __init__(self, addresses: CheckedAddresses) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            found = await self._addresses.allowed(host)
        except AddressRefused as error:
            raise OSError(error.message) from error
        return [_result(host, address, port) for address in found if family in {socket.AF_UNSPEC, _family(address)}]

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=flags)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
