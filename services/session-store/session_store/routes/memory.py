"""How the memory is set up and how it stands: `/memory…`."""

from litestar import get
from litestar.di import NamedDependency

from sage_contracts import sessions as wire
from session_store.domain.remembering import Remembering


@get(wire.MEMORY_CONFIG.route, status_code=wire.MEMORY_CONFIG.status, sync_to_thread=False)
def memory_config(remembering: NamedDependency[Remembering]) -> wire.MemoryConfig:
    return remembering.config()


@get(wire.MEMORY_STATS.route, status_code=wire.MEMORY_STATS.status)
async def memory_stats(owner: NamedDependency[str], remembering: NamedDependency[Remembering]) -> wire.MemoryStats:
    return await remembering.stats(owner)


ROUTES = [memory_config, memory_stats]
