"""Join what a session remembers and what a client sends now, whether or not it sends the history again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec
from msgspec import UNSET

from chat_gateway.domain.citing import uncited
from chat_gateway.domain.counting import tokens_of
from sage_contracts.errors import InvalidRequest
from sage_contracts.sessions import Message, NewMessage

PromptMessage = dict[str, Any]

_INSTRUCTING = ("system", "developer")
_KNOWN = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
_THE_STORES_OWN = frozenset(Message.__struct_fields__) - _KNOWN
_NOT_TOLD_AGAIN = frozenset({"reasoning_content", "reasoning"})
"""What a model thought is of use to people; engines refuse it in a prompt, or waste their window on it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """
    `prompt` is for the engine; `new` is what the session does not hold yet.

    `sent` are those messages of the prompt that the request itself brought, beside what it repeats of the history.
    """

    prompt: list[PromptMessage]
    new: list[PromptMessage]
    sent: list[PromptMessage]


def joined(
    stored: Sequence[Message],
    incoming: Sequence[PromptMessage],
    *,
    dropped: int = 0,
    budget_tokens: int | None = None,
) -> Joined:
    """
    Instructions first, then the history, then what is new.

    The request's own instructions win over stored ones, and are new only when they differ. Of its other messages those
    that repeat the end of the history are not new; `dropped` tells that the store left out what was before `stored`.
    Where it left out all that was said there is nothing to compare, and what stands up to the last answer is a repeat.

    `stored` keeps to `budget_tokens` beside what is asked now; other messages that are new take the place of its oldest
    dialogs. Where nothing stored fits, what the request repeats is told as far as it does.
    """
    past = [told(message) for message in stored]
    spoken_before = [_retold(message) for message in stored if message.role not in _INSTRUCTING]
    spoken, saying = _spoken(past), _spoken(incoming)
    known = _latest_instructions(past)
    own = instructions(incoming)
    changed = own if _keys(own) != _keys(known) else []
    repeated = _repeated(spoken, saying, more_was_stored=dropped > 0)
    remainder = saying[repeated:]
    others = remainder[: max(0, len(remainder) - len(asked_now(incoming)))]
    if budget_tokens is not None and (others or not spoken):
        room = budget_tokens - tokens_of(others)
        spoken_before = _newest(spoken_before if spoken else saying[:repeated], room)
    history = spoken_before or saying[_last_question(saying, repeated) : repeated]
    return Joined(
        prompt=[*(own or known), *_consistent(history, remainder), *remainder],
        new=[*changed, *remainder],
        sent=[*own, *remainder],
    )


def asked_now(incoming: Sequence[PromptMessage]) -> list[PromptMessage]:
    """What a request says behind the last answer it repeats; its instructions are none of it."""
    said = [message.get("role") for message in incoming]
    behind = len(said) - said[::-1].index("assistant") if "assistant" in said else 0
    return _spoken(incoming[behind:])


def instructions(messages: Sequence[PromptMessage]) -> list[PromptMessage]:
    return [message for message in messages if _instructs(message)]


def told(message: Message) -> PromptMessage:
    """A stored message as engines read it."""
    fields: PromptMessage = {"role": message.role, "content": message.content}
    for name, value in (
        ("name", message.name),
        ("tool_calls", message.tool_calls),
        ("tool_call_id", message.tool_call_id),
    ):
        if value is not UNSET:
            fields[name] = value
    if not message.extra:
        return fields
    return fields | {name: value for name, value in message.extra.items() if name not in _NOT_TOLD_AGAIN | _KNOWN}


def _retold(message: Message) -> PromptMessage:
    """As told, but for the links of an answer from documents."""
    fields = told(message)
    if isinstance(message.content, str) and (places := list(_places(message.metadata.get("annotations")))):
        fields["content"] = uncited(message.content, places)
    return fields


def _places(annotations: object) -> Iterator[tuple[int, int]]:
    for one in annotations if isinstance(annotations, list) else []:
        match one:
            case {"url_citation": {"start_index": int(start), "end_index": int(end)}}:
                yield start, end


