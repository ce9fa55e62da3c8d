"""Conversations, kept by session-store."""

from chat_gateway.domain.ports import History
from sage_chassis.client import ServiceClient
from sage_contracts import sessions
from sage_contracts.errors import ServiceUnavailable
from sage_contracts.sessions import ContextRequest, SessionContext, Turn


class SessionHistory(History):
    def __init__(self, store: ServiceClient) -> None:
        self._store = store

    async def context(self, session_id: str, budget_tokens: int | None) -> SessionContext:
        asked = ContextRequest(budget_tokens=budget_tokens)
        return await self._store.call(sessions.CONTEXT, asked, session_id=session_id)

    async def commit(self, session_id: str, turn: Turn) -> None:
        """Sent again once when the connection failed: the store knows the turn by its id."""
        try:
            await self._store.call(sessions.COMMIT, turn, session_id=session_id)
        except ServiceUnavailable:
            await self._store.call(sessions.COMMIT, turn, session_id=session_id)
