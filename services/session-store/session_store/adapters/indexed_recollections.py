"""Recollections in the rag-indexer."""

from collections.abc import Sequence

from sage_chassis.client import ServiceClient
from sage_contracts import recollections as wire
from session_store.domain.ranges import Ranges, covering
from session_store.domain.records import SessionKey

REMEMBER_SECONDS = 10.0
BATCH = 100


class IndexedRecollections:
    """Implements Recollected."""

    def __init__(self, indexer: ServiceClient) -> None:
        self._indexer = indexer

    async def remember(self, key: SessionKey, items: Sequence[wire.Recollection]) -> None:
        for start in range(0, len(items), BATCH):
            request = wire.Remember(
                owner=key.owner, session_id=key.session_id, items=list(items[start : start + BATCH])
            )
            await self._indexer.call(wire.REMEMBER, request, timeout=REMEMBER_SECONDS)

    async def recall(self, key: SessionKey, question: str, *, within: Ranges, top_k: int) -> list[wire.Recalled]:
        """Where the branch has more ranges than one may ask for, some of what lies between them is found too."""
        asked = [(part.first, part.behind) for part in covering(within, wire.RANGES_AT_MOST)]
        request = wire.Recall(
            owner=key.owner, session_id=key.session_id, query=question, top_k=top_k, within=asked or None
        )
        return (await self._indexer.call(wire.RECALL, request)).hits

    async def forget(self, key: SessionKey, ids: Sequence[str] | None, *, keep: Sequence[str] = ()) -> int:
        chosen = None if ids is None else list(ids)
        request = wire.Forget(owner=key.owner, session_id=key.session_id, ids=chosen, keep=list(keep))
        return (await self._indexer.call(wire.FORGET, request)).removed
