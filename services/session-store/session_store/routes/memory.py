"""How the memory is set up and how it stands: `/memory…`."""

from litestar import get
from litestar.di import NamedDependency

from sage_contracts import sessions as wire
from sage_contracts.names import LOCAL_OWNER
from session_store.domain.memories import Memories


@get(wire.MEMORY_CONFIG.route, status_code=wire.MEMORY_CONFIG.status, sync_to_thread=False)
def memory_config(memories: NamedDependency[Memories]) -> wire.MemoryConfig:
    return memories.config()


@get(wire.MEMORY_STATS.route, status_code=wire.MEMORY_STATS.status)
async def memory_stats(memories: NamedDependency[Memories]) -> wire.MemoryStats:
    return await memories.stats(LOCAL_OWNER)


ROUTES = [memory_config, memory_stats]
