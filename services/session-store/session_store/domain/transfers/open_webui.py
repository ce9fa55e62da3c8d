"""
Open WebUI's chat JSON: a tree of what users and assistants said, with the one shown now.

It has no place for tools and their results, nor for what is remembered; instructions are one text of the chat.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import Message
from session_store.domain.instructions import instructs
from session_store.domain.ports import Ids
from session_store.domain.records import MICROS
from session_store.domain.texts import text_of
from session_store.domain.titles import UNTITLED
from session_store.domain.transfers.conversations import Conversation, Node, grown, refuse_many
from session_store.domain.transfers.reading import list_of, micros, moment, object_of, text_or, wrong

FORK = "fork-"


def told(conversation: Conversation) -> list[dict[str, Any]]:
    """As Open WebUI exports chats, one alone too: a list."""
    shown = _shown(conversation)
    current = _path(conversation, conversation.head)
    title = conversation.title or conversation.auto_title or UNTITLED
    models = sorted({model for node in shown.values() if isinstance(model := node.get("model"), str)})
    chat = {
        "id": conversation.session_id,
        "title": title,
        "models": models or [""],
        "params": _params(conversation),
        "history": {"messages": shown, "currentId": current[-1].id if current else None},
        "messages": [shown[message.id] for message in current],
        "tags": [],
        "timestamp": conversation.created_us // 1_000,
        "files": [],
    }
    seconds = {"created_at": conversation.created_us // MICROS, "updated_at": conversation.active_us // MICROS}
    return [{"id": conversation.session_id, "title": title, "chat": chat, **seconds, "archived": False, "meta": {}}]


def is_chat(value: object) -> bool:
    return isinstance(value, dict) and ("history" in value or isinstance(value.get("chat"), dict))


def read(value: Mapping[str, Any], place: str, *, ids: Ids, now_us: int) -> Conversation:
    """A chat, or what its export wraps around it."""
    inner = value.get("chat")
    chat, at = (inner, f"{place}.chat") if isinstance(inner, dict) else (value, place)
    history = object_of(chat.get("history"), f"{at}.history")
    created = _time(value.get("created_at", chat.get("timestamp")), f"{place}.created_at", now_us)
    active = _time(value.get("updated_at"), f"{place}.updated_at", created)
    entries = object_of(history.get("messages"), f"{at}.history.messages")
    refuse_many(entries, f"{at}.history.messages")
    current = history.get("currentId")
    if current is not None and text_or(current, f"{at}.history.currentId") not in entries:
        raise wrong(f"{at}.history.currentId", f"there is no message {current!r}")
    nodes = _nodes(entries, f"{at}.history.messages", ids, created)
    roots = _under_instructions(nodes, chat, at, ids, created)
    tips = _tips(roots, current)
    log, branches = grown(roots, tips, MAIN_BRANCH, place)
    if len(log) != len(roots):
        raise wrong(f"{at}.history.messages", "the parents of some go in a circle")
    title = text_or(value.get("title", chat.get("title")), f"{place}.title")
    return Conversation(
        log=log, branches=branches, created_us=created, active_us=max(created, active), title=title[:500]
    )


def _shown(conversation: Conversation) -> dict[str, dict[str, Any]]:
    shown: dict[str, dict[str, Any]] = {}
    for branch in conversation.branches:
        parent: dict[str, Any] | None = None
        for message in _path(conversation, branch):
            node = shown.get(message.id)
            if node is None:
                node = shown[message.id] = _node(message, parent)
                if parent is not None:
                    parent["childrenIds"].append(message.id)
            parent = node
    return shown


def _path(conversation: Conversation, branch: str) -> list[Message]:
    """What Open WebUI can show of a branch."""
    found = conversation.messages(branch)
    return [one for one in found if one.role in {"user", "assistant"} and (text_of(one.content) or _images(one))]


def _node(message: Message, parent: Mapping[str, Any] | None) -> dict[str, Any]:
    model = message.metadata.get("model")
    node: dict[str, Any] = {
        "id": message.id,
        "parentId": None if parent is None else parent["id"],
        "childrenIds": [],
        "role": message.role,
        "content": text_of(message.content),
        "timestamp": int(message.timestamp.timestamp()),
    }
    if images := _images(message):
        node["files"] = [{"type": "image", "url": url} for url in images]
    if message.role == "assistant":
        node["done"] = True
        node["model"] = model if isinstance(model, str) else ""
    return node


def _images(message: Message) -> list[str]:
    if not isinstance(message.content, list):
        return []
    found = [part.get("image_url") for part in message.content if part.get("type") == "image_url"]
    return [image["url"] for image in found if isinstance(image, dict) and isinstance(image.get("url"), str)]


def _params(conversation: Conversation) -> dict[str, str]:
    texts = [text_of(message.content) for message in conversation.messages(conversation.head) if instructs(message)]
    return {"system": texts[-1]} if texts else {}


def _nodes(entries: Mapping[str, Any], place: str, ids: Ids, created_us: int) -> dict[str, Node]:
    """By Open WebUI's own ids; the messages get new ones, for theirs are chosen by whoever wrote the file."""
    nodes: dict[str, Node] = {}
    for node_id, entry in entries.items():
        at = f"{place}.{node_id}"
        told_of = object_of(entry, at)
        parent = told_of.get("parentId")
        if parent is not None and text_or(parent, f"{at}.parentId") not in entries:
            raise wrong(f"{at}.parentId", f"there is no message {parent!r}")
        nodes[node_id] = Node(_message(told_of, at, f"msg_{ids()}", created_us), parent, f"{at}.parentId")
    return nodes


