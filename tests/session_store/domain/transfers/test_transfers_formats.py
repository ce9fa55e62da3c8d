"""What is written in a format is read from it again, and what is none is told apart."""

import itertools
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import UNSET
from openai.types.conversations import ConversationItemList

from sage_contracts.errors import InvalidRequest
from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import Message, NewMessage
from session_store.domain import ranges as within
from session_store.domain.texts import text_of
from session_store.domain.transfers import open_webui, openai_items, own
from session_store.domain.transfers.conversations import Conversation, Node, grown, parents, tip
from session_store.domain.transfers.recognising import Format, recognised
from session_store.domain.views import message_of
from tests.session_store.domain.transfers.conversations import conversations, trunk, wired

NOW = 1_800_000_000_000_000


def taken_in(value: object) -> tuple[Format, list[Conversation]]:
    numbers = itertools.count()
    return recognised(value, ids=lambda: str(next(numbers)), now_us=NOW)


def noted(conversation: Conversation) -> object:
    """What is remembered, each note with the message it is placed at."""
    return {
        shelf: [
            (msgspec.structs.replace(note, position=None), note.position and conversation.log[note.position].id)
            for note in notes
        ]
        for shelf, notes in (conversation.notes or {}).items()
    }


def shape(conversation: Conversation) -> object:
    """Its branches as lists of ids, whatever the order of the log."""
    return {name: [one.id for one in conversation.messages(name)] for name in conversation.branches}


@given(conversations())
@settings(max_examples=150, deadline=None)
@pytest.mark.slow
def test_our_own_format_brings_all_of_it_back(conversation: Conversation) -> None:
    kind, (found,) = taken_in(wired(own.told(conversation)))

    assert kind == "sage"
    assert shape(found) == shape(conversation)
    assert {one.id: one for one in found.log} == {one.id: one for one in conversation.log}
    assert (found.title, found.auto_title, found.session_id) == (
        conversation.title,
        conversation.auto_title,
        conversation.session_id,
    )
    assert (found.head, found.memory) == (conversation.head, conversation.memory)
    assert noted(found) == noted(conversation)
    assert (found.created_us, found.active_us) == (conversation.created_us, conversation.active_us)


@given(conversations())
@settings(max_examples=80, deadline=None)
@pytest.mark.slow
def test_what_was_taken_in_is_told_the_same_again(conversation: Conversation) -> None:
    once = wired(own.told(conversation))

    _, (found,) = taken_in(once)

    assert wired(own.told(found)) == once


def plain(message: Message | NewMessage) -> dict[str, Any]:
    """What items can hold of a message, with what they cannot tell apart made the same."""
    content: Any = message.content
    if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
        content = content[0]["text"]
    extra = message.extra if isinstance(message.extra, dict) and message.role == "assistant" else {}
    calls = message.tool_calls if isinstance(message.tool_calls, list) else None
    return {
        "role": message.role,
        "content": content or None,
        "tool_calls": calls,
        "tool_call_id": message.tool_call_id if message.role == "tool" else UNSET,
        "extra": extra,
    }


def merged(messages: list[Message]) -> list[dict[str, Any]]:
    """Calls without a text belong, as items, to the assistant's message before them."""
    found: list[dict[str, Any]] = []
    for message in messages:
        told = plain(message)
        bare = message.role == "assistant" and told["content"] is None and told["tool_calls"] and not told["extra"]
        if bare and found and found[-1]["role"] == "assistant":
            found[-1]["tool_calls"] = [*(found[-1]["tool_calls"] or []), *told["tool_calls"]]
        else:
            found.append(told)
    return found


@given(conversations())
@settings(max_examples=150, deadline=None)
@pytest.mark.slow
def test_openai_items_bring_the_messages_back(conversation: Conversation) -> None:
    said = [message for message in trunk(conversation) if message.role == "assistant" or message.extra is UNSET]
    if not said:
        return
    kind, (found,) = taken_in(wired(openai_items.told(said)))

    assert kind == "openai"
    assert [plain(message) for message in found.log] == merged(said)
    assert found.branches.keys() == {MAIN_BRANCH}


@given(conversations())
@settings(max_examples=80, deadline=None)
@pytest.mark.slow
def test_openais_own_client_reads_the_items(conversation: Conversation) -> None:
    listed = ConversationItemList.model_validate(wired(openai_items.told(trunk(conversation))))

    assert len({item.id for item in listed.data}) == len(listed.data)


