"""The four memories, made of what they share: a window, shelves, and an engine that reads where one is set up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from sage_contracts.sessions import Backend
from session_store.domain.memory.chores import Chores
from session_store.domain.memory.facts import Facts, noted_fact
from session_store.domain.memory.graph import Graph, noted_relation
from session_store.domain.memory.learning import Learning
from session_store.domain.memory.relating import statements
from session_store.domain.memory.shelves import Shelves
from session_store.domain.memory.short_term import ShortTerm
from session_store.domain.memory.stating import asked_for
from session_store.domain.memory.summaries import Summaries
from session_store.domain.memory.vectors import Recollected, Tenants, Vectors
from session_store.domain.memory.window import NewestDialogs
from session_store.domain.ports import Clock, Memory, Scribe, StoredTurns, Tally

RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Made:
    """`loops` run for as long as the service does."""

    memories: Mapping[Backend, Memory]
    loops: Sequence[Callable[[], Awaitable[None]]]
    chores: Chores


def memories_over(
    window: NewestDialogs,
    shelves: Shelves,
    turns: StoredTurns,
    recollected: Recollected,
    tenants: Tenants,
    *,
    tally: Tally,
    clock: Clock,
    scribe: Scribe | None,
) -> Made:
    """Without a scribe, facts and relations are read by rules alone, and nothing is summarised."""
    chores = Chores(tally)
    engine = None if scribe is None else (scribe, chores)
    summaries = None if scribe is None else Summaries(shelves, turns, scribe, chores)
    facts = Learning(shelves, "facts", rules=asked_for, noted=noted_fact, tally=tally, engine=engine)
    relations = Learning(shelves, "relations", rules=statements, noted=noted_relation, tally=tally, engine=engine)
    vectors = Vectors(window, shelves, recollected, tenants, tally)
    made: dict[Backend, Memory] = {
        "short_term": ShortTerm(window, summaries),
        "vdb": vectors,
        "kv": Facts(window, shelves, facts, clock=clock),
        "graph": Graph(window, shelves, relations, clock=clock),
    }

    async def retry() -> None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            await vectors.store_owed()
            await vectors.erase_lost()

    return Made(made, [chores.run, retry], chores)