def _message(entry: Mapping[str, Any], at: str, message_id: str, created_us: int) -> Message:
    role: Any = entry.get("role")
    if text_or(role, f"{at}.role") not in {"user", "assistant", "system"}:
        raise wrong(f"{at}.role", "Expected user, assistant or system")
    text = text_or(entry.get("content"), f"{at}.content")
    urls = [file.get("url") for file in _files(entry, at) if file.get("type") == "image"]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls if isinstance(url, str)]
    told = [{"type": "text", "text": text}] if text else []
    model = entry.get("model")
    return Message(
        id=message_id,
        role=role,
        timestamp=moment(entry.get("timestamp"), f"{at}.timestamp") or datetime.fromtimestamp(created_us / MICROS, UTC),
        content=[*told, *images] if images else text,
        metadata={"model": model} if isinstance(model, str) and model else {},
    )


def _files(entry: Mapping[str, Any], at: str) -> Sequence[Mapping[str, Any]]:
    files = entry.get("files")
    return [] if files is None else [object_of(file, f"{at}.files") for file in list_of(files, f"{at}.files")]


def _under_instructions(
    nodes: dict[str, Node], chat: Mapping[str, Any], at: str, ids: Ids, created_us: int
) -> dict[str, Node]:
    """The tree with the chat's instructions, if it has any, before all else."""
    params = object_of(chat.get("params") or {}, f"{at}.params")
    text = text_or(params.get("system", chat.get("system")), f"{at}.params.system")
    if not text:
        return nodes
    root_id = f"msg_{ids()}"
    root = Message(
        id=root_id,
        role="system",
        timestamp=datetime.fromtimestamp(created_us / MICROS, UTC),
        content=text,
    )
    under = {node_id: Node(node.message, node.parent or root_id, node.place) for node_id, node in nodes.items()}
    return {root_id: Node(root, None, ""), **under}


def _tips(nodes: Mapping[str, Node], current: str | None) -> dict[str, str | None]:
    """The branch shown now is the main one; each other leaf ends one of its own, in the order of the file."""
    inner = {node.parent for node in nodes.values()}
    leaves = [node_id for node_id in nodes if node_id not in inner]
    if current is None:
        current = leaves[-1] if leaves else None
    others = [leaf for leaf in leaves if leaf != current]
    return {MAIN_BRANCH: current, **{f"{FORK}{number}": leaf for number, leaf in enumerate(others, 1)}}


def _time(value: object, place: str, otherwise_us: int) -> int:
    found = moment(value, place)
    return otherwise_us if found is None else micros(found, place)