@given(conversations(roles=("user", "assistant")))
@settings(max_examples=150, deadline=None)
@pytest.mark.slow
def test_open_webui_brings_the_tree_back(conversation: Conversation) -> None:
    (chat,) = open_webui.told(conversation)
    kind, (found,) = taken_in(wired([chat]))

    shown = chat["chat"]["history"]["messages"]
    assert kind == "open-webui"
    assert Counter(text_of(one.content) for one in found.log) == Counter(one["content"] for one in shown.values())
    if chat["chat"]["history"]["currentId"] is not None:
        assert [text_of(one.content) for one in trunk(found)] == [one["content"] for one in chat["chat"]["messages"]]
    assert (found.created_us // 10**6, found.active_us // 10**6) == (
        conversation.created_us // 10**6,
        conversation.active_us // 10**6,
    )
    assert edges(found) == Counter(
        (shown[one["parentId"]]["content"] if one["parentId"] else None, one["content"]) for one in shown.values()
    )
    assert all(sorted(one["childrenIds"]) == sorted(_children(shown, one["id"])) for one in shown.values())


def edges(conversation: Conversation) -> Counter[tuple[str | None, str]]:
    texts = {one.id: text_of(one.content) for one in conversation.log}
    before = parents(conversation)
    return Counter(
        (None if parent is None else texts[parent], texts[one.id])
        for one, parent in zip(conversation.log, before, strict=True)
    )


def _children(shown: dict[str, Any], parent: str) -> list[str]:
    return [one["id"] for one in shown.values() if one["parentId"] == parent]


@given(conversations(roles=("system", "user", "assistant")))
@settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_what_open_webui_has_given_back_it_gives_back_again(conversation: Conversation) -> None:
    _, (once,) = taken_in(wired(open_webui.told(conversation)))
    _, (twice,) = taken_in(wired(open_webui.told(once)))

    assert edges(twice) == edges(once)
    assert [text_of(one.content) for one in trunk(twice)] == [text_of(one.content) for one in trunk(once)]


CHAT: dict[str, Any] = {
    "id": "b9d6",
    "user_id": "u1",
    "title": "Trees",
    "chat": {
        "title": "Trees",
        "models": ["llama3"],
        "params": {"system": "Be short."},
        "history": {
            "messages": {
                "q": {
                    "id": "q",
                    "parentId": None,
                    "childrenIds": ["a1", "a2"],
                    "role": "user",
                    "content": "Name a tree",
                    "timestamp": 1_700_000_000,
                    "models": ["llama3"],
                },
                "a1": {
                    "id": "a1",
                    "parentId": "q",
                    "childrenIds": [],
                    "role": "assistant",
                    "content": "An oak",
                    "model": "llama3",
                    "done": True,
                    "timestamp": 1_700_000_001,
                },
                "a2": {
                    "id": "a2",
                    "parentId": "q",
                    "childrenIds": [],
                    "role": "assistant",
                    "content": "A beech",
                    "model": "llama3",
                    "done": True,
                    "timestamp": 1_700_000_009,
                },
            },
            "currentId": "a1",
        },
        "tags": [],
        "timestamp": 1_700_000_000_000,
    },
    "created_at": 1_700_000_000,
    "updated_at": 1_700_000_010,
    "archived": False,
}


@pytest.mark.parametrize("sent", [CHAT, [CHAT], CHAT["chat"], [CHAT["chat"]]])
def test_a_chat_of_open_webui_is_taken_in_with_what_was_regenerated(sent: Any) -> None:
    kind, (found,) = taken_in(sent)

    assert kind == "open-webui"
    assert [(one.role, one.content) for one in found.messages(MAIN_BRANCH)] == [
        ("system", "Be short."),
        ("user", "Name a tree"),
        ("assistant", "An oak"),
    ]
    assert text_of(found.messages("fork-1")[-1].content) == "A beech"
    assert (found.title, found.created_us) == ("Trees", 1_700_000_000_000_000)
    assert within.count(found.branches["fork-1"]) == 3


ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "look it up"}]},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
    {"role": "assistant", "content": "Sunny"},
]


