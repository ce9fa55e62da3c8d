"""What engines answer, as far as it is typed; `raw` keeps all of it, fields that nobody knows included."""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from sage_contracts.chat import Usage
from sage_contracts.errors import UpstreamError

A = TypeVar("A", bound="Answer")


class Answer(Struct, frozen=True, kw_only=True):
    """`session_id` is the session the gateway stored the turn in, if any."""

    raw: dict[str, Any]
    model: str = ""
    usage: Usage | None = None
    session_id: str | None = None


class Said(Struct, frozen=True, kw_only=True):
    role: str | None = None
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    context: dict[str, Any] | None = None
    """The sources of a grounded answer, as docs/api.md has them."""


class Choice(Struct, frozen=True, kw_only=True):
    message: Said
    index: int = 0
    finish_reason: str | None = None


class ChatAnswer(Answer, frozen=True, kw_only=True):
    choices: list[Choice]

    @property
    def text(self) -> str:
        return self.choices[0].message.content or "" if self.choices else ""


class Change(Struct, frozen=True, kw_only=True):
    delta: Said | None = None
    index: int = 0
    finish_reason: str | None = None


class ChatFrame(Answer, frozen=True, kw_only=True):
    """One frame of a streamed chat. The last may have no choices and the usage."""

    choices: list[Change] = []

    @property
    def text(self) -> str:
        """What this frame adds to the answer."""
        return self.choices[0].delta.content or "" if self.choices and self.choices[0].delta else ""

    @property
    def is_last(self) -> bool:
        return any(choice.finish_reason for choice in self.choices)


class Written(Struct, frozen=True, kw_only=True):
    text: str = ""
    index: int = 0
    finish_reason: str | None = None


class Completion(Answer, frozen=True, kw_only=True):
    """A completion, or one frame of a streamed one."""

    choices: list[Written] = []

    @property
    def text(self) -> str:
        return self.choices[0].text if self.choices else ""

    @property
    def is_last(self) -> bool:
        return any(choice.finish_reason for choice in self.choices)


class Vector(Struct, frozen=True, kw_only=True):
    embedding: list[float]
    index: int = 0


class Embeddings(Answer, frozen=True, kw_only=True):
    data: list[Vector]

    @property
    def vectors(self) -> list[list[float]]:
        """In the order of the texts that were sent."""
        return [row.embedding for row in sorted(self.data, key=lambda row: row.index)]


def read(kind: type[A], raw: bytes, *, session_id: str | None = None) -> A:
    """Raises UpstreamError for what is not an answer of this kind."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Any])
        return msgspec.convert({**fields, "raw": fields, "session_id": session_id}, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UpstreamError(f"the answer is no {kind.__name__}: {error}") from error
