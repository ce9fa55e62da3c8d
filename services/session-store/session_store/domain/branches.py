"""A branch of a session: which messages it has, and what counts of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sage_contracts.sessions import Message
from session_store.domain import ranges as within
from session_store.domain.ranges import Range, Ranges

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
