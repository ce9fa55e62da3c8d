"""The memories there are: which of them a session has, what is told of it, remembered and erased."""

import asyncio
import logging
from collections.abc import Mapping

from sage_contracts.errors import InvalidRequest
from sage_contracts.sessions import Backend, MemoryChoice
from session_store.domain.ports import Further, Memory, Recalled, Tally
from session_store.domain.records import Asked, Committed, SessionKey

log = logging.getLogger(__name__)

MESSAGES_A_DIALOG = 4
"""How many are fetched for each dialog at first; a session with longer ones is read again, further back."""

WAITING_AT_MOST = 10_000
"""Turns that wait to be remembered; more are not."""


class Memories:
    """`usual` is what a session gets that chooses none."""

    def __init__(
        self,
        memories: Mapping[Backend, Memory],
        usual: Backend,
        tally: Tally,
    ) -> None:
        self._memories = memories
        self._usual = memories[usual]
        self._tally = tally
        self._waiting: asyncio.Queue[Committed] = asyncio.Queue(WAITING_AT_MOST)

    @property
    def usual(self) -> Memory:
        return self._usual

    @property
    def window(self) -> int:
        """How many of a branch's newest messages to read at first."""
        return (self._usual.max_dialogs + 1) * MESSAGES_A_DIALOG

    def of(self, choice: MemoryChoice | None) -> Memory:
        return self._usual if choice is None else self._memories.get(choice.backend, self._usual)

    def check(self, choice: MemoryChoice | None) -> None:
        """InvalidRequest when there is no such memory here."""
        if choice is not None and choice.backend not in self._memories:
            there = ", ".join(self._memories)
            raise InvalidRequest(f"memory.backend {choice.backend!r} is not set up here: {there}", param="memory")

    async def recalled(self, asked: Asked, further: Further) -> Recalled:
        found = await self.of(asked.window.choice).recall(asked, further)
        if found.notice:
            log.warning("memory not recalled", extra={"session": asked.key.session_id, "why": found.notice})
        self._tally.context(kept=len(found.messages), dropped=found.dropped)
        return found

    def remember(self, committed: Committed) -> None:
        """Later, in the order of the calls."""
        try:
            self._waiting.put_nowait(committed)
        except asyncio.QueueFull:
            self._tally.memory("remember", "dropped")
            log.warning("turn not remembered", extra={"session": committed.key.session_id, "why": "too many wait"})

    async def run(self) -> None:
        """Remember what waits, for as long as the service lives."""
        while True:
            committed = await self._waiting.get()
            try:
                await self.of(committed.choice).remember(committed)
            except Exception:
                self._tally.memory("remember", "failed")
                log.exception("turn not remembered", extra={"session": committed.key.session_id})
            finally:
                self._waiting.task_done()

    async def idle(self) -> None:
        """Returns once nothing waits to be remembered."""
        await self._waiting.join()

    async def erase(self, key: SessionKey) -> dict[str, int]:
        """Of every memory, whichever the session had: it may have had another. SageError as Memory.erase."""
        removed: dict[str, int] = {}
        for memory in self._memories.values():
            for kind, number in (await memory.erase(key)).items():
                removed[kind] = removed.get(kind, 0) + number
        return removed
