import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.domain.requests import Ask, ask_of, digest_of, with_fields
from chat_gateway.domain.turns import NO_WISH, TurnWish
from sage_contracts.chat import ChatPeek, Retrieval
from sage_contracts.errors import InvalidRequest


def ask(header: str | None = None, *, key: str | None = None, **fields: Any) -> Ask:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    return ask_of(msgspec.json.encode(body), body, msgspec.convert(body, ChatPeek), header, key=key)


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


def test_without_a_session_there_is_no_turn_to_wish_for() -> None:
    assert ask(key="not a key", session_branch="a/b", on_conflict="fork").turn == NO_WISH


def test_a_turn_is_wished_for_in_the_body_and_named_in_a_header() -> None:
    told = ask(key="k", session_id="s", session_branch="b", on_conflict="reject").turn

    assert told == TurnWish(key="k", digest=told.digest, branch="b", on_conflict="reject")
    assert told.digest is not None
    assert ask(session_id="s").turn == NO_WISH


@pytest.mark.parametrize(("key", "branch"), [("a b", "b"), ("", "b"), ("k", "a/b"), ("k", "")])
def test_a_wish_that_cannot_be_one_is_refused(key: str, branch: str) -> None:
    with pytest.raises(InvalidRequest):
        ask(key=key, session_id="s", session_branch=branch)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def turned(value: Any) -> Any:
    """The same with the fields of all objects the other way round."""
    match value:
        case dict():
            return {name: turned(value[name]) for name in reversed(list(value))}
        case list():
            return [turned(one) for one in value]
        case _:
            return value


@given(st.dictionaries(st.text(), json_values, max_size=4), st.dictionaries(st.text(), json_values, max_size=4))
@pytest.mark.slow
def test_a_digest_is_the_same_for_what_says_the_same_alone(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert digest_of(one) == digest_of(turned(one))
    assert (digest_of(one) == digest_of(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def test_other_values_keep_their_bytes() -> None:
    raw = b'{"seed":123456789012345678901234567890, "temperature":1E-2, "session_id":"s", "on_conflict":"fork", '
    raw += b'"session_branch":"b", "x":{ "a":1 }, "model":"m"}'

    told = with_fields(raw, model="n")

    assert told == b'{"seed":123456789012345678901234567890,"temperature":1E-2,"x":{ "a":1 },"model":"n"}'
