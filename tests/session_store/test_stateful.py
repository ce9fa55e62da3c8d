"""Any order of operations on sessions, against a model of a few lines: both adapters never differ from it."""

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sage_chassis.redis_client import connect
from sage_contracts import sessions as wire
from sage_contracts.errors import SessionNotFound
from tests.session_store.parts import Clock, desk_over, memory_store, redis_store, said, texts

T = TypeVar("T")
NAMES = st.sampled_from(["a", "b", "c"])
ROLES: st.SearchStrategy[wire.Role] = st.sampled_from(["user", "user", "assistant", "system"])
SCRIPTS = st.lists(ROLES, min_size=1, max_size=5)
MAX_DIALOGS = 2


@dataclass
class Modelled:
    title: str = ""
    auto_title: str = ""
    active: float = 0
    spoken: list[tuple[wire.Role, str]] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    turns: dict[str, int] = field(default_factory=dict)

    def context(self) -> list[str]:
        """Everything fits the budget here: the instructions of the last turn that had any, then the last dialogs."""
        words = [(role, text) for role, text in self.spoken if role != "system"]
        starts = [index for index, (role, _) in enumerate(words) if role == "user"][-MAX_DIALOGS:]
        return self.instructions + ([text for _, text in words[starts[0] :]] if starts else [])


class SessionsAgainstAModel(RuleBasedStateMachine):
    def __init__(self, redis_url: str | None) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.redis = None if redis_url is None else connect(redis_url)
        store = memory_store(self.clock) if self.redis is None else redis_store(self.redis)
        self.desk = desk_over(store, self.clock, max_dialogs=MAX_DIALOGS, budget_tokens=100_000)
        self.owner = uuid.uuid4().hex
        self.model: dict[str, Modelled] = {}
        self.turns = 0

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(what)

    def missing(self, what: Coroutine[Any, Any, object]) -> None:
        with pytest.raises(SessionNotFound):
            self.run(what)

    def tick(self) -> float:
        """Every operation at a time of its own, so that the order is known."""
        self.clock.now += 1
        return self.clock.now

    @rule(title=st.sampled_from(["", "given"]))
    def create(self, title: str) -> None:
        active = self.tick()
        made = self.run(self.desk.sessions.create(self.owner, wire.NewSession(title=title)))
        self.model[made.id] = Modelled(title=title, active=active)

    @rule(name=NAMES, script=SCRIPTS)
    def commit(self, name: str, script: list[wire.Role]) -> None:
        self.turns += 1
        active = self.tick()
        # One run of instructions a turn, at its front, as the gateway sends them.
        ordered = sorted(script, key=lambda role: role != "system")
        messages = [said(role, f"{role} {self.turns}-{number}") for number, role in enumerate(ordered)]
        turn = wire.Turn(turn_id=str(self.turns), messages=messages)
        stored = self.run(self.desk.sessions.commit(self.owner, name, turn))
        kept = self.model.setdefault(name, Modelled())
        kept.spoken += [(message.role, str(message.content)) for message in messages]
        kept.instructions = [
            text for role, text in kept.spoken[-len(messages) :] if role == "system"
        ] or kept.instructions
        questions = [str(message.content) for message in messages if message.role == "user"]
        kept.auto_title = kept.auto_title or (questions[0] if questions else "")
        kept.active = active
        count = len(kept.spoken)
        kept.turns[turn.turn_id] = count
        assert stored == wire.TurnStored(session_id=name, message_count=count)

    @precondition(lambda self: any(kept.turns for kept in self.model.values()))
    @rule(data=st.data())
    def commit_again(self, data: st.DataObject) -> None:
        self.tick()
        name = data.draw(st.sampled_from(sorted(name for name, kept in self.model.items() if kept.turns)))
        turn_id = data.draw(st.sampled_from(sorted(self.model[name].turns)))
        turn = wire.Turn(turn_id=turn_id, messages=[said("user", "must not be stored")])
        stored = self.run(self.desk.sessions.commit(self.owner, name, turn))
        count = self.model[name].turns[turn_id]
        assert stored == wire.TurnStored(session_id=name, message_count=count, repeated=True)

    @rule(name=NAMES)
    def clear(self, name: str) -> None:
        active = self.tick()
        cleared = self.desk.sessions.clear(self.owner, name)
        if name not in self.model:
            self.missing(cleared)
            return
        self.run(cleared)
        kept = self.model[name]
        kept.spoken, kept.instructions, kept.auto_title, kept.active = [], [], "", active
        kept.turns = dict.fromkeys(kept.turns, 0)

    @rule(name=NAMES)
    def retitle(self, name: str) -> None:
        title = f"title {self.tick()}"
        renamed = self.desk.sessions.retitle(self.owner, name, wire.Retitle(title=title))
        if name not in self.model:
            self.missing(renamed)
            return
        self.run(renamed)
        self.model[name].title = title

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.tick()
        deleted = self.desk.sessions.delete(self.owner, name)
        if self.model.pop(name, None) is None:
            self.missing(deleted)
            return
        self.run(deleted)

    @rule(seconds=st.integers(1, 12))
    def clean_up(self, seconds: int) -> None:
        now = self.tick()
        idle = [name for name, kept in self.model.items() if kept.active <= now - seconds]
        cleaned = self.run(self.desk.sessions.clean_up(self.owner, wire.CleanupQuery(max_age_minutes=seconds / 60)))
        for name in idle:
            del self.model[name]
        assert cleaned.removed_sessions == len(idle)

    @invariant()
    def the_list_is_the_models(self) -> None:
        listed = self.run(self.desk.sessions.page(self.owner, wire.ListQuery()))
        expected = sorted(self.model.items(), key=lambda item: item[1].active, reverse=True)
        assert [(one.id, one.title, one.message_count) for one in listed.sessions] == [
            (name, kept.title or kept.auto_title or "New chat", len(kept.spoken)) for name, kept in expected
        ]
        assert listed.stats.total_messages == sum(len(kept.spoken) for kept in self.model.values())
        assert listed.stats.total_sessions == len(self.model)

    @invariant()
    def every_session_is_the_models(self) -> None:
        for name, kept in self.model.items():
            told = self.run(self.desk.remembering.context(self.owner, name, wire.ContextRequest()))
            session = self.run(self.desk.sessions.read(self.owner, name))
            assert texts(told.messages) == kept.context()
            assert texts(session.messages) == [text for _, text in kept.spoken]

    def teardown(self) -> None:
        if self.redis is not None:
            self.run(self.redis.aclose())
        self.runner.close()


@pytest.mark.parametrize("adapter", ["memory", "redis"])
def test_sessions_never_differ_from_a_simple_model(adapter: str, request: pytest.FixtureRequest) -> None:
    url = None if adapter == "memory" else request.getfixturevalue("redis_url")

    run_state_machine_as_test(
        lambda: SessionsAgainstAModel(url),  # type: ignore[arg-type]  # it calls whatever it is given
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
