"""Conversations, kept by session-store."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NoReturn

from msgspec import structs

from chat_gateway.domain.ports import History
from sage_chassis.client import ServiceClient
from sage_contracts import service, turns
from sage_contracts.call import Empty
from sage_contracts.errors import SessionBusy, StoreFull, Unavailable
from sage_contracts.turns import CommitTurn, HeldTurn, OpenTurn, TurnOpened

ANSWER_SECONDS = 1.9
"""In which the store must answer, so that a client knows within two seconds. Its own limit for Redis is shorter."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class _Watch:
    """Whether the store is there: asked by one for all who wait, again and again."""

    def __init__(self, store: ServiceClient, answer_seconds: float) -> None:
        self._store = store
        self._answer_seconds = answer_seconds
        self._waiters = 0
        self._asking: asyncio.Task[NoReturn] | None = None

    @asynccontextmanager
    async def joined(self) -> AsyncGenerator[asyncio.Task[NoReturn]]:
        """It ends, with ServiceUnavailable, when the store does not answer in time."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._until_silent())
            self._asking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._waiters += 1
        try:
            yield self._asking
        finally:
            self._waiters -= 1
            if not self._waiters and self._asking is not None:
                self._asking.cancel()
                self._asking = None

    async def _until_silent(self) -> NoReturn:
        pause = self._answer_seconds / 4
        while True:
            await asyncio.sleep(pause)
            await self._store.call(service.LIVEZ, Empty(), timeout=self._answer_seconds - pause)


class SessionHistory(History):
    """
    A commit is tried for `commit_seconds` while the store is away; an opening may take `answer_seconds` beside the wait
    for other turns.
    """

    def __init__(self, store: ServiceClient, *, commit_seconds: float, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._store = store
        self._commit_seconds = commit_seconds
        self._answer_seconds = answer_seconds
        self._watch = _Watch(store, answer_seconds)

    async def open(self, session_id: str, turn: OpenTurn) -> TurnOpened:
        """
        Asked without waiting at first, so that a store that hangs is known of as soon as by any other call.

        A turn that waits for nobody else may still find itself under way, where its client has named it.
        """
        try:
            return await self._opened(session_id, structs.replace(turn, wait_seconds=0.0))
        except SessionBusy:
            may_wait = turn.on_conflict == "queue" or turn.digest is not None
            if not may_wait or not turn.wait_seconds:
                raise
        return await self._in_line(session_id, turn)

    async def _in_line(self, session_id: str, turn: OpenTurn) -> TurnOpened:
        """The store says nothing to who waits; meanwhile it is asked whether it is there."""
        opening = asyncio.ensure_future(self._opened(session_id, turn))
        try:
            async with self._watch.joined() as silence:
                await asyncio.wait({opening, silence}, return_when=asyncio.FIRST_COMPLETED)
            return opening.result() if opening.done() else silence.result()
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)

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