@pytest.mark.parametrize("sent", [ITEMS, {"items": ITEMS, "metadata": {}}, {"object": "list", "data": ITEMS}])
def test_items_are_taken_in_however_they_are_wrapped(sent: Any) -> None:
    kind, (found,) = taken_in(sent)

    question, call, result, answer = found.log
    assert kind == "openai"
    assert (question.content, call.extra, result.content, answer.content) == (
        "Weather?",
        {"reasoning_content": "look it up"},
        "sunny",
        "Sunny",
    )
    assert call.tool_calls == [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    assert found.auto_title == "Weather?"


OWN = {
    "format": "sage.session",
    "created_at": "2026-01-02T03:04:05Z",
    "last_active": "2026-01-02T03:04:05Z",
    "head": "main",
    "branches": {"main": "m2"},
    "messages": [
        {"id": "m1", "role": "user", "content": "a", "timestamp": "2026-01-02T03:04:05Z"},
        {"id": "m2", "role": "assistant", "content": "b", "timestamp": "2026-01-02T03:04:05", "parent_id": "m1"},
    ],
}


def test_a_time_without_a_zone_is_utc() -> None:
    _, (found,) = taken_in(OWN)

    assert found.log[1].timestamp == found.log[0].timestamp
    assert (tip(found, "main"), parents(found)) == ("m2", [None, "m1"])


def changed(sent: Any, path: str, value: Any) -> Any:
    """A copy of it with `value` at the path of dotted keys and numbers; `...` takes away what is there."""
    copy: Any = msgspec.json.decode(msgspec.json.encode(sent))
    *inner, last = [int(key) if key.isdecimal() else key for key in path.split(".")]
    at = copy
    for key in inner:
        at = at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return copy


NOTE = {"id": "fact_1", "kind": "fact", "text": "x", "at_us": 1}
HISTORY = "chat.history.messages"
WRONG: list[tuple[Any, str, Any, str]] = [
    (OWN, "head", "nowhere", "head: there is no branch 'nowhere'"),
    (OWN, "head", ..., "Object missing required field `head`"),
    (OWN, "version", 2, "version: Expected `int` <= 1"),
    (OWN, "id", "a/b", "id: it cannot name a session"),
    (OWN, "branches", {}, "branches: Expected `object` of length >= 1"),
    (OWN, "branches", {"main": "m2", "a b": "m1"}, "branches: 'a b' cannot name a branch"),
    (OWN, "branches.main", "m9", "branches.main: there is no message 'm9'"),
    (OWN, "messages.1.role", "narrator", "messages[1].role: Invalid enum value 'narrator'"),
    (OWN, "messages.1.id", "m1", "messages[1].id: Expected an id of its own"),
    (OWN, "messages.1.parent_id", "m7", "messages[1].parent_id: there is no message 'm7'"),
    (OWN, "messages.0.parent_id", "m2", "messages[0].parent_id: the parents go in a circle"),
    (OWN, "messages.1.content", 5, "messages[1].content: Expected `str | array | null`"),
    (OWN, "notes", {"facts": [NOTE | {"id": "a b"}]}, "notes.facts[0]: Expected a fact with an id"),
    (OWN, "notes", {"relations": [NOTE]}, "notes.relations[0]: Expected a relation with an id"),
    (OWN, "notes", {"facts": [{}]}, "notes[...][0]: Object missing required field `id`"),
    (OWN, "notes", {"memory": []}, "notes: Invalid enum value 'memory'"),
    (OWN, "notes", {"facts": [NOTE] * 1_001}, "notes.facts: Expected at most 1000"),
    (OWN, "created_at", "yesterday", "created_at: Invalid RFC3339 encoded datetime"),
    (OWN, "created_at", "0001-01-01T00:00:00+14:00", "created_at: Expected a time in the years"),
    (OWN, "last_active", "9999-12-31T23:59:59-14:00", "last_active: Expected a time in the years"),
    (OWN, "messages.1.timestamp", "0001-01-01T00:00:00+14:00", "messages[1].timestamp: Expected a time in the years"),
    (OWN, "notes", {"facts": [NOTE | {"at_us": 10**18}]}, "notes.facts[0].at_us: Expected a time in the years"),
    (OWN, "notes", {"facts": [NOTE | {"at_us": -(10**30)}]}, "notes.facts[0].at_us: Expected a time in the years"),
    (OWN, "notes", {"facts": [NOTE, NOTE | {"text": "x" * 8_001}]}, "notes.facts[1]: Expected texts of at most 8000"),
    ([OWN, OWN], "1.head", 5, "[1].head: Expected `str`"),
    ([OWN, 5], "1", 5, "[1]: Expected `object`"),
    (CHAT, "chat.history", ..., "chat.history: Expected `object`"),
    (CHAT, HISTORY, [], "chat.history.messages: Expected `object`"),
    (CHAT, "chat.history.currentId", "zz", "chat.history.currentId: there is no message 'zz'"),
    (CHAT, "chat.history.currentId", [], "chat.history.currentId: Expected `str`"),
    (CHAT, f"{HISTORY}.a1.parentId", {}, "chat.history.messages.a1.parentId: Expected `str`"),
    (CHAT, f"{HISTORY}.q.role", [], "chat.history.messages.q.role: Expected `str`"),
    (CHAT, f"{HISTORY}.q.timestamp", 10**400, "chat.history.messages.q.timestamp: Expected a time in seconds"),
    (CHAT, f"{HISTORY}.a1.parentId", "zz", "chat.history.messages.a1.parentId: there is no message 'zz'"),
    (CHAT, f"{HISTORY}.q.parentId", "a1", "chat.history.messages.q.parentId: the parents go in a circle"),
    (CHAT, f"{HISTORY}.q.role", "narrator", "chat.history.messages.q.role: Expected user, assistant or system"),
    (CHAT, f"{HISTORY}.q.content", 7, "chat.history.messages.q.content: Expected `str`"),
    (CHAT, f"{HISTORY}.q.timestamp", "x", "chat.history.messages.q.timestamp: Expected a time in seconds"),
    (CHAT, f"{HISTORY}.q.files", 7, "chat.history.messages.q.files: Expected `array`"),
    (CHAT, "updated_at", -1, "updated_at: Expected a time in seconds"),
    (CHAT, "chat.params", [1], "chat.params: Expected `object`"),
    ([CHAT, CHAT], f"1.{HISTORY}.q.role", None, "[1].chat.history.messages.q.role: Expected user"),
    (ITEMS, "1.type", "web_search_call", "[1].type: items of type 'web_search_call' cannot be taken in"),
    (ITEMS, "0.role", "narrator", "[0].role: Invalid enum value 'narrator'"),
    (ITEMS, "0.content", 5, "[0].content: Expected `array`"),
    (ITEMS, "0.content", [5], "[0].content[0]: Expected `object`"),
    (ITEMS, "0.content", [{"type": "input_text"}], "[0].content[0]"),
    (ITEMS, "2.name", "", "[2].name: Expected the name of a tool"),
    (ITEMS, "3.call_id", ..., "[3].call_id: Expected the id of a call"),
    (ITEMS, "3.output", None, "[3].output: Expected what the tool answered"),
    ({"items": ITEMS}, "items.3.output", None, "items[3].output: Expected what the tool answered"),
    ({"items": ITEMS}, "items", [], "items: there is no message in it"),
    ({"data": ITEMS}, "data", [], "this is none of"),
    ([OWN], "0", 7, "this is none of"),
    ([{"type": "message"}], "0.type", [], "this is none of"),
]


@pytest.mark.parametrize(("sent", "path", "value", "told"), WRONG, ids=[f"{row[1]}={row[2]!r:.20}" for row in WRONG])
def test_what_is_wrong_is_told_with_its_place(sent: Any, path: str, value: Any, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        taken_in(changed(sent, path, value))

    assert caught.value.message.startswith(told)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (OWN | {"messages": OWN["messages"][:1] * 20_001}, "messages: Expected at most 20000"),  # type: ignore[index]
        ({"history": {"messages": dict.fromkeys(map(str, range(20_001)))}}, "history.messages: Expected at most 20000"),
        ([{"role": "user", "content": "x"}] * 20_001, "items: Expected at most 20000"),
        (OWN | {"branches": {f"b{n}": "m2" for n in range(100)} | {"main": "m2"}}, "it has more than 100 branches"),
    ],
)
def test_a_conversation_that_is_too_large_is_refused(sent: Any, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        taken_in(sent)

    assert caught.value.message == told


class Counted(dict[str, Node]):
    """Nodes that know how often they were looked up."""

    looked_up = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looked_up += 1
        return super().get(key, default)


def grown_of(leaves: int) -> Counted:
    """A chain of 1,000 messages that ends in so many leaves, grown into a log."""
    message = Message(id="", role="user", timestamp=datetime(2026, 1, 1, tzinfo=UTC), content="")
    chain = {f"c{n}": Node(message, f"c{n - 1}" if n else None, "") for n in range(1_000)}
    ends = {f"leaf{n}": Node(message, "c999", "") for n in range(leaves)}
    nodes = Counted(chain | ends)
    log, branches = grown(nodes, {name: name for name in ends}, "leaf0", "here")
    assert len(log) == len(nodes)
    assert {within.count(part) for part in branches.values()} == {1_001}
    return nodes


def test_what_branches_share_is_walked_once() -> None:
    assert grown_of(leaves=100).looked_up == 1_100


def test_more_branches_than_a_session_can_have_are_refused_unread() -> None:
    with pytest.raises(InvalidRequest, match="here: it has more than 100 branches"):
        grown_of(leaves=101)


def test_too_many_at_once_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="at most 1000"):
        taken_in([OWN] * 1_001)


@pytest.mark.parametrize("sent", [None, 5, "x", [], {}, [[]], {"messages": 5}])
def test_what_is_nothing_known_is_refused(sent: Any) -> None:
    with pytest.raises(InvalidRequest, match="this is none of"):
        taken_in(sent)


def test_the_result_of_a_custom_tool_is_one_to_openai_too() -> None:
    calls = [
        {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "x"}},
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
    ]
    said = [
        NewMessage(role="assistant", tool_calls=calls),
        NewMessage(role="tool", tool_call_id="c1", content="done"),
        NewMessage(role="tool", tool_call_id="c2", content="seen"),
    ]

    told = openai_items.told([message_of(one, f"m{number}", NOW) for number, one in enumerate(said)])

    assert [item["type"] for item in told["data"]] == [
        "custom_tool_call",
        "function_call",
        "custom_tool_call_output",
        "function_call_output",
    ]
    assert openai_items.read(told["data"], "data") == said
