"""Answer a chat: choose the model, remember and look up where asked, relay what the engine says."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chat_gateway.domain.balancing import Wish
from chat_gateway.domain.counting import history_budget, tokens_of
from chat_gateway.domain.dispatching import Dispatch, Opened, Sending
from chat_gateway.domain.exchanges import Clock, Exchange, Measured, Passing
from chat_gateway.domain.grounding import Grounding, Grounds, grounded, question_of
from chat_gateway.domain.joining import PromptMessage, asked_now, instructions
from chat_gateway.domain.ports import ANSWER_BYTES, Flow, Meter, Operation, Whole
from chat_gateway.domain.quoting import Quoter
from chat_gateway.domain.reading import is_error, usage_of
from chat_gateway.domain.recalling import prompt_receipt, recalled
from chat_gateway.domain.receipts import Trail
from chat_gateway.domain.refusing import message_of, passed_on
from chat_gateway.domain.relaying import relayed
from chat_gateway.domain.replaying import answered_before, replayed
from chat_gateway.domain.replies import Reply, StreamReply, WholeReply
from chat_gateway.domain.requests import Ask, wants_usage, with_fields, without_retrieval
from chat_gateway.domain.resolving import BUILT_IN, Route, Routes, unserved
from chat_gateway.domain.turns import Answered, Turn, Turns, beside
from chat_gateway.domain.workflows import hint_for, said
from sage_contracts.chat import ModelPeek, PromptReceipt, Retrieval
from sage_contracts.errors import SageError, UpstreamError
from sage_contracts.fleet import EngineKind
from sage_contracts.names import DEFAULT_MODEL, MEMORY_HEADER, RECEIPT_HEADER

CHAT_PATH = "/chat/completions"
_PATHS: Mapping[Operation, str] = {
    "chat": CHAT_PATH,
    "text_completion": "/completions",
    "embeddings": "/embeddings",
}


@dataclass(frozen=True, slots=True)
class _Prepared:
    """
    A chat ready for an engine: `body` is what it is sent, `prompt` what it is told before what was looked up. `linked`
    unless links in the answer's text would break it.
    """

    body: bytes
    prompt: list[dict[str, Any]]
    turn: Turn | None = None
    grounds: Grounds | None = None
    receipt: PromptReceipt | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    linked: bool = True

    @property
    def is_read(self) -> bool:
        return self.turn is not None or self.grounds is not None


class Completions:
    """`answer_bytes` is how large a stream may be that is stored or rewritten: of others nothing is kept."""

    def __init__(
        self,
        routes: Routes,
        dispatch: Dispatch,
        turns: Turns,
        *,
        grounding: Grounding,
        meter: Meter,
        clock: Clock = time.monotonic,
        hints_at_workflows: bool = False,
        answer_bytes: int = ANSWER_BYTES,
    ) -> None:
        self._answer_bytes = answer_bytes
        self._hints_at_workflows = hints_at_workflows
        self._routes = routes
        self._dispatch = dispatch
        self._turns = turns
        self._grounding = grounding
        self._meter = meter
        self._clock = clock

    async def answer(self, ask: Ask) -> Reply:
        """
        Every failure before the first byte is raised; later ones are raised by the stream. Cancelled, it leaves the
        engine at once. What was answered before is told again though nobody serves its model now.
        """
        hint = self._hint(ask)
        try:
            route = self._routes.resolve(ask.model, "llm") if hint is None else BUILT_IN
        except SageError:
            if (answered := await answered_before(self._turns, ask)) is None:
                raise
            return self._again(answered, ask, unserved(ask.model))
        measured = Measured("chat", route.label, self._meter, self._clock)
        prepared = await self._prepared(ask if hint is None else without_retrieval(ask), route)
        if isinstance(prepared, Answered):
            return self._again(prepared, ask, route)
        trail = self._dispatch.trail(route)
        wish = Wish(ask.session_id, prepared.prompt)
        trail.prompt = prepared.receipt
        with _given_back(prepared.turn), _explained(trail, wanted=ask.explained):
            if hint is None:
                opened = await self._dispatch.open(route, Sending(CHAT_PATH, prepared.body, ask.streamed, wish), trail)
            else:
                sentence = said(hint, model=route.asked, streamed=ask.streamed, with_usage=wants_usage(ask.raw))
                opened = Opened(sentence, "none", trail, over=_nobody_waits)
            headers = {**_told(trail, wanted=ask.explained), **prepared.headers}
            if not prepared.is_read and not route.is_pipeline:
                return await _plain(opened, measured, headers)
            return await self._read(opened, measured, prepared, route, headers)

    async def pass_through(
        self, operation: Operation, kind: EngineKind, raw: bytes, peek: ModelPeek, *, explained: bool = False
    ) -> Reply:
        """A request that is the engine's alone; a model is named where the client named none."""
        route = self._routes.resolve(peek.model, kind)
        measured = Measured(operation, route.label, self._meter, self._clock)
        body = raw if route.model == peek.model else with_fields(raw, model=route.model)
        streamed = bool(peek.stream) and kind == "llm"
        sending = Sending(_PATHS[operation], body, streamed, Wish(text=raw))
        trail = self._dispatch.trail(route)
        with _explained(trail, wanted=explained):
            opened = await self._dispatch.open(route, sending, trail)
            return await _plain(opened, measured, _told(trail, wanted=explained))

    def _again(self, answered: Answered, ask: Ask, route: Route) -> Reply:
        told = _told(self._dispatch.trail(route), wanted=ask.explained)
        return replayed(answered, ask, model=route.asked, told=told)

    def _hint(self, ask: Ask) -> str | None:
        is_meant = self._hints_at_workflows and (ask.model or DEFAULT_MODEL) == DEFAULT_MODEL
        return hint_for(ask.messages) if is_meant else None

    async def _prepared(self, ask: Ask, route: Route) -> _Prepared | Answered:
        """What has a key may be answered already: nothing is looked up before that is known."""
        retrieval = ask.retrieval if ask.retrieval is not None else _by_default(ask, route)
        opening = self._turn(ask, route, grounded=retrieval is not None)
        grounds: Grounds | None = None
        if retrieval is None or not question_of(ask.messages) or ask.turn.key is not None:
            turn = await opening
        else:
            turn, grounds = await beside(opening, self._grounds(ask.messages, retrieval, ask, route))
        if isinstance(turn, Answered):
            return turn
        with _given_back(turn):
            if retrieval is not None and grounds is None:
                grounds = await self._grounds(turn.prompt if turn else ask.messages, retrieval, ask, route)
            return _composed(ask, route, turn, grounds)

    async def _grounds(self, messages: list[PromptMessage], retrieval: Retrieval, ask: Ask, route: Route) -> Grounds:
        return await self._grounding.find(messages, retrieval, route.context_tokens, explained=ask.explained)

    async def _turn(self, ask: Ask, route: Route, *, grounded: bool) -> Turn | Answered | None:
        if ask.session_id is None:
            return None
        window = route.context_tokens
        reserved = self._grounding.budget(window) if grounded else 0
        brought = tokens_of([*instructions(ask.messages), *asked_now(ask.messages)])
        budget = history_budget(window, brought, ask.answer_tokens, reserved)
        return await self._turns.open(ask.session_id, ask.messages, ask.turn, budget_tokens=budget, model=route.model)

    async def _read(
        self, opened: Opened, measured: Measured, prepared: _Prepared, route: Route, headers: dict[str, str]
    ) -> Reply:
        """An answer that is stored or rewritten, or both."""
        metadata: dict[str, Any] = {"model": route.model, "engine_id": opened.engine_id}
        if prepared.grounds:
            metadata["context"] = prepared.grounds.remembered()
        exchange = Exchange(measured, self._meter, prepared.turn, metadata)
        quoter: Quoter | None = None
        if prepared.grounds is not None or route.is_pipeline:
            model = route.asked if route.is_pipeline else None
            quoter = Quoter(prepared.grounds, exchange.transcript, model, linked=prepared.linked)
            exchange.quote_with(quoter)
        if not isinstance(opened.answer, Whole):
            return await _streamed(opened, opened.answer, exchange, measured, headers, largest=self._answer_bytes)
        answer = passed_on(opened.answer)
        if answer.status >= 400:
            if prepared.turn:
                prepared.turn.abandon()
            return WholeReply(answer, headers)
        told = _decoded(answer.body)
        if quoter is not None:
            answer = Whole(answer.status, answer.content_type, msgspec.json.encode(quoter.rewrite_whole(told)))
        else:
            exchange.transcript.read(told)
        await exchange.complete()
        return WholeReply(answer, headers)


