"""A branch of a session: which messages it has, and what counts of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain import ranges as within
from session_store.domain.instructions import instructs, is_unanswered
from session_store.domain.ranges import Range, Ranges
from session_store.domain.records import Record

NONE = Range(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchState:
    """
    `dialogs` counts its questions, `untold` the messages that are no part of what was said: instructions, and what was
    asked and never answered. `fixed` is where the instructions in force stand; `forked_at` the last message that it has
    from another branch, None for a branch that begins with the session.
    """

    ranges: Ranges = ()
    dialogs: int = 0
    untold: int = 0
    fixed: Range = NONE
    forked_at: int | None = None

    @property
    def count(self) -> int:
        return within.count(self.ranges)

    @property
    def last(self) -> int | None:
        return self.ranges[-1].behind - 1 if self.ranges else None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A turn that is open: what was asked in it, and since when."""

    branch: str
    turn_id: str
    since_us: int
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    A session with one of its branches: `messages` are those of `branch`, whose `state` is None where there is none of
    that name. `branches` are all that it has.
    """

    record: Record
    branch: str
    state: BranchState | None
    messages: Sequence[Message]
    branches: Mapping[str, BranchState]
    head: str = MAIN_BRANCH
    under_way: Sequence[UnderWay] = ()
    choice: MemoryChoice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A session with all it ever took and still has: the log's first message stands at position `base`."""

    record: Record
    log: Sequence[Message]
    branches: Mapping[str, BranchState]
    base: int = 0
    head: str = MAIN_BRANCH
    choice: MemoryChoice | None = None

    def at(self, position: int) -> Message:
        return self.log[position - self.base]

    def message(self, position: int | None) -> str | None:
        """The id of what stands there."""
        return None if position is None else self.at(position).id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBranch:
    """
    `name` absent: the next free `fork-<n>`. `of` is the session it was made from, so that it is not put into another
    one, or behind a clear.
    """

    state: BranchState
    of: Whole
    now_us: int
    name: str | None = None
    select: bool = False


def empty(record: Record, choice: MemoryChoice | None) -> Reading:
    """A session without messages."""
    state = BranchState()
    return Reading(
        record=record,
        branch=MAIN_BRANCH,
        state=state,
        messages=(),
        branches={MAIN_BRANCH: state},
        choice=choice,
    )


class Unforked(Enum):
    """
    Why a branch was not made. `CHANGED`: the session is no longer the one it was made from. `EXISTS`: it has one of
    that name.
    """

    MISSING = "missing"
    CHANGED = "changed"
    EXISTS = "exists"
    TOO_MANY = "too_many"


Forked = str | Unforked
"""The new branch's name, if it was made."""


def over(whole: Whole, positions: Ranges, source: BranchState) -> BranchState:
    """How a branch of these positions stands, which are the first ones of `source`."""
    messages = [whole.at(position) for position in within.positions(positions)]
    return BranchState(
        ranges=positions,
        dialogs=sum(message.role == "user" and not is_unanswered(message) for message in messages),
        untold=sum(instructs(message) or is_unanswered(message) for message in messages),
        fixed=_fixed(whole, positions, source),
        forked_at=positions[-1].behind - 1 if positions else None,
    )


def _fixed(whole: Whole, positions: Ranges, source: BranchState) -> Range:
    """The instructions that were in force there."""
    if source.fixed != NONE and within.holds(positions, source.fixed.behind - 1):
        return source.fixed
    last = NONE
    for position in reversed(within.positions(positions)):
        message = whole.at(position)
        stands = instructs(message) and not is_unanswered(message)
        if stands and last in {NONE, Range(position + 1, last.behind)}:
            last = Range(position, last.behind if last != NONE else position + 1)
        elif last != NONE:
            break
    return last
