"""Answer a turn again with what is stored of it, as JSON or as a stream."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET

from chat_gateway.domain.ports import Whole
from chat_gateway.domain.refusing import JSON
from chat_gateway.domain.replies import Reply, StreamReply, WholeReply
from chat_gateway.domain.requests import Ask, wants_usage
from chat_gateway.domain.turns import Answered, Turn, Turns, session_headers
from sage_contracts.errors import SessionBusy
from sage_contracts.names import REPLAYED_HEADER
from sage_contracts.sessions import Message
from sage_contracts.sse import DONE, event

Told = dict[str, Any]


async def answered_before(turns: Turns, ask: Ask) -> Answered | None:
    """
    What is stored of the turn that the client names, where nobody could answer it now; None where nothing is.

    It waits for that very turn while it is under way, and for no other. A turn that is had is given back at once.
    """
    if ask.session_id is None or ask.turn.key is None:
        return None
    wish = replace(ask.turn, on_conflict="reject")
    try:
        opened = await turns.open(ask.session_id, ask.messages, wish, budget_tokens=0, model=None)
    except SessionBusy:
        return None
    if isinstance(opened, Turn):
        opened.abandon()
        return None
    return opened


def replayed(answered: Answered, ask: Ask, *, model: str, told: Mapping[str, str]) -> Reply:
    """
    Its first choice, under the id it had; `model` is the name the client knows, `told` are headers of its own.

    The passages it stood on are told again without their text, which is not kept.
    """
    headers = {**told, **session_headers(answered.session_id, answered.branch), REPLAYED_HEADER: "true"}
    if ask.streamed:
        return StreamReply(_frames(answered.message, model, with_usage=wants_usage(ask.raw)), headers)
    return WholeReply(Whole(200, JSON, msgspec.json.encode(_whole(answered.message, model))), headers)


def _whole(message: Message, model: str) -> Told:
    calls = {} if message.tool_calls is UNSET else {"tool_calls": message.tool_calls}
    said = {"role": "assistant", "content": message.content, **calls, **_others(message)}
    choice = {"index": 0, "message": said, "finish_reason": message.metadata.get("finish_reason"), "logprobs": None}
    return {**_head(message, model, "chat.completion"), "choices": [choice], "usage": message.metadata.get("usage")}


async def _frames(message: Message, model: str, *, with_usage: bool) -> AsyncGenerator[bytes]:
    head = _head(message, model, "chat.completion.chunk")
    for delta in _deltas(message):
        yield event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    ending: Told = {"index": 0, "delta": {}, "finish_reason": message.metadata.get("finish_reason")}
    yield event({**head, "choices": [ending]})
    if with_usage and (usage := message.metadata.get("usage")) is not None:
        yield event({**head, "choices": [], "usage": usage})
    yield DONE


def _deltas(message: Message) -> Iterator[Told]:
    yield {"role": "assistant", "content": message.content, **_others(message)}
    if message.tool_calls is not UNSET:
        yield {"tool_calls": [{"index": index, **call} for index, call in enumerate(message.tool_calls)]}


def _others(message: Message) -> Told:
    kept = message.metadata
    cited = {"annotations": kept["annotations"]} if "annotations" in kept else {}
    context = {"context": {"citations": [], **kept["context"]}} if isinstance(kept.get("context"), dict) else {}
    return {**({} if message.extra is UNSET else message.extra), **cited, **context}


def _head(message: Message, model: str, kind: str) -> Told:
    kept = message.metadata
    return {
        "id": kept.get("completion_id", message.id),
        "object": kind,
        "created": kept.get("created", int(message.timestamp.timestamp())),
        "model": model,
    }
