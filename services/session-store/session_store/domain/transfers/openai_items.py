"""
A branch as OpenAI's conversation items, as `GET /v1/conversations/{id}/items` lists them.

A message's tool calls are items behind it, and so are their results. Items have no times, and no other branch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from sage_contracts.sessions import Message, NewMessage
from session_store.domain.transfers import openai_parts
from session_store.domain.transfers.reading import converted, list_of, object_of, text_or, wrong

_CALLS = {"function_call": "function", "custom_tool_call": "custom"}
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})


def told(messages: Sequence[Message]) -> dict[str, Any]:
    calls = [call for message in messages for call in _calls(message)]
    custom = frozenset(call_id for call in calls if "custom" in call and isinstance(call_id := call.get("id"), str))
    items = [item for message in messages for item in _items(message, custom)]
    ids = [item["id"] for item in items]
    return {
        "object": "list",
        "data": items,
        "first_id": ids[0] if ids else "",
        "last_id": ids[-1] if ids else "",
        "has_more": False,
    }


def items_in(value: object) -> tuple[list[Any], str] | None:
    """The items of a list object, of the body that makes a conversation, or as they are; and where they stand."""
    match value:
        case {"object": "list", "data": list(found)}:
            return found, "data"
        case {"items": list(found)}:
            return found, "items"
        case [{"type": str(kind)}, *_] if kind in {"message", "reasoning", *_CALLS, *_RESULTS}:
            return list_of(value, ""), ""
        case [{"role": str(), "content": _}, *_]:
            return list_of(value, ""), ""
    return None


def read(items: Sequence[Any], place: str) -> list[NewMessage]:
    """What is said and what tools were asked and answered; of other items InvalidRequest says which one it was."""
    found: list[NewMessage] = []
    thought: str | None = None
    for index, value in enumerate(items):
        at = f"{place}[{index}]"
        item = object_of(value, at)
        kind = text_or(item.get("type"), f"{at}.type", "message")
        if kind == "message":
            found.append(_message(item, at, thought))
            thought = None
        elif kind in _CALLS:
            _call(found, item, kind, at, thought)
            thought = None
        elif kind in _RESULTS:
            found.append(_result(item, at))
        elif kind == "reasoning":
            thought = openai_parts.thought_in(item)
        else:
            raise wrong(f"{at}.type", f"items of type {kind!r} cannot be taken in")
    return found


def _calls(message: Message) -> list[dict[str, Any]]:
    return message.tool_calls if isinstance(message.tool_calls, list) else []


def _items(message: Message, custom: frozenset[str]) -> list[dict[str, Any]]:
    """`custom` are the ids of the calls of tools that are no functions."""
    extra = message.extra if isinstance(message.extra, dict) else {}
    if message.role in {"tool", "function"}:
        call_id = message.tool_call_id if isinstance(message.tool_call_id, str) else message.name
        output = openai_parts.told(message.content, "user") if isinstance(message.content, list) else message.content
        kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
        return [{"id": message.id, "type": kind, "call_id": call_id or "", "output": output or "", "status": _DONE}]
    items: list[dict[str, Any]] = []
    if isinstance(reasoning := extra.get("reasoning_content"), str):
        content = [{"type": "reasoning_text", "text": reasoning}]
        items.append({"id": f"rs_{message.id}", "type": "reasoning", "summary": [], "content": content})
    parts = openai_parts.told(message.content, message.role)
    if isinstance(refusal := extra.get("refusal"), str):
        parts.append({"type": "refusal", "refusal": refusal})
    calls = _calls(message)
    if parts or not calls:
        said = {"id": message.id, "type": "message", "role": message.role, "status": _DONE, "content": parts}
        items.append(said)
    return items + [_told_call(call, f"fc_{message.id}_{number}") for number, call in enumerate(calls)]


_DONE = "completed"


def _told_call(call: Mapping[str, Any], item_id: str) -> dict[str, Any]:
    known = {"id": item_id, "call_id": call.get("id", ""), "status": _DONE}
    if isinstance(custom := call.get("custom"), dict):
        return known | {"type": "custom_tool_call", "name": custom.get("name", ""), "input": custom.get("input", "")}
    function = call.get("function")
    asked = function if isinstance(function, dict) else {}
    arguments = asked.get("arguments", "")
    return known | {"type": "function_call", "name": asked.get("name", ""), "arguments": arguments}


def _message(item: Mapping[str, Any], at: str, thought: str | None) -> NewMessage:
    content = openai_parts.read(item.get("content"), f"{at}.content")
    refusal = None
    if isinstance(content, list) and content and content[-1].get("type") == "refusal":
        refusal = content[-1].get("refusal")
        content = content[:-1]
    extra = {} if thought is None else {"reasoning_content": thought}
    if isinstance(refusal, str):
        extra["refusal"] = refusal
    said = {"role": item.get("role"), "content": openai_parts.simplified(content)}
    if item.get("role") == "tool" and "tool_call_id" in item:
        said["tool_call_id"] = item["tool_call_id"]
    message = converted(said, NewMessage, at)
    return msgspec.structs.replace(message, extra=extra or UNSET)


def _call(found: list[NewMessage], item: Mapping[str, Any], kind: str, at: str, thought: str | None) -> None:
    """Added to the assistant's message right before it, or to a new one."""
    name, told_as = _CALLS[kind], "input" if kind == "custom_tool_call" else "arguments"
    asked = {key: text_or(item.get(key), f"{at}.{key}") for key in ("name", told_as)}
    if not asked["name"]:
        raise wrong(f"{at}.name", "Expected the name of a tool")
    call = {"id": text_or(item.get("call_id"), f"{at}.call_id"), "type": name, name: asked}
    last = found[-1] if found and found[-1].role == "assistant" and thought is None else None
    if last is None:
        found.append(NewMessage(role="assistant", tool_calls=[call]))
        if thought is not None:
            found[-1] = msgspec.structs.replace(found[-1], extra={"reasoning_content": thought})
        return
    calls = last.tool_calls if isinstance(last.tool_calls, list) else []
    found[-1] = msgspec.structs.replace(last, tool_calls=[*calls, call])


def _result(item: Mapping[str, Any], at: str) -> NewMessage:
    output = item.get("output")
    if output is None:
        raise wrong(f"{at}.output", "Expected what the tool answered")
    content = openai_parts.simplified(openai_parts.read(output, f"{at}.output"))
    if content is None:
        content = ""
    call_id = text_or(item.get("call_id"), f"{at}.call_id")
    if not call_id:
        raise wrong(f"{at}.call_id", "Expected the id of a call")
    return NewMessage(role="tool", content=content, tool_call_id=call_id)