def stored_form(message: PromptMessage, place: str = "messages") -> NewMessage:
    """
    A client's message as the store takes it; raises InvalidRequest for one that is none, by its `place` in the request.

    Its fields that nobody here knows are kept, but for those that only a stored message has: a client that sends back
    what it read of a session does not say them itself.
    """
    fields = {name: value for name, value in message.items() if value is not None and name not in _THE_STORES_OWN}
    if extra := {name: value for name, value in fields.items() if name not in _KNOWN}:
        fields = {name: value for name, value in fields.items() if name not in extra} | {"extra": extra}
    try:
        return msgspec.convert(fields, NewMessage)
    except msgspec.ValidationError as error:
        told, _, within = str(error).partition(" - at `$")
        field = place + within.rstrip("`")
        raise InvalidRequest(f"{field}: {told}", param=field) from error


def _instructs(message: PromptMessage) -> bool:
    return message.get("role") in _INSTRUCTING


def _spoken(messages: Sequence[PromptMessage]) -> list[PromptMessage]:
    return [message for message in messages if not _instructs(message)]


def _latest_instructions(past: Sequence[PromptMessage]) -> list[PromptMessage]:
    """The instructions in force: the last ones that stand together."""
    runs = [list(run) for instructs, run in groupby(past, key=_instructs) if instructs]
    return runs[-1] if runs else []


def _repeated(spoken: Sequence[PromptMessage], saying: Sequence[PromptMessage], *, more_was_stored: bool) -> int:
    """How many of the messages said now are the end of what was spoken; the last one always counts as new."""
    if len(saying) < 2:  # the usual case: there is nothing to compare
        return 0
    if not spoken and more_was_stored:
        return min(len(saying) - len(asked_now(saying)), len(saying) - 1)
    past, now = _keys(spoken), _keys(saying)
    for count in range(len(now) - 1, 0, -1):
        overlap = min(count, len(past))
        if overlap < count and not more_was_stored:
            continue
        if overlap and now[count - overlap : count] == past[-overlap:]:
            return count
    return 0


def _newest(history: list[PromptMessage], budget_tokens: int) -> list[PromptMessage]:
    """Its newest whole dialogs within the budget."""
    beginnings = [index for index, message in enumerate(history) if message.get("role") == "user"]
    fitting = (history[index:] for index in beginnings if tokens_of(history[index:]) <= budget_tokens)
    return next(fitting, [])


def _last_question(saying: Sequence[PromptMessage], repeated: int) -> int:
    """Where the dialog begins that is still under way behind what is repeated, as with the result of a tool."""
    if saying[repeated:] and saying[repeated].get("role") == "user":
        return repeated
    return max((index for index, one in enumerate(saying[:repeated]) if one.get("role") == "user"), default=repeated)


def _keys(messages: Sequence[PromptMessage]) -> list[tuple[object, ...]]:
    return [(one.get("role"), _text(one.get("content")), one.get("tool_call_id")) for one in messages]


def _text(content: object) -> str:
    """Content as compared: clients send text plain or as parts, and trim it as they like."""
    match content:
        case None:
            return ""
        case str():
            return content.strip()
        case list() if all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            return "".join(part["text"] for part in content).strip()
        case _:
            return msgspec.json.encode(content, order="sorted").decode()


def _consistent(history: Sequence[PromptMessage], new: Sequence[PromptMessage]) -> list[PromptMessage]:
    """The history without results whose call is gone and calls without result: engines refuse a prompt with either."""
    answered = {one.get("tool_call_id") for one in [*history, *new] if one.get("role") == "tool"}
    called: set[object] = set()
    kept: list[PromptMessage] = []
    for message in history:
        calls = {_call_id(call) for call in message.get("tool_calls") or []}
        if message.get("role") == "tool":
            if message.get("tool_call_id") in called:
                kept.append(message)
        elif calls <= answered:
            called |= calls
            kept.append(message)
        elif message.get("content"):
            kept.append({name: value for name, value in message.items() if name != "tool_calls"})
    return kept


def _call_id(call: dict[str, Any]) -> str | None:
    """Anything else than text is no id: no result names it."""
    name = call.get("id")
    return name if isinstance(name, str) else None
