"""Conversations of every shape, drawn by Hypothesis."""

import itertools
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from sage_contracts.memory import ItemKind
from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain.memory.notes import Note
from session_store.domain.transfers.conversations import Conversation, Node, grown
from session_store.domain.transfers.own import KINDS

LATEST = datetime(2100, 1, 1)  # noqa: DTZ001 - Hypothesis takes bounds without a zone
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
WORDS = TEXT.filter(bool)
TIMES = st.datetimes(datetime(1971, 1, 1), LATEST, timezones=st.just(UTC))  # noqa: DTZ001
JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT, st.lists, max_leaves=4)
TEXT_PART = st.fixed_dictionaries({"type": st.just("text"), "text": WORDS})
IMAGE_PART = st.builds(
    lambda name, detail: {"type": "image_url", "image_url": {"url": f"https://x/{name}", "detail": detail}},
    st.text("abc", min_size=1, max_size=5),
    st.sampled_from(["auto", "low", "high"]),
)
CALL = st.builds(
    lambda number, name, arguments: {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    st.integers(0, 99),
    st.text("abc_", min_size=1, max_size=9),
    TEXT,
)


@st.composite
def messages(draw: st.DrawFn, number: int) -> dict[str, Any]:
    role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
    fields: dict[str, Any] = {
        "id": f"m{number}",
        "role": role,
        "timestamp": draw(TIMES),
        "metadata": draw(st.dictionaries(TEXT, JSON, max_size=2)),
        "content": draw(TEXT | st.lists(TEXT_PART | IMAGE_PART, min_size=1, max_size=3)),
    }
    if role == "assistant" and draw(st.booleans()):
        fields |= {"tool_calls": draw(st.lists(CALL, min_size=1, max_size=2)), "content": draw(st.none() | TEXT)}
    if role == "tool":
        fields["tool_call_id"] = f"call_{draw(st.integers(0, 99))}"
    if draw(st.integers(0, 5)) == 0:
        fields["extra"] = {"reasoning_content": draw(WORDS)}
    return fields


@st.composite
def conversations(draw: st.DrawFn, *, roles: tuple[str, ...] = ("system", "user", "assistant", "tool")) -> Conversation:
    """A tree: each message hangs on any before it, and each leaf, and perhaps others, ends a branch."""
    count = draw(st.integers(0, 8))
    nodes: dict[str, Node] = {}
    for number in range(count):
        made = draw(messages(number).filter(lambda fields: fields["role"] in roles))
        parent = f"m{draw(st.integers(max(0, number - 3), number - 1))}" if number else None
        nodes[f"m{number}"] = Node(Message(**made), parent, "")
    inner = {node.parent for node in nodes.values()}
    ends: list[str | None] = [name for name in nodes if name not in inner] or [None]
    ends += draw(st.lists(st.sampled_from([*nodes, None]), max_size=2))
    names = itertools.chain([MAIN_BRANCH], (f"fork-{number}" for number in itertools.count(1)))
    tips = dict(zip(names, ends, strict=False))
    head = draw(st.sampled_from(sorted(tips)))
    log, branches = grown(nodes, tips, head)
    created, active = sorted((draw(TIMES), draw(TIMES)))
    return Conversation(
        log=log,
        branches=branches,
        created_us=round(created.timestamp() * 1e6),
        active_us=round(active.timestamp() * 1e6),
        head=head,
        title=draw(TEXT),
        auto_title=draw(TEXT),
        session_id=draw(st.sampled_from(["", "sess_1"])),
        memory=draw(st.none() | st.builds(MemoryChoice, backend=st.sampled_from(["kv", "graph"]))),
        notes={shelf: draw(st.lists(_notes(kind, log), max_size=2)) for shelf, kind in KINDS.items()},
    )


@st.composite
def _notes(draw: st.DrawFn, kind: ItemKind, log: list[Message]) -> Note:
    """Learnt from a message, or written by hand."""
    position = draw(st.none() | st.sampled_from(range(len(log)))) if log else None
    return Note(
        id=f"{kind}_{draw(st.integers(0, 9))}",
        kind=kind,
        text=draw(WORDS),
        at_us=draw(st.integers(0, 2**50)),
        position=position,
        message_id=None if position is None else log[position].id,
        subject=draw(TEXT),
        key=draw(TEXT),
        value=draw(TEXT),
        single=draw(st.booleans()),
    )


def wired(value: object) -> object:
    """As it is after it has been JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def trunk(conversation: Conversation) -> list[Message]:
    return conversation.messages(conversation.head)
