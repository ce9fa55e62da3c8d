"""What somebody sends to be taken in: which format it is, and the conversations in it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from sage_contracts.errors import InvalidRequest
from sage_contracts.names import MAIN_BRANCH
from session_store.domain.ports import Ids
from session_store.domain.ranges import Range
from session_store.domain.titles import title_from
from session_store.domain.transfers import open_webui, openai_items, own
from session_store.domain.transfers.conversations import Conversation, refuse_many
from session_store.domain.transfers.reading import object_of
from session_store.domain.views import message_of

Format = Literal["sage", "openai", "open-webui"]
Reader = Callable[[Mapping[str, Any], str], Conversation]

AT_ONCE = 1_000
"""Conversations of one request."""


def recognised(value: object, *, ids: Ids, now_us: int) -> tuple[Format, list[Conversation]]:
    """InvalidRequest when it is none of the formats, or names the place where it is not what it seems to be."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict) and own.is_own(first):
        return "sage", _each(value, own.read)
    if open_webui.is_chat(first):

        def read(chat: Mapping[str, Any], place: str) -> Conversation:
            return open_webui.read(chat, place, ids=ids, now_us=now_us)

        return "open-webui", _each(value, read)
    if (found := openai_items.items_in(value)) is not None:
        return "openai", [_of_items(*found, ids=ids, now_us=now_us)]
    raise InvalidRequest(
        "this is none of: a session as `/sessions/{id}/export` writes it, or a list of them; OpenAI conversation items;"
        " a chat of Open WebUI, or a list of them"
    )


def _each(value: object, read: Reader) -> list[Conversation]:
    if not isinstance(value, list):
        return [read(object_of(value, ""), "")]
    if len(value) > AT_ONCE:
        raise InvalidRequest(f"at most {AT_ONCE} conversations can be taken in at once")
    return [read(object_of(one, f"[{index}]"), f"[{index}]") for index, one in enumerate(value)]


def _of_items(items: list[Any], place: str, *, ids: Ids, now_us: int) -> Conversation:
    refuse_many(items, place or "items")
    said = openai_items.read(items, place)
    if not said:
        raise InvalidRequest(f"{place or 'items'}: there is no message in it", param=place or None)
    return Conversation(
        log=[message_of(message, f"msg_{ids()}", now_us) for message in said],
        branches={MAIN_BRANCH: (Range(0, len(said)),)},
        created_us=now_us,
        active_us=now_us,
        auto_title=title_from(said),
    )
