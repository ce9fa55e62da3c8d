"""Conversations, kept by session-store."""

import asyncio

from msgspec import structs

from chat_gateway.domain.ports import History
from sage_chassis.client import ServiceClient
from sage_contracts import turns
from sage_contracts.errors import SessionBusy, StoreFull, Unavailable
from sage_contracts.turns import CommitTurn, HeldTurn, OpenTurn, TurnOpened

ANSWER_SECONDS = 5.0

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class SessionHistory(History):
    """
    A commit is tried for `commit_seconds` while the store is away; an opening may take `answer_seconds` beside the wait
    for other turns.
    """

    def __init__(self, store: ServiceClient, *, commit_seconds: float, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._store = store
        self._commit_seconds = commit_seconds
        self._answer_seconds = answer_seconds

    async def open(self, session_id: str, turn: OpenTurn) -> TurnOpened:
        """
        Asked without waiting at first, so that a store that hangs is known of as soon as by any other call.

        A turn that waits for nobody else may still find itself under way, where its client has named it.
        """
        if turn.on_conflict != "queue" and turn.digest is not None:
            return await self._opened(session_id, turn)
        try:
            return await self._opened(session_id, structs.replace(turn, wait_seconds=0.0))
        except SessionBusy:
            if turn.on_conflict != "queue" or not turn.wait_seconds:
                raise
        return await self._opened(session_id, turn)

    async def _opened(self, session_id: str, turn: OpenTurn) -> TurnOpened:
        seconds = turn.wait_seconds + self._answer_seconds
        return await self._store.call(turns.OPEN, turn, session_id=session_id, timeout=seconds)

    async def commit(self, session_id: str, turn: CommitTurn) -> None:
        """Sent again until it is answered: the store knows the turn by its id."""
        now = asyncio.get_running_loop().time
        deadline, pause = now() + self._commit_seconds, SHORTEST_PAUSE
        while True:
            try:
                await self._store.call(turns.COMMIT, turn, session_id=session_id)
            except StoreFull:
                raise
            except Unavailable:
                if now() + pause > deadline:
                    raise
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def renew(self, session_id: str, turn: HeldTurn) -> None:
        await self._store.call(turns.RENEW, turn, session_id=session_id)

    async def abandon(self, session_id: str, turn: HeldTurn) -> None:
        await self._store.call(turns.ABANDON, turn, session_id=session_id)
