"""What a client is answered, before it is HTTP."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from chat_gateway.domain.ports import Whole


@dataclass(frozen=True, slots=True)
class WholeReply:
    answer: Whole
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamReply:
    """`pieces` must be closed by whoever holds it; it raises what goes wrong in mid-stream."""

    pieces: AsyncGenerator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


Reply = WholeReply | StreamReply
