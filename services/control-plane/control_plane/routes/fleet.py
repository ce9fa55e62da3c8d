"""The fleet for gateways, as sage_contracts.fleet declares it."""

from litestar import get
from litestar.di import NamedDependency

from control_plane.domain.fleets import Fleets
from sage_contracts import fleet as wire


@get(wire.FLEET.route)
async def read_fleet(fleets: NamedDependency[Fleets]) -> wire.Fleet:
    return await fleets.read()
