"""Branches: made where a conversation is to go another way, listed, and one of them chosen as the head."""

from sage_contracts import names
from sage_contracts import sessions as wire
from sage_contracts.errors import BranchExists, BranchNotFound, Conflict, MessageNotFound
from session_store.domain import ranges as within
from session_store.domain.branches import BranchState, NewBranch, Unforked, Whole, over
from session_store.domain.keys import key_of, missing
from session_store.domain.openings import BRANCHES_AT_MOST
from session_store.domain.ports import Clock, StoredSessions
from session_store.domain.records import MICROS, SessionKey

TRIES = 3


class Branching:
    def __init__(self, stored: StoredSessions, *, clock: Clock) -> None:
        self._stored = stored
        self._clock = clock

    async def fork(self, owner: str, session_id: str, asked: wire.Fork) -> wire.Branch:
        """Raises MessageNotFound, BranchExists, and Conflict when the session has too many branches."""
        key = key_of(owner, session_id)
        name = None if asked.name is None else names.branch(asked.name, "name")
        for _ in range(TRIES):
            whole = await self._whole(key)
            state = _cut(whole, asked)
            now_us = int(self._clock() * MICROS)
            new = NewBranch(state=state, of=whole, now_us=now_us, name=name, select=asked.select)
            made = await self._stored.fork(key, new)
            if isinstance(made, str):
                return _shown(whole, made, state, is_head=asked.select)
            match made:
                case Unforked.MISSING:
                    raise missing(session_id)
                case Unforked.EXISTS:
                    raise BranchExists(f"the session has a branch {name!r} already", param="name")
                case Unforked.TOO_MANY:
                    raise Conflict(f"a session has at most {BRANCHES_AT_MOST} branches")
        raise Conflict("the session was cleared, or begun anew, at the same time")

    async def branches(self, owner: str, session_id: str) -> wire.Branches:
        whole = await self._whole(key_of(owner, session_id))
        shown = [_shown(whole, name, state, is_head=name == whole.head) for name, state in whole.branches.items()]
        return wire.Branches(session_id=session_id, branches=sorted(shown, key=lambda branch: branch.name))

    async def select(self, owner: str, session_id: str, branch: str) -> wire.Branch:
        key = key_of(owner, session_id)
        told = await self._stored.select(key, names.branch(branch), now_us=int(self._clock() * MICROS))
        if told == "missing":
            raise missing(session_id)
        if told == "no_branch":
            raise BranchNotFound(f"session {session_id!r} has no branch {branch!r}", param="branch")
        whole = await self._whole(key)
        return _shown(whole, branch, whole.branches.get(branch, BranchState()), is_head=branch == whole.head)

    async def _whole(self, key: SessionKey) -> Whole:
        found = await self._stored.whole(key)
        if found is None:
            raise missing(key.session_id)
        return found


def _cut(whole: Whole, asked: wire.Fork) -> BranchState:
    """The head up to the message meant, or the first branch that has it."""
    if asked.at is None:
        head = whole.branches[whole.head]
        last = head.last
        behind = 0 if last is None else last + (0 if asked.before else 1)
        return over(whole, within.before(head.ranges, behind), head)
    for name in sorted(whole.branches, key=lambda name: (name != whole.head, name)):
        state = whole.branches[name]
        for position in within.positions(state.ranges):
            if whole.at(position).id == asked.at:
                behind = position + (0 if asked.before else 1)
                return over(whole, within.before(state.ranges, behind), state)
    raise MessageNotFound(f"the session has no message {asked.at!r}", param="at")


def _shown(whole: Whole, name: str, state: BranchState, *, is_head: bool) -> wire.Branch:
    return wire.Branch(
        name=name,
        head=whole.message(state.last),
        message_count=state.count,
        is_head=is_head,
        forked_at=whole.message(state.forked_at),
    )
