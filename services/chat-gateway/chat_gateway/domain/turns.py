"""A session's part in a chat: its history before the answer, its new turn after."""

import asyncio
import logging
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import UNSET

from chat_gateway.domain.errands import Errands, Lease
from chat_gateway.domain.grounding import MAX_QUESTION, question_of
from chat_gateway.domain.joining import Joined, PromptMessage, asked_now, instructions, joined, stored_form
from chat_gateway.domain.ports import History, Meter, TurnEnd
from chat_gateway.domain.reading import Transcript
from sage_contracts.errors import InvalidRequest, SageError, SessionNotFound, TurnLost, Unavailable
from sage_contracts.names import BRANCH_HEADER, MAIN_BRANCH, SESSION_ID_HEADER
from sage_contracts.sessions import Message, NewMessage
from sage_contracts.turns import INTERRUPTED, MESSAGES_A_TURN, CommitTurn, HeldTurn, OnConflict, OpenTurn, TurnOpened

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnWish:
    """
    How a chat wants its turn. `key` is the client's own name for it, `digest` what tells its request from another's.

    `branch` None is the session's head.
    """

    key: str | None = None
    digest: str | None = None
    branch: str | None = None
    on_conflict: OnConflict = "queue"


NO_WISH = TurnWish()


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn that was answered before: the client gets what is stored."""

    session_id: str
    branch: str
    message: Message


class Turn:
    """One exchange with a session: `prompt` is what the engine is told. It must be committed or abandoned."""

    def __init__(self, opened: TurnOpened, parts: Joined, turns: "Turns") -> None:
        self.session_id = opened.session_id
        self.branch = opened.branch
        self.context = opened.context
        self.prompt: list[PromptMessage] = parts.prompt
        self.sent: list[PromptMessage] = parts.sent
        self._held = held_of(opened)
        self._new = [stored_form(message) for message in parts.new]
        self._turns = turns
        self._lease = turns.lease(self.session_id, self._held, opened.lease_seconds)
        self._is_over = False
        self._now = asyncio.get_running_loop().time
        self._began = self._now()

    async def commit(self, transcript: Transcript, metadata: dict[str, Any]) -> None:
        """
        Store the turn; a cancelled caller leaves, the commit goes on.

        Raises TurnLost when the session has gone on without it, and an Unavailable when the store is away. A session
        that was deleted meanwhile stays deleted.
        """
        told = {**metadata, "finish_reason": transcript.finish_reason}
        if transcript.annotations:
            told["annotations"] = transcript.annotations
        answer = _answer(transcript.text, transcript.tool_calls, told, transcript.extra)
        await asyncio.shield(self._end(self._turns.stored(self.session_id, self._committed(answer), "committed")))

    def abandon(self, transcript: Transcript | None = None, metadata: dict[str, Any] | None = None) -> None:
        """
        Keep what an interrupted answer has said, if anything, without waiting.

        Its tool calls and other fields are left out: half a call would spoil every prompt to come.
        """
        if self._is_over:
            return
        if transcript is None or not transcript.text:
            self._end(self._turns.given_back(self.session_id, self._held))
            return
        answer = _answer(transcript.text, [], {**(metadata or {}), "finish_reason": INTERRUPTED}, {})
        self._end(self._turns.stored(self.session_id, self._committed(answer), "interrupted"))

    def headers(self) -> dict[str, str]:
        return session_headers(self.session_id, self.branch)

    def _committed(self, answer: NewMessage) -> CommitTurn:
        held = self._held
        messages = [*self._new, answer]
        return CommitTurn(
            turn_id=held.turn_id,
            token=held.token,
            branch=held.branch,
            messages=messages,
            begins=self.context.begins,
            seconds=self._now() - self._began,
        )

    def _end(self, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._is_over = True
        self._lease.end()
        return self._turns.errands.begin(ending)


class Turns:
    """
    `wait_seconds` is how long a turn waits for others of its session. Not `required`, a chat whose session cannot be
    had goes on without it.
    """

    def __init__(
        self, history: History, errands: Errands, meter: Meter, *, wait_seconds: float = 60.0, required: bool = True
    ) -> None:
        self._history = history
        self.errands = errands
        self._meter = meter
        self._wait_seconds = wait_seconds
        self._required = required

    async def open(
        self,
        session_id: str,
        incoming: list[PromptMessage],
        wish: TurnWish,
        *,
        budget_tokens: int | None,
        model: str | None,
    ) -> Turn | Answered | None:
        """
        The history within the budget, joined with what comes in; None for a chat that goes on without its session.

        Cancelled, it leaves nothing held: its place in the line stays until it comes up and is given back then, for the
        store's answer alone tells what there is to give back. Raises what the store refuses the turn with, and an
        Unavailable when it is away.
        """
        for index, message in enumerate(incoming):
            stored_form(message, f"messages[{index}]")
        asked = asked_now(incoming)
        request = OpenTurn(
            turn_id=uuid.uuid4().hex if wish.key is None else f"key:{wish.key}",
            messages=[stored_form(message) for message in asked],
            question=question_of(incoming)[:MAX_QUESTION],
            digest=wish.digest,
            on_conflict=wish.on_conflict,
            branch=wish.branch,
            budget_tokens=budget_tokens,
            model=model,
            has_instructions=bool(instructions(incoming)),
            wait_seconds=self._wait_seconds,
        )
        opening = self.errands.begin(self._history.open(session_id, request), waits=True)
        try:
            opened = await asyncio.shield(opening)
        except asyncio.CancelledError:
            self.errands.begin(self._given_up(session_id, opening), waits=True)
            raise
        except SageError as error:
            if self._required or error.status < 500:
                raise
            log.warning("session left out of a chat", extra={"error": error.code})
            self._meter.turn("without")
            return None
        if opened.answered is not None:
            self._meter.turn("replayed")
            return Answered(session_id, opened.branch, opened.answered)
        try:
            return self._turn(opened, incoming, budget_tokens)
        except Exception:
            self.errands.begin(self.given_back(session_id, held_of(opened)))
            raise

    def _turn(self, opened: TurnOpened, incoming: list[PromptMessage], budget_tokens: int | None) -> Turn:
        """What cannot be stored is not asked: raises InvalidRequest for more messages than a turn may have."""
        told = opened.context
        parts = joined(told.messages, incoming, dropped=told.dropped, budget_tokens=budget_tokens)
        if len(parts.new) >= MESSAGES_A_TURN:
            raise InvalidRequest(
                f"messages: {len(parts.new)} are new to the session, and a turn has at most {MESSAGES_A_TURN} with its "
                "answer",
                param="messages",
            )
        return Turn(opened, parts, self)

    def lease(self, session_id: str, held: HeldTurn, seconds: float) -> Lease:
        return Lease(lambda: self._history.renew(session_id, held), seconds, self.errands)

    async def stored(self, session_id: str, turn: CommitTurn, end: TurnEnd) -> None:
        """What cannot be stored is given back: its client is told that it is not kept, and nobody need wait for it."""
        try:
            await self._history.commit(session_id, turn)
        except SessionNotFound:
            self._meter.turn("deleted")
        except TurnLost:
            self._meter.turn("lost")
            raise
        except SageError as error:
            log.warning("turn not stored", extra={"error": error.code})
            self._meter.turn("failed")
            held = HeldTurn(turn_id=turn.turn_id, token=turn.token, branch=turn.branch)
            self.errands.begin(self._let_go(session_id, held))
            if self._required or not isinstance(error, Unavailable):
                raise
        else:
            self._meter.turn(end)

    async def given_back(self, session_id: str, held: HeldTurn) -> None:
        self._meter.turn("abandoned")
        await self._let_go(session_id, held)

    async def _let_go(self, session_id: str, held: HeldTurn) -> None:
        """Where that fails, the turn is over with its lease."""
        try:
            await self._history.abandon(session_id, held)
        except SageError as error:
            log.info("turn not given back", extra={"error": error.code})

    async def _given_up(self, session_id: str, opening: asyncio.Task[TurnOpened]) -> None:
        """Nobody waits for this turn any more: what its opening brings is given back at once."""
        try:
            opened = await opening
        except SageError:
            return
        if opened.answered is None:
            await self.given_back(session_id, held_of(opened))


async def beside(
    opening: Coroutine[Any, Any, Turn | Answered | None], work: Coroutine[Any, Any, T]
) -> tuple[Turn | Answered | None, T]:
    """A turn is opened while other work is done. Should one fail, the other is called off, and the turn given back."""
    both = asyncio.ensure_future(opening), asyncio.ensure_future(work)
    try:
        return await asyncio.gather(*both)
    except BaseException:
        for one in both:
            one.cancel()
        turn, _ = await asyncio.gather(*both, return_exceptions=True)
        if isinstance(turn, Turn):
            turn.abandon()
        raise


def held_of(opened: TurnOpened) -> HeldTurn:
    return HeldTurn(turn_id=opened.turn_id, token=opened.token, branch=opened.branch)


def session_headers(session_id: str, branch: str) -> dict[str, str]:
    named = {} if branch == MAIN_BRANCH else {BRANCH_HEADER: branch}
    return {SESSION_ID_HEADER: session_id, **named}


def _answer(text: str, tool_calls: list[dict[str, Any]], metadata: dict[str, Any], extra: dict[str, Any]) -> NewMessage:
    return NewMessage(
        role="assistant",
        content=text if text or not tool_calls else None,
        tool_calls=tool_calls or UNSET,
        extra=extra or UNSET,
        metadata=metadata,
    )
