"""The earlier gateway's chat: one message in, one text out."""

import uuid
from collections.abc import Callable
from datetime import datetime

import msgspec

from chat_gateway.domain.completions import Completions
from chat_gateway.domain.ports import Whole
from chat_gateway.domain.reading import Transcript
from chat_gateway.domain.refusing import JSON
from chat_gateway.domain.replies import Reply, WholeReply
from chat_gateway.domain.requests import Ask, turn_wish
from chat_gateway.domain.turns import NO_WISH, TurnWish
from sage_contracts import names
from sage_contracts.chat import SimpleAnswer, SimpleMessage
from sage_contracts.names import DEFAULT_MODEL


class SimpleChat:
    """Always in a session: a new one where none is named."""

    def __init__(self, completions: Completions, now: Callable[[], datetime]) -> None:
        self._completions = completions
        self._now = now

    async def answer(self, message: SimpleMessage, key: str | None = None) -> Reply:
        """A stream is the same as that of a chat completion. `key` counts for nothing where no session is named."""
        session_id, turn = uuid.uuid4().hex, NO_WISH
        if message.session_id is not None:
            session_id, turn = names.session_id(message.session_id), turn_wish(msgspec.to_builtins(message), key)
        reply = await self._completions.answer(_ask(message, session_id, turn))
        if not isinstance(reply, WholeReply) or reply.answer.status >= 400:
            return reply
        transcript = Transcript()
        transcript.read(msgspec.json.decode(reply.answer.body))
        told = SimpleAnswer(content=transcript.text, session_id=session_id, timestamp=self._now())
        return WholeReply(Whole(reply.answer.status, JSON, msgspec.json.encode(told)), reply.headers)


def _ask(message: SimpleMessage, session_id: str, turn: TurnWish) -> Ask:
    messages = [{"role": "user", "content": message.message}]
    model = message.model or DEFAULT_MODEL
    raw = msgspec.json.encode({"model": model, "messages": messages, "stream": message.stream})
    return Ask(raw=raw, messages=messages, model=model, streamed=message.stream, session_id=session_id, turn=turn)
