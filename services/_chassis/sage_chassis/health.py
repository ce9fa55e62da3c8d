"""`/livez`: the process answers. `/readyz`: what it needs answers too."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

from litestar import Response, get
from litestar.di import NamedDependency

from sage_contracts import service as wire
from sage_contracts.service import Alive, Check, Readiness

Checks = Mapping[str, Callable[[], Awaitable[Check]]]

CHECK_SECONDS = 2.0


class Health:
    """`required` checks decide over readiness; `optional` ones only tell that the service is degraded."""

    def __init__(self, service: str, *, required: Checks | None = None, optional: Checks | None = None) -> None:
        self.service = service
        self._required = dict(required or {})
        self._optional = dict(optional or {})

    def alive(self) -> Alive:
        return Alive(service=self.service, version=version_of(self.service))

    async def readiness(self) -> Readiness:
        names = [*self._required, *self._optional]
        found = await asyncio.gather(*(_asked(check) for check in [*self._required.values(), *self._optional.values()]))
        checks = dict(zip(names, found, strict=True))
        return Readiness(
            service=self.service,
            version=version_of(self.service),
            status=_status(checks, frozenset(self._required)),
            checks=checks,
        )


@get(wire.LIVEZ.route)
async def livez(health: NamedDependency[Health]) -> Alive:
    return health.alive()


@get(wire.READYZ.route)
async def readyz(health: NamedDependency[Health]) -> Response[Readiness]:
    readiness = await health.readiness()
    return Response(readiness, status_code=503 if readiness.status == "not_ready" else 200)


def version_of(service: str) -> str:
    """The version of the installed distribution `sage-<service>`."""
    try:
        return version(f"sage-{service}")
    except PackageNotFoundError:
        return "0"


async def _asked(check: Callable[[], Awaitable[Check]]) -> Check:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return Check(ok=False, detail="no answer in time")


def _status(checks: Mapping[str, Check], required: frozenset[str]) -> wire.ReadinessStatus:
    failed = {name for name, check in checks.items() if not check.ok}
    if failed & required:
        return "not_ready"
    return "degraded" if failed else "ready"