async def _plain(opened: Opened, measured: Measured, headers: dict[str, str]) -> Reply:
    """An answer that is the client's alone."""
    if not isinstance(opened.answer, Whole):
        return await _streamed(opened, opened.answer, Passing(measured), measured, headers)
    answer = passed_on(opened.answer)
    if answer.status < 400:
        measured.ended(usage_of(answer.body))
    return WholeReply(answer, headers)


async def _streamed(
    opened: Opened,
    flow: Flow,
    ending: Passing | Exchange,
    measured: Measured,
    headers: dict[str, str],
    *,
    largest: int | None = None,
) -> StreamReply:
    measured.first_byte()
    pieces = relayed(flow, ending.reader, ending, opened.over, largest=largest)
    await anext(pieces)
    return StreamReply(pieces, headers)


@contextmanager
def _explained(trail: Trail, *, wanted: bool) -> Iterator[None]:
    """A failure is told how it came to be, too."""
    try:
        yield
    except SageError as error:
        error.headers |= _told(trail, wanted=wanted)
        raise


@contextmanager
def _given_back(turn: Turn | None) -> Iterator[None]:
    """A turn that comes to nothing holds up nobody."""
    try:
        yield
    except BaseException:
        if turn is not None:
            turn.abandon()
        raise


def _composed(ask: Ask, route: Route, turn: Turn | None, grounds: Grounds | None) -> _Prepared:
    remembered = turn.prompt if turn else ask.messages
    prompt = grounded(remembered, grounds) if grounds else remembered
    receipt = _receipt(ask, turn, grounds, before=remembered, after=prompt) if ask.explained else None
    if turn and turn.context.hits:
        prompt = recalled(prompt, turn.context.hits)
    changed: dict[str, Any] = {} if route.model == ask.model else {"model": route.model}
    if prompt is not ask.messages:
        changed["messages"] = prompt
    body = with_fields(ask.raw, **changed) if changed or ask.has_own_fields else ask.raw
    return _Prepared(body, remembered, turn, grounds, receipt, _headers(ask, turn), linked=not ask.shaped)


