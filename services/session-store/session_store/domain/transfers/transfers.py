"""Sessions taken out, to be kept or used elsewhere, and taken in from there."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from sage_contracts import sessions as wire
from sage_contracts.errors import InvalidRequest, SageError
from session_store.domain import ranges as within
from session_store.domain.keys import RESERVED, key_of
from session_store.domain.memories import Memories
from session_store.domain.memory.notes import Note, Shelf
from session_store.domain.memory.shelves import Shelves
from session_store.domain.memory.trimming import dialogs
from session_store.domain.ports import Clock, Ids
from session_store.domain.records import MICROS, Committed, Placed, SessionKey
from session_store.domain.sessions import Sessions
from session_store.domain.titles import on_one_line, title_from
from session_store.domain.transfers import open_webui, openai_items, own
from session_store.domain.transfers.conversations import Conversation
from session_store.domain.transfers.recognising import recognised

log = logging.getLogger(__name__)


class Transfers:
    def __init__(self, sessions: Sessions, memories: Memories, shelves: Shelves, *, clock: Clock, ids: Ids) -> None:
        self._sessions = sessions
        self._memories = memories
        self._shelves = shelves
        self._clock = clock
        self._ids = ids

    async def export(self, owner: str, session_id: str, query: wire.ExportQuery) -> object:
        """Something to be written as JSON. Of the three formats `sage` alone loses nothing."""
        found = await self._sessions.whole(owner, session_id)
        match query.format:
            case "sage":
                return own.told(replace(found, notes=await self._notes(key_of(owner, session_id), found)))
            case "openai":
                return openai_items.told(found.messages(found.head))
            case "open-webui":
                return open_webui.told(found)

    async def take_in(self, owner: str, value: object) -> wire.Imported:
        """
        Store each conversation that was sent, as used just now: all of them, or none.

        InvalidRequest names the place of what is wrong. What exists is left as it is: an id that is taken is replaced.
        """
        now_us = int(self._clock() * MICROS)
        # Of 20 MiB that takes seconds, in which the turns of others go on.
        kind, found = await asyncio.to_thread(recognised, value, ids=self._ids, now_us=now_us)
        for index, conversation in enumerate(found):
            self._check(conversation, f"[{index}]" if isinstance(value, list) and kind != "openai" else "")
        stored: list[wire.Summary] = []
        try:
            for conversation in _arriving(found, now_us):
                stored.append(await self._sessions.take_in(owner, conversation))
                await self._remember(SessionKey(owner, stored[-1].id), conversation)
        except SageError:
            # A list that lost its end by an error would keep what came before it.
            await self._undo(owner, stored)
            raise
        return wire.Imported(sessions=stored, format=kind)

    def _check(self, conversation: Conversation, place: str) -> None:
        if conversation.session_id in RESERVED:
            at = f"{place}.id".lstrip(".")
            raise InvalidRequest(f"{at}: {conversation.session_id!r} is reserved", param=at)
        self._memories.check(conversation.memory)

    async def _notes(self, key: SessionKey, conversation: Conversation) -> dict[Shelf, Sequence[Note]]:
        """Those of its messages, and those of none."""
        known = {message.id for message in conversation.log}
        found: dict[Shelf, Sequence[Note]] = {}
        for shelf in own.KINDS:
            notes = await self._shelves.all(key, shelf)
            kept = [note for note in notes if note.position is None or note.learnt_from in known]
            found[shelf] = sorted(kept, key=lambda note: note.order)
        return found

    async def _remember(self, key: SessionKey, conversation: Conversation) -> None:
        """What it brings; where it brings nothing, and for what cannot travel, as if its turns had been taken here."""
        for shelf, notes in (conversation.notes or {}).items():
            if notes:
                await self._shelves.add(key, shelf, notes)
        if conversation.notes is not None and self._memories.of(conversation.memory).backend != "vdb":
            return
        places = dict(
            zip(_ids_of(conversation), within.positions(conversation.branches[conversation.head]), strict=True)
        )
        for dialog in dialogs(conversation.messages(conversation.head)):
            placed = [Placed(places[message.id], message) for message in dialog]
            self._memories.remember(
                Committed(key=key, branch=conversation.head, messages=placed, choice=conversation.memory)
            )

    async def _undo(self, owner: str, stored: Sequence[wire.Summary]) -> None:
        for summary in stored:
            try:
                await self._sessions.delete(owner, summary.id)
            except SageError as error:
                log.warning("import not undone", extra={"session": summary.id, "error": error.code})


def _arriving(found: Sequence[Conversation], now_us: int) -> list[Conversation]:
    """Active now, one behind the other as they were; none begun later than that."""
    ranks = sorted(range(len(found)), key=lambda index: found[index].active_us)
    places = {index: rank for rank, index in enumerate(ranks)}
    return [
        replace(
            conversation,
            title=on_one_line(conversation.title),
            auto_title=conversation.auto_title or title_from(conversation.messages(conversation.head)),
            created_us=min(conversation.created_us, now_us),
            active_us=now_us - (len(found) - 1 - places[index]),
        )
        for index, conversation in enumerate(found)
    ]


def _ids_of(conversation: Conversation) -> list[str]:
    return [message.id for message in conversation.messages(conversation.head)]
