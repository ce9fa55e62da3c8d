from typing import Any

import msgspec
import pytest

from chat_gateway.domain.requests import Ask, ask_of, with_fields
from sage_contracts.chat import ChatPeek, Retrieval
from sage_contracts.errors import InvalidRequest


def ask(header: str | None = None, **fields: Any) -> Ask:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    return ask_of(msgspec.json.encode(body), body, msgspec.convert(body, ChatPeek), header)


@pytest.mark.parametrize(
    ("header", "field", "session"), [(None, None, None), ("h", None, "h"), (None, "b", "b"), ("h", "b", "b")]
)
def test_the_bodys_session_wins(header: str | None, field: str | None, session: str | None) -> None:
    assert ask(header, session_id=field).session_id == session


@pytest.mark.parametrize("name", ["a/b", "", "..", "x" * 129, "a b"])
def test_a_malformed_session_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        ask(session_id=name)


@pytest.mark.parametrize(
    ("rag", "retrieval", "refuses"),
    [
        (None, None, False),
        (False, None, True),
        (True, Retrieval(), False),
        ({"top_k": 2}, Retrieval(top_k=2), False),
    ],
)
def test_rag_asks_for_retrieval(rag: object, retrieval: Retrieval | None, refuses: bool) -> None:
    told = ask(rag=rag)

    assert (told.retrieval, told.refuses_retrieval) == (retrieval, refuses)


def test_other_values_keep_their_bytes() -> None:
    raw = b'{"seed":123456789012345678901234567890, "temperature":1E-2, "session_id":"s", "x":{ "a":1 }, "model":"m"}'

    told = with_fields(raw, model="n")

    assert told == b'{"seed":123456789012345678901234567890,"temperature":1E-2,"x":{ "a":1 },"model":"n"}'