def _headers(ask: Ask, turn: Turn | None) -> dict[str, str]:
    if turn is not None:
        return turn.headers()
    return {} if ask.session_id is None else {MEMORY_HEADER: "off"}


def _receipt(
    ask: Ask,
    turn: Turn | None,
    grounds: Grounds | None,
    *,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
) -> PromptReceipt | None:
    """Told of chats with a session or with retrieval."""
    if turn is None and grounds is None:
        return None
    return prompt_receipt(turn.sent if turn else ask.messages, turn, grounds, before=before, after=after)


def _told(trail: Trail, *, wanted: bool) -> dict[str, str]:
    return {RECEIPT_HEADER: trail.header()} if wanted else {}


def _nobody_waits(_: object) -> None:
    """No engine's place has to be freed."""


def _by_default(ask: Ask, route: Route) -> Retrieval | None:
    """The built-in assistant looks things up unless told not to."""
    return Retrieval() if route.is_pipeline and not ask.refuses_retrieval else None


def _decoded(body: bytes) -> dict[str, Any]:
    """An answer fit to be stored. Some servers tell an error with status 200: that is none."""
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamError("the engine's answer is not a JSON object") from error
    if is_error(told) or not told.get("choices"):
        raise UpstreamError(f"the engine answered without an answer: {message_of(body)}")
    return told
