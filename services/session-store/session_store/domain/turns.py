"""Turns: opened with what is asked, held while they are answered, committed with the answer or abandoned."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from sage_contracts import names
from sage_contracts import turns as wire
from sage_contracts.errors import InvalidRequest, SageError, StoreUnavailable
from sage_contracts.sessions import Backend
from session_store.domain.keys import key_of, missing
from session_store.domain.lines import Lines
from session_store.domain.memories import Memories
from session_store.domain.naming import Naming
from session_store.domain.openings import Answered, Busy, Held, Opened, Opening, Refused, Stored
from session_store.domain.ports import Clock, Ids, StoredTurns, Tally
from session_store.domain.records import MICROS, Asked, Committed, Placed, SessionKey, Window
from session_store.domain.refusals import busy, lost, refused
from session_store.domain.stamping import stamped, unanswered
from session_store.domain.texts import text_of
from session_store.domain.titles import title_from

LEASE_SECONDS = 15.0
WAIT_AT_MOST = 600.0
FIRST_LOOK, LAST_LOOK = 0.01, 0.1
"""The first in line looks again so many seconds later, more and more seldom while nothing happens."""

LONGEST_LOOK = 0.5
"""Whoever has others ahead looks more seldom, but not less often than this."""


@dataclass(frozen=True, slots=True)
class Times:
    """`clock` tells the time of day; `lease_seconds` is how long a turn is held that is not renewed."""

    clock: Clock
    lease_seconds: float = LEASE_SECONDS

    @property
    def now_us(self) -> int:
        return int(self.clock() * MICROS)

    @property
    def lease_us(self) -> int:
        return int(self.lease_seconds * MICROS)


class Turns:
    """`naming` is told of each session's first turn."""

    def __init__(
        self,
        stored: StoredTurns,
        memories: Memories,
        tally: Tally,
        *,
        times: Times,
        ids: Ids,
        naming: Naming | None = None,
    ) -> None:
        self._stored = stored
        self._memories = memories
        self._tally = tally
        self._times = times
        self._ids = ids
        self._naming = naming
        self._lines = Lines()
        self._leaving: set[asyncio.Task[None]] = set()

    async def open(self, owner: str, session_id: str, asked: wire.OpenTurn) -> wire.TurnOpened:
        """
        Begin a turn, in its session or with it, and tell what its engine is to be told.

        Raises SessionBusy when others are under way and it may not wait, or has waited; IdempotencyKeyReused,
        BranchNotFound, and Conflict when a turn of this id cannot be taken up again.
        """
        key = key_of(owner, session_id)
        opening = self._opening(asked)
        opened = await self._tried(key, opening, asked.wait_seconds)
        if isinstance(opened, Answered):
            self._tally.turn("replayed")
            return _replayed(session_id, asked, opened, self._memories.usual.backend)
        try:
            told = await self._told(key, asked, opened)
        except BaseException:
            self._leave(key, opening, opened.window.branch)
            raise
        self._tally.turn("opened")
        return told

    async def renew(self, owner: str, session_id: str, turn: wire.HeldTurn) -> wire.TurnRenewed:
        until_us = self._times.now_us + self._times.lease_us
        told = await self._stored.renew(key_of(owner, session_id), held_of(turn), until_us=until_us)
        if told != "renewed":
            raise missing(session_id) if told == "missing" else lost()
        return wire.TurnRenewed(lease_seconds=self._times.lease_seconds)

    async def commit(self, owner: str, session_id: str, turn: wire.CommitTurn) -> wire.TurnCommitted:
        """Store what the turn adds, once, whole or not at all. Raises TurnLost and SessionNotFound."""
        key = key_of(owner, session_id)
        try:
            new = stamped(turn.turn_id, turn.messages, ids=self._ids, now_us=self._times.now_us, seconds=turn.seconds)
            held = Held(turn.turn_id, turn.token, names.branch(turn.branch))
            stored = await self._stored.commit(key, held, new)
        except InvalidRequest:
            self._tally.turn("refused")
            raise
        except StoreUnavailable:
            self._tally.turn("unavailable")
            raise
        if isinstance(stored, str):
            self._tally.turn("lost")
            raise missing(session_id) if stored == "missing" else lost()
        self._lines.wake((key, turn.branch))
        self._tally.turn("repeated" if stored.repeated else "stored")
        self._remember(key, turn, stored)
        if self._naming is not None and not stored.repeated and stored.message_count == len(new.messages):
            self._naming.begun(key, new.messages)
        return wire.TurnCommitted(
            session_id=session_id,
            branch=turn.branch,
            message_count=stored.message_count,
            repeated=stored.repeated,
        )

    def _remember(self, key: SessionKey, turn: wire.CommitTurn, stored: Stored) -> None:
        """A repeated turn too: who stored it may have died before it was remembered."""
        placed = [Placed(stored.first + number, message) for number, message in enumerate(stored.messages)]
        if placed:
            committed = Committed(
                key=key,
                branch=turn.branch,
                messages=placed,
                created_us=stored.created_us,
                choice=stored.choice,
                begins=turn.begins,
            )
            self._memories.remember(committed)

    async def abandon(self, owner: str, session_id: str, turn: wire.HeldTurn) -> wire.TurnAbandoned:
        key = key_of(owner, session_id)
        was_open = await self._stored.abandon(key, held_of(turn))
        self._lines.wake((key, turn.branch))
        if was_open:
            self._tally.turn("abandoned")
        return wire.TurnAbandoned(status="abandoned" if was_open else "not_open")

    async def close(self) -> None:
        """Wait for what is still being given up."""
        await asyncio.gather(*self._leaving)

    def _opening(self, asked: wire.OpenTurn) -> Opening:
        now_us = self._times.now_us
        return Opening(
            turn_id=asked.turn_id,
            opener=self._ids(),
            messages=unanswered(asked.messages, ids=self._ids, now_us=now_us),
            now_us=now_us,
            lease_us=self._times.lease_us,
            newest=self._memories.window,
            auto_title=title_from(asked.messages),
            digest=asked.digest,
            on_conflict=asked.on_conflict,
            branch=None if asked.branch is None else names.branch(asked.branch),
        )

    async def _tried(self, key: SessionKey, opening: Opening, wait_seconds: float) -> Opened | Answered:
        """Until it is this turn's turn. Who is cancelled, or not answered, gives up what it may have got."""
        now = asyncio.get_running_loop().time
        began, place, has_left, is_unsure = now(), "", True, True
        before: Busy | None = None
        pause = FIRST_LOOK
        try:
            while True:
                is_unsure = True
                found = await self._stored.open(key, opening.at(self._times.now_us))
                is_unsure = False
                match found:
                    case Opened():
                        has_left = True
                        return found
                    case Answered():
                        return found
                    case Refused():
                        raise refused(found, opening)
                may_wait = found.is_itself or opening.on_conflict == "queue"
                if may_wait:
                    if place != found.branch:
                        self._lines.leave((key, place), opening.opener)
                    place, has_left = found.branch, False
                waited = now() - began
                left = min(wait_seconds, WAIT_AT_MOST) - waited
                if left <= 0 or not may_wait:
                    raise busy(found)
                pause = FIRST_LOOK if found != before else min(1.5 * pause, LAST_LOOK)
                before = found
                look = min(pause * (1 + found.ahead), LONGEST_LOOK, left)
                await self._lines.wait((key, place), opening.opener, look)
        finally:
            self._lines.leave((key, place), opening.opener)
            if is_unsure or not has_left:
                self._leave(key, opening, place)

    def _leave(self, key: SessionKey, opening: Opening, place: str) -> None:
        """In the background: a place that nobody gives up is free anyway when its waiter is not seen for a while."""

        async def leave() -> None:
            with suppress(SageError):
                await self._stored.leave(key, opening, place)
            self._lines.wake((key, place))

        task = asyncio.create_task(leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _told(self, key: SessionKey, asked: wire.OpenTurn, opened: Opened) -> wire.TurnOpened:
        window = opened.window

        async def further(newest: int) -> Window:
            return await self._stored.window(key, newest=newest, branch=window.branch)

        question = Asked(
            key=key,
            window=window,
            question=_question(asked, window),
            budget_tokens=asked.budget_tokens,
            model=asked.model,
            has_instructions=asked.has_instructions,
        )
        recalled = await self._memories.recalled(question, further)
        return wire.TurnOpened(
            session_id=key.session_id,
            branch=window.branch,
            turn_id=asked.turn_id,
            token=opened.token,
            lease_seconds=self._times.lease_seconds,
            context=wire.Context(
                backend=self._memories.of(window.choice).backend,
                messages=list(recalled.messages),
                hits=list(recalled.hits),
                dropped=recalled.dropped,
                tokens=recalled.tokens,
                hit_tokens=recalled.hit_tokens,
                begins=recalled.begins,
            ),
        )


def held_of(turn: wire.HeldTurn) -> Held:
    return Held(turn.turn_id, turn.token, names.branch(turn.branch))


def _question(asked: wire.OpenTurn, window: Window) -> str:
    """What memory is searched for. Results of tools that come alone belong to what the user said last."""
    if asked.question or any(message.role == "user" for message in asked.messages):
        return asked.question
    return next((text_of(one.content) for one in reversed(window.tail) if one.role == "user"), "")


def _replayed(session_id: str, asked: wire.OpenTurn, answered: Answered, backend: Backend) -> wire.TurnOpened:
    answers = [message for message in answered.messages if message.role == "assistant"]
    return wire.TurnOpened(
        session_id=session_id,
        branch=answered.branch,
        turn_id=asked.turn_id,
        token=0,
        lease_seconds=0.0,
        context=wire.Context(backend=backend, messages=[], hits=[], dropped=0, tokens=0, hit_tokens=0),
        answered=answers[-1] if answers else answered.messages[-1],
    )
