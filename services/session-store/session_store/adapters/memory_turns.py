"""Turns in this process: for tests, as `memory_sessions`."""

from dataclasses import replace
from typing import Literal

from session_store.adapters.memory_log import HeldTurn, Log, Undone
from session_store.adapters.memory_sessions import MemorySessions
from session_store.domain import ranges as within
from session_store.domain.branches import BranchState
from session_store.domain.openings import (
    BRANCHES_AT_MOST,
    SEEN_WITHIN_US,
    Answered,
    Busy,
    CommitOutcome,
    Held,
    Opened,
    Opening,
    Outcome,
    Refused,
    Stored,
)
from session_store.domain.records import NewTurn, SessionKey, Window


class MemoryTurns:
    """Implements StoredTurns over the same sessions."""

    def __init__(self, sessions: MemorySessions) -> None:
        self._sessions = sessions

    async def open(self, key: SessionKey, opening: Opening) -> Outcome:
        existed = self._sessions.found(key)
        if existed is None and opening.branch not in {None, "main"}:
            return Refused("no_branch")
        log, began = self._sessions.begun(key, opening.now_us)
        name = log.held_branch(opening.turn_id) or opening.branch or log.head
        if log.branch(name) is None:
            return Refused("no_branch")
        undo: BranchState | None = None
        if (seen := log.known.get(opening.turn_id)) is not None:
            told = _known(log, opening)
            if not isinstance(told, BranchState):
                return told
            undo, name = told, seen.branch
        return self._opened(log, opening, name, undo, began=began)

    def _opened(self, log: Log, opening: Opening, name: str, undo: BranchState | None, *, began: bool) -> Outcome:
        if (kept_off := self._kept_off(log, opening, name)) is not None:
            return kept_off
        held, forked = log.held.get(name), False
        undone: Undone | None = None
        is_its_own = held is not None and held.opening.turn_id == opening.turn_id
        if held is not None and is_its_own:
            began, forked, undone = held.began, held.forked, held.undone
        elif held is not None and held.until_us > opening.now_us:
            if max(1, len(log.branches)) >= BRANCHES_AT_MOST:
                return Refused("too_many")
            name, held, forked = _forked(log, name, undo), None, True
            log.known.pop(opening.turn_id, None)
            undo = None
        self._sessions.touch(log, opening.now_us)
        if undo is not None:
            undone = Undone(log.known[opening.turn_id], log.branch(name) or BranchState(), undo)
            log.save(name, undo)
            del log.known[opening.turn_id], log.undo[name]
        if held is not None and not is_its_own and not log.put_back(name, held):
            undone = _keep_unanswered(log, name, held.opening, undone)
        log.waiting.pop((name, opening.opener), None)
        log.tokens += 1
        until_us = opening.now_us + opening.lease_us
        log.held[name] = HeldTurn(opening, log.tokens, until_us, began, forked, undone)
        return Opened(log.tokens, log.window(name, opening.newest))

    def _kept_off(self, log: Log, opening: Opening, name: str) -> Busy | Refused | None:
        held = log.held.get(name)
        is_under_way = held is not None and held.until_us > opening.now_us
        if held is not None and held.opening.turn_id == opening.turn_id:
            if held.opening.digest != opening.digest:
                return Refused("reused")
            is_somebodys = is_under_way and opening.digest is not None and held.opening.opener != opening.opener
            return self._wait(log, opening, name, is_itself=True) if is_somebodys else None
        if opening.on_conflict == "queue":
            must_wait = is_under_way or _ahead(log, opening, name) > 0
            return self._wait(log, opening, name, is_itself=False) if must_wait else None
        if held is not None and is_under_way and opening.on_conflict == "reject":
            return Busy(name, held.opening.turn_id, held.opening.now_us, 0, is_itself=False)
        return None

    def _wait(self, log: Log, opening: Opening, name: str, *, is_itself: bool) -> Busy:
        ahead = _ahead(log, opening, name)
        place = (name, opening.opener)
        if place not in log.waiting:
            log.tickets += 1
            log.waiting[place] = (log.tickets, opening.now_us)
        log.waiting[place] = (log.waiting[place][0], opening.now_us)
        self._sessions.stay(log)
        held = log.held.get(name)
        if held is None:
            return Busy(name, "", 0, ahead, is_itself)
        return Busy(name, held.opening.turn_id, held.opening.now_us, ahead, is_itself)

    async def leave(self, key: SessionKey, opening: Opening, branch: str) -> None:
        log = self._sessions.found(key)
        if log is None:
            return
        log.waiting.pop((branch, opening.opener), None)
        name = log.held_branch(opening.turn_id)
        if name is not None and log.held[name].opening.opener == opening.opener:
            self._given_up(key, log, name)

    async def renew(self, key: SessionKey, held: Held, *, until_us: int) -> Literal["renewed", "missing", "lost"]:
        log = self._sessions.found(key)
        if log is None:
            return "missing"
        if (turn := _held(log, held)) is None:
            return "lost"
        turn.until_us = until_us
        self._sessions.stay(log)
        return "renewed"

    async def commit(self, key: SessionKey, held: Held, turn: NewTurn) -> CommitOutcome:
        log = self._sessions.found(key)
        if log is None:
            return "missing"
        if (seen := log.known.get(turn.turn_id)) is not None:
            if seen.told == "unanswered" or (seen.told == "interrupted" and not turn.interrupted):
                return "lost"
            is_cleared = seen.part.first < log.base
            return Stored(
                message_count=0 if is_cleared else seen.count,
                first=seen.part.first,
                repeated=True,
                messages=() if is_cleared else log.at(range(*seen.part)),
                created_us=log.record.created_us,
                choice=log.choice,
            )
        if (mine := _held(log, held)) is None:
            return "lost"
        before = log.branch(held.branch) or BranchState()
        part = log.append(held.branch, turn)
        digest = mine.opening.digest
        log.learn(held.branch, turn.turn_id, part, "interrupted" if turn.interrupted else "done", digest)
        log.undo.pop(held.branch, None)
        if turn.interrupted and digest is not None:
            log.undo[held.branch] = (turn.turn_id, before)
        del log.held[held.branch]
        self._sessions.touch(log, turn.now_us)
        count = (log.branch(held.branch) or before).count
        return Stored(
            message_count=count,
            first=part.first,
            repeated=False,
            messages=turn.messages,
            created_us=log.record.created_us,
            choice=log.choice,
        )

    async def abandon(self, key: SessionKey, held: Held) -> bool:
        log = self._sessions.found(key)
        if log is None or _held(log, held) is None:
            return False
        self._given_up(key, log, held.branch)
        return True

    async def window(self, key: SessionKey, *, newest: int, branch: str | None = None) -> Window:
        log = self._sessions.found(key)
        name = branch or (log.head if log is not None else "")
        if log is None or log.branch(name) is None:
            return Window(0, 0, (), ())
        return log.window(name, newest)

    def _given_up(self, key: SessionKey, log: Log, name: str) -> None:
        held = log.held.pop(name)
        log.put_back(name, held)
        is_empty = log.base + len(log.messages) == 0 and not log.record.title
        if held.began and is_empty and not log.held:
            self._sessions.remove(key)
            return
        state = log.branch(name)
        if held.forked and state is not None and state.last == state.forked_at and name != log.head:
            del log.branches[name]


