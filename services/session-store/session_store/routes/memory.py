"""How the memory is set up, how it stands, and what it holds of a session: `/memory…`, `/sessions/{id}/memory…`."""

from litestar import delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sage_contracts import memory as wire
from session_store.domain.remembering import Remembering


@get(wire.CONFIG.route, status_code=wire.CONFIG.status, sync_to_thread=False)
def memory_config(remembering: NamedDependency[Remembering]) -> wire.MemoryConfig:
    return remembering.config()


@get(wire.STATS.route, status_code=wire.STATS.status)
async def memory_stats(owner: NamedDependency[str], remembering: NamedDependency[Remembering]) -> wire.MemoryStats:
    return await remembering.stats(owner)


@get(wire.ITEMS.route, status_code=wire.ITEMS.status)
async def memory_items(
    owner: NamedDependency[str], session_id: FromPath[str], remembering: NamedDependency[Remembering]
) -> wire.Remembered:
    return await remembering.items(owner, session_id)


@put(wire.PUT_FACTS.route, status_code=wire.PUT_FACTS.status)
async def put_facts(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    data: JSONBody[wire.NewFacts],
    remembering: NamedDependency[Remembering],
) -> wire.FactsStored:
    return await remembering.put(owner, session_id, data)


@delete(wire.FORGET.route, status_code=wire.FORGET.status)
async def forget_item(
    owner: NamedDependency[str],
    session_id: FromPath[str],
    item_id: FromPath[str],
    remembering: NamedDependency[Remembering],
) -> wire.Forgotten:
    return await remembering.forget(owner, session_id, item_id)


ROUTES = [memory_config, memory_stats, memory_items, put_facts, forget_item]
