"""Openings over stored turns that answer as scripted."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from sage_contracts.errors import SessionBusy
from sage_contracts.turns import OpenTurn
from session_store.adapters.memory_turns import MemoryTurns
from session_store.domain.openings import Busy, Opening, Outcome
from session_store.domain.records import SessionKey
from tests.session_store.parts import Clock, desk_over, memory_store


@dataclass
class Scripted(MemoryTurns):
    """Its last outcome is the answer from then on."""

    outcomes: list[Outcome]
    left: list[str] = field(default_factory=list)

    async def open(self, key: SessionKey, opening: Opening) -> Outcome:
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]

    async def leave(self, key: SessionKey, opening: Opening, branch: str) -> None:
        self.left.append(branch)


async def test_who_would_not_wait_and_waited_for_itself_does_not_wait_for_another() -> None:
    itself, another = (Busy("main", name, 0, 0, is_itself=name == "key:1") for name in ("key:1", "2"))
    turns = Scripted([itself, another])
    desk = desk_over(replace(memory_store(Clock()), turns=turns))
    asked = OpenTurn(turn_id="key:1", digest="d", on_conflict="reject", wait_seconds=60)
    with pytest.raises(SessionBusy, match="'2' has been under way"):
        await asyncio.wait_for(desk.turns.open("local", "s1", asked), 2)
    await desk.turns.close()

    assert turns.left == ["main"]