def _known(log: Log, opening: Opening) -> Outcome | BranchState:
    """How the branch stood before the turn, when it is to be taken back; else what becomes of it."""
    seen = log.known[opening.turn_id]
    if seen.digest != opening.digest:
        return Refused("reused")
    if seen.part.first < log.base:
        return Refused("cleared")
    if seen.told == "done":
        return Answered(seen.branch, log.at(range(*seen.part)))
    turn_id, before = log.undo.get(seen.branch, ("", BranchState()))
    last = log.held.get(seen.branch)
    is_behind = (
        last is not None
        and last.opening.turn_id != opening.turn_id
        and last.until_us <= opening.now_us
        and last.undone is not None
    )
    return Refused("moved") if turn_id != opening.turn_id or is_behind else before


def _ahead(log: Log, opening: Opening, name: str) -> int:
    """The opener's place on a branch that was the head when it came is given up."""
    for place in [place for place in log.waiting if place[1] == opening.opener and place[0] != name]:
        del log.waiting[place]
    mine = log.waiting.get((name, opening.opener))
    others = [
        ticket
        for (branch, opener), (ticket, seen_us) in log.waiting.items()
        if branch == name and opener != opening.opener and seen_us >= opening.now_us - SEEN_WITHIN_US
    ]
    return sum(mine is None or ticket < mine[0] for ticket in others)


def _forked(log: Log, name: str, undo: BranchState | None) -> str:
    state = log.branch(name) or BranchState()
    log.save(name, state)
    state = undo or state
    fork = log.free_name()
    log.save(fork, replace(state, forked_at=state.last))
    return fork


def _keep_unanswered(log: Log, name: str, asked: Opening, undone: Undone | None) -> Undone | None:
    """It stands behind what was undone, if that is put back, and in its place if not."""
    if asked.auto_title and not log.record.auto_title:
        log.record = replace(log.record, auto_title=asked.auto_title)
    if not asked.messages:
        return undone
    before = log.branch(name) or BranchState()
    turn = NewTurn(
        turn_id=asked.turn_id, messages=asked.messages, now_us=asked.now_us, instructions=len(asked.messages)
    )
    part = log.append(name, turn)
    log.learn(name, asked.turn_id, part, "unanswered", asked.digest)
    log.undo[name] = (asked.turn_id, before)
    if undone is None:
        return None
    state = undone.state
    cut = replace(state, ranges=within.joined(state.ranges, part), untold=state.untold + turn.instructions)
    return Undone(undone.known, cut, log.branch(name) or before)


def _held(log: Log, held: Held) -> HeldTurn | None:
    found = log.held.get(held.branch)
    is_it = found is not None and found.token == held.token and found.opening.turn_id == held.turn_id
    return found if is_it else None
