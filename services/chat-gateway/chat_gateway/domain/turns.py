"""A session's part in a chat: its history before the answer, its new turn after."""

import asyncio
import logging
import uuid
from typing import Any

from msgspec import UNSET

from chat_gateway.domain.joining import Joined, PromptMessage, joined, stored_form
from chat_gateway.domain.ports import History
from chat_gateway.domain.reading import Transcript
from sage_contracts.errors import SageError
from sage_contracts.sessions import NewMessage, Turn

log = logging.getLogger(__name__)

INTERRUPTED = "interrupted"


class Commits:
    """Turns on their way to the store: once begun, a commit outlives the request that began it."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, session_id: str, turn: Turn) -> asyncio.Task[None]:
        task = asyncio.create_task(self.history.commit(session_id, turn))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def settled(self) -> None:
        """Return when nothing is on its way any more."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning(
                "turn not stored", extra={"error": error.code if isinstance(error, SageError) else type(error).__name__}
            )


class OpenTurn:
    """One exchange with a session: `prompt` is what the engine is told."""

    def __init__(self, session_id: str, parts: Joined, commits: Commits) -> None:
        self.session_id = session_id
        self.prompt: list[PromptMessage] = parts.prompt
        self._new = [stored_form(message) for message in parts.new]
        self._commits = commits
        self._begun = False

    async def commit(self, transcript: Transcript, metadata: dict[str, Any]) -> None:
        """Store the turn; a cancelled caller leaves, the commit goes on. Raises an Unavailable when it cannot be."""
        self._begun = True
        told = {**metadata, "finish_reason": transcript.finish_reason}
        await asyncio.shield(self._begin(_answer(transcript.text, transcript.tool_calls, told)))

    def abandon(self, transcript: Transcript, metadata: dict[str, Any]) -> None:
        """
        Keep what an interrupted answer has said, if anything, without waiting.

        Its tool calls are left out: half a call would spoil every prompt to come.
        """
        if self._begun or not transcript.text:
            return
        self._begun = True
        self._begin(_answer(transcript.text, [], {**metadata, "finish_reason": INTERRUPTED}))

    def _begin(self, answer: NewMessage) -> asyncio.Task[None]:
        turn = Turn(turn_id=uuid.uuid4().hex, messages=[*self._new, answer])
        return self._commits.begin(self.session_id, turn)


class Turns:
    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    async def open(self, session_id: str, incoming: list[PromptMessage], budget_tokens: int | None) -> OpenTurn:
        """The history within the budget, joined with what comes in. Raises an Unavailable when the store is away."""
        for message in incoming:
            stored_form(message)
        context = await self._commits.history.context(session_id, budget_tokens)
        return OpenTurn(session_id, joined(context.messages, incoming, dropped=context.dropped), self._commits)


def _answer(text: str, tool_calls: list[dict[str, Any]], metadata: dict[str, Any]) -> NewMessage:
    content = text if text or not tool_calls else None
    return NewMessage(role="assistant", content=content, tool_calls=tool_calls or UNSET, metadata=metadata)
