"""
Any order of operations on sessions, against a model of a few lines: both adapters never differ from it.

By default some hundred steps. Ten thousand on each adapter, in some minutes:

    STATEFUL_STEPS=10000 python -m pytest tests/session_store/test_stateful.py
"""

import asyncio
import os
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sage_chassis.redis_client import connect
from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from sage_contracts.errors import (
    BranchExists,
    BranchNotFound,
    Conflict,
    IdempotencyKeyReused,
    SageError,
    SessionBusy,
    SessionNotFound,
    TurnLost,
)
from sage_contracts.turns import OnConflict
from tests.session_store.model import LEASE, Expected, Modelled, Said, Under
from tests.session_store.parts import Clock, desk_over, memory_store, redis_store, said, texts

T = TypeVar("T")
NAMES = st.sampled_from(["a", "b", "c"])
KEYS = st.sampled_from(["k1", "k2", "k3"])
DIGESTS = st.sampled_from(["d1", "d1", "d1", "d2"])
MODES: st.SearchStrategy[OnConflict] = st.sampled_from(["queue", "queue", "reject", "fork"])
ROLES: st.SearchStrategy[wire.Role] = st.sampled_from(["user", "user", "system"])
ASKED = st.lists(ROLES, max_size=3)
BRANCHES = st.sampled_from([None, None, None, "main", "fork-1", "own", "nowhere"])
Wish = tuple[str | None, str, str | None, OnConflict]
WISHES: st.SearchStrategy[Wish] = st.tuples(st.one_of(st.none(), KEYS), DIGESTS, BRANCHES, MODES)
LEADS = st.sampled_from(["committed", "committed", "open", "interrupted", "abandoned"])
MAX_DIALOGS = 2
STEPS_A_RUN = 50

REFUSALS: dict[Expected, type[SageError]] = {
    "busy": SessionBusy,
    "reused": IdempotencyKeyReused,
    "cleared": Conflict,
    "moved": Conflict,
    "no_branch": BranchNotFound,
}


class SessionsAgainstAModel(RuleBasedStateMachine):
    def __init__(self, redis_url: str | None, count: list[int]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.redis = None if redis_url is None else connect(redis_url)
        store = memory_store(self.clock) if self.redis is None else redis_store(self.redis)
        self.desk = desk_over(store, self.clock, max_dialogs=MAX_DIALOGS, budget_tokens=100_000, lease_seconds=LEASE)
        self.owner = uuid.uuid4().hex
        self.model: dict[str, Modelled] = {}
        self.tokens: dict[tuple[str, str], turn_wire.HeldTurn] = {}
        self.numbers = iter(range(1_000_000))
        self.count = count

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(what)

    def refused(self, kind: type[SageError], what: Coroutine[Any, Any, object]) -> None:
        with pytest.raises(kind) as caught:
            self.run(what)
        assert type(caught.value) is kind

    def tick(self, seconds: float = 1) -> float:
        """Every operation at a time of its own, so that the order is known."""
        self.count[0] += 1
        self.clock.now += seconds
        return self.clock.now

    def scripted(self, roles: list[wire.Role], turn: str) -> tuple[Said, ...]:
        """Instructions first, as gateways send them."""
        ordered = sorted(roles, key=lambda role: role != "system")
        return tuple(Said(role, f"{role} {next(self.numbers)}", turn) for role in ordered)

    @rule(title=st.sampled_from(["", "given"]))
    def create(self, title: str) -> None:
        now = self.tick()
        made = self.run(self.desk.sessions.create(self.owner, wire.NewSession(title=title)))
        self.model[made.id] = Modelled(now, now, title=title)

    @rule(name=NAMES, wish=WISHES, roles=ASKED, leads=LEADS)
    def open(self, name: str, wish: Wish, roles: list[wire.Role], leads: str) -> None:
        now = self.tick()
        key, digest, branch, mode = wish
        turn_id, told_digest = (key, digest) if key else (f"t{next(self.numbers)}", None)
        asked = self.scripted(roles, turn_id)
        request = turn_wire.OpenTurn(
            turn_id=turn_id,
            messages=[said(one.role, one.text) for one in asked],
            digest=told_digest,
            on_conflict=mode,
            branch=branch,
            wait_seconds=0,
        )
        opening = self.desk.turns.open(self.owner, name, request)
        kept = self.model.get(name, Modelled(now, now))
        expected, on = kept.opening(turn_id, told_digest, branch, mode, now)
        if expected in REFUSALS:
            self.refused(REFUSALS[expected], opening)
            self.run(self.desk.turns.close())
            if expected != "no_branch" and name in self.model:
                self.settle(name)
            return
        opened = self.run(opening)
        if expected == "answered":
            assert opened.answered is not None
            assert opened.answered.content == kept.known[turn_id].said[-1].text
            self.settle(name)
            return
        under = Under(turn_id, told_digest, asked, opened.token, now + LEASE, began=name not in self.model)
        self.model[name] = kept
        on = kept.open(under, on, now)
        assert (opened.branch, opened.answered) == (on, None)
        assert texts(opened.context.messages) == kept.context(on, MAX_DIALOGS)
        self.tokens[name, on] = turn_wire.HeldTurn(turn_id=turn_id, token=opened.token, branch=on)
        if leads == "abandoned":
            self.give_up(name, on)
        elif leads != "open":
            self.store(name, on, interrupted=leads == "interrupted")

    def settle(self, name: str) -> None:
        """A session that somebody asked for in vain stands first in the list all the same, or does not: look."""
        listed = self.run(self.desk.sessions.page(self.owner, wire.ListQuery()))
        active = {one.id: one.last_active.timestamp() for one in listed.sessions}
        self.model[name].active = active[name]

    def store(self, name: str, on: str, *, interrupted: bool) -> None:
        kept, held = self.model[name], self.tokens.pop((name, on))
        under = kept.under[on]
        answer = Said("assistant", f"answer {next(self.numbers)}", under.turn)
        metadata = {"finish_reason": "interrupted"} if interrupted else {}
        messages = [
            *(said(one.role, one.text) for one in under.asked),
            said("assistant", answer.text, metadata=metadata),
        ]
        commit = turn_wire.CommitTurn(turn_id=held.turn_id, token=held.token, branch=on, messages=messages)
        now = self.tick()
        stored = self.run(self.desk.turns.commit(self.owner, name, commit))
        again = self.run(self.desk.turns.commit(self.owner, name, commit))
        count = kept.commit(on, (*under.asked, answer), now, interrupted=interrupted)
        assert stored == turn_wire.TurnCommitted(session_id=name, branch=on, message_count=count)
        assert again == turn_wire.TurnCommitted(session_id=name, branch=on, message_count=count, repeated=True)

    def give_up(self, name: str, on: str) -> None:
        self.tick()
        told = self.run(self.desk.turns.abandon(self.owner, name, self.tokens.pop((name, on))))
        assert told.status == "abandoned"
        if self.model[name].abandon(on):
            del self.model[name]

    def is_held(self, place: tuple[str, str]) -> bool:
        name, on = place
        under = self.model[name].under.get(on) if name in self.model else None
        return (
            under is not None and under.token == self.tokens[place].token and under.turn == self.tokens[place].turn_id
        )

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), what=st.sampled_from(["commit", "interrupt", "renew", "abandon"]))
    def end(self, data: st.DataObject, what: str) -> None:
        """Of a turn that was opened some time ago."""
        place = data.draw(st.sampled_from(sorted(self.tokens)))
        name, on = place
        if not self.is_held(place):
            self.late(place)
        elif what == "renew":
            now = self.tick()
            self.run(self.desk.turns.renew(self.owner, name, self.tokens[place]))
            under = self.model[name].under[on]
            self.model[name].under[on] = Under(**{**vars(under), "until": now + LEASE})
        elif what == "abandon":
            self.give_up(name, on)
        else:
            self.store(name, on, interrupted=what == "interrupt")

    def late(self, place: tuple[str, str]) -> None:
        """One that others have overtaken changes nothing."""
        name, on = place
        held = self.tokens.pop(place)
        self.tick()
        kind = TurnLost if name in self.model else SessionNotFound
        self.refused(kind, self.desk.turns.renew(self.owner, name, held))
        told = self.run(self.desk.turns.abandon(self.owner, name, held))
        assert told.status == "not_open"
        known = self.model[name].known.get(held.turn_id) if name in self.model else None
        commit = turn_wire.CommitTurn(
            turn_id=held.turn_id, token=held.token, branch=on, messages=[said("user", "must not be stored")]
        )
        committing = self.desk.turns.commit(self.owner, name, commit)
        if known is None or known.told != "done":
            self.refused(kind, committing)
        else:
            assert self.run(committing).repeated

    @precondition(lambda self: self.model)
    @rule(data=st.data(), own=st.booleans(), select=st.booleans(), before=st.booleans())
    def fork(self, data: st.DataObject, own: bool, select: bool, before: bool) -> None:
        now = self.tick()
        name = data.draw(st.sampled_from(sorted(self.model)))
        kept = self.model[name]
        branch = data.draw(st.sampled_from(sorted(kept.branches)))
        behind = data.draw(st.integers(0, len(kept.branches[branch])))
        at = None
        cut = kept.shown[: len(kept.shown) - (1 if before else 0)]
        if behind:
            session = self.run(self.desk.sessions.read(self.owner, name, wire.ReadQuery(branch=branch)))
            at = session.messages[behind - 1].id
            cut = kept.branches[branch][: behind - (1 if before else 0)]
        asked = wire.Fork(at=at, before=before, name="own" if own else None, select=select)
        forking = self.desk.branching.fork(self.owner, name, asked)
        if own and "own" in kept.branches:
            self.refused(BranchExists, forking)
            return
        made = self.run(forking)
        fork = kept.fork(cut, "own" if own else None, now, select=select)
        assert (made.name, made.message_count, made.is_head) == (fork, len(cut), select)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def select(self, data: st.DataObject) -> None:
        now = self.tick()
        name = data.draw(st.sampled_from(sorted(self.model)))
        branch = data.draw(st.sampled_from(sorted(self.model[name].branches)))
        self.run(self.desk.branching.select(self.owner, name, branch))
        self.model[name].select(branch, now)

    @rule(name=NAMES)
    def clear(self, name: str) -> None:
        now = self.tick()
        cleared = self.desk.sessions.clear(self.owner, name)
        if name not in self.model:
            self.refused(SessionNotFound, cleared)
            return
        self.run(cleared)
        self.model[name].clear(now)

    @rule(name=NAMES)
    def retitle(self, name: str) -> None:
        title = f"title {self.tick()}"
        renamed = self.desk.sessions.retitle(self.owner, name, wire.Retitle(title=title))
        if name not in self.model:
            self.refused(SessionNotFound, renamed)
            return
        self.run(renamed)
        self.model[name].title = title

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.tick()
        deleted = self.desk.sessions.delete(self.owner, name)
        kept = self.model.pop(name, None)
        if kept is None:
            self.refused(SessionNotFound, deleted)
            return
        removed = self.run(deleted).removed
        assert (removed["branches"], removed["turns"]) == (len(kept.branches), len(kept.known))

    @rule(seconds=st.integers(1, 12))
    def clean_up(self, seconds: int) -> None:
        now = self.tick()
        idle = [
            name
            for name, kept in self.model.items()
            if kept.active <= now - seconds and not any(under.until > now for under in kept.under.values())
        ]
        cleaned = self.run(self.desk.sessions.clean_up(self.owner, wire.CleanupQuery(max_age_minutes=seconds / 60)))
        for name in idle:
            del self.model[name]
        assert cleaned.removed_sessions == len(idle)

    @rule(seconds=st.sampled_from([5.0, LEASE]))
    def let_time_pass(self, seconds: float) -> None:
        self.tick(seconds)

    @invariant()
    def the_list_is_the_models(self) -> None:
        listed = self.run(self.desk.sessions.page(self.owner, wire.ListQuery()))
        expected = sorted(self.model.items(), key=lambda item: item[1].active, reverse=True)
        assert [(one.id, one.title, one.message_count) for one in listed.sessions] == [
            (name, kept.title or kept.auto_title or "New chat", len(kept.shown)) for name, kept in expected
        ]
        assert listed.stats.total_messages == sum(len(kept.shown) for kept in self.model.values())
        assert listed.stats.total_sessions == len(self.model)

    @invariant()
    def every_session_is_the_models(self) -> None:
        for name, kept in self.model.items():
            listed = self.run(self.desk.branching.branches(self.owner, name)).branches
            assert {(one.name, one.message_count, one.is_head) for one in listed} == {
                (branch, len(spoken), branch == kept.head) for branch, spoken in kept.branches.items()
            }
            for branch, spoken in kept.branches.items():
                session = self.run(self.desk.sessions.read(self.owner, name, wire.ReadQuery(branch=branch)))
                assert texts(session.messages) == [one.text for one in spoken]
                assert [one.metadata.get("status") for one in session.messages] == [
                    None if one.answered else "unanswered" for one in spoken
                ]
            pending = {one["branch"]: one["turn_id"] for one in session.metadata.get("pending", [])}
            assert pending == {on: under.turn for on, under in kept.under.items()}

    def teardown(self) -> None:
        self.run(self.desk.turns.close())
        if self.redis is not None:
            self.run(self.redis.aclose())
        self.runner.close()


@pytest.mark.parametrize("adapter", ["memory", "redis"])
@pytest.mark.slow
def test_sessions_never_differ_from_a_simple_model(adapter: str, request: pytest.FixtureRequest) -> None:
    url = None if adapter == "memory" else request.getfixturevalue("redis_url")
    wanted = int(os.environ.get("STATEFUL_STEPS", "500"))
    count = [0]

    while count[0] < wanted:
        run_state_machine_as_test(
            lambda: SessionsAgainstAModel(url, count),  # type: ignore[arg-type]  # it calls whatever it is given
            settings=settings(
                max_examples=max(1, (wanted - count[0]) // STEPS_A_RUN),
                stateful_step_count=STEPS_A_RUN,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
                phases=[Phase.generate],
            ),
        )

    print(f"{adapter}: {count[0]} steps")
