"""What becomes of a turn that is to be opened."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sage_contracts.sessions import MemoryChoice, Message
from sage_contracts.turns import OnConflict
from session_store.domain.records import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """
    A turn to be opened. `messages` are what is asked, as they are kept if nobody ever answers them.

    `opener` is unique for each call: a waiter keeps its place in the line by it. `newest` is how many messages of the
    branch to read. `branch` absent means the head.
    """

    turn_id: str
    opener: str
    messages: Sequence[Message]
    now_us: int
    lease_us: int
    newest: int
    auto_title: str = ""
    digest: str | None = None
    on_conflict: OnConflict = "queue"
    branch: str | None = None

    def at(self, now_us: int) -> "Opening":
        """The same, tried again later."""
        return replace(self, now_us=now_us)


@dataclass(frozen=True, slots=True)
class Opened:
    token: int
    window: Window


@dataclass(frozen=True, slots=True)
class Busy:
    """
    Another turn is under way, or due, or this one itself (`is_itself`), opened by somebody else.

    Without `reject` the opener has a place in the line, with so many `ahead` of it, for as long as it asks again within
    `SEEN_WITHIN_US`. `turn_id` and `since_us` are of the turn under way; empty and 0 when there is none just now.
    """

    branch: str
    turn_id: str
    since_us: int
    ahead: int
    is_itself: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The turn was answered before: its messages."""

    branch: str
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Refused:
    """
    `reused`: the turn's id has another digest. `cleared`: what the turn said was cleared. `moved`: it was cut short,
    and its branch has gone on. `no_branch`: there is no such branch. `too_many`: the session can have no more branches.
    """

    why: Literal["reused", "cleared", "moved", "no_branch", "too_many"]


Outcome = Opened | Busy | Answered | Refused

SEEN_WITHIN_US = 3_000_000
"""A waiter that has not asked again within this has left the line."""

BRANCHES_AT_MOST = 100
REMEMBERED_TURNS = 1_000
"""Turns of a session that are known as such when they are repeated, at least; a tenth more at most."""


@dataclass(frozen=True, slots=True)
class Held:
    """The turn meant by a renewal, a commit or an abandonment."""

    turn_id: str
    token: int
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """
    `message_count` is that of the branch right after the turn, whose first message stands at `first`. `messages` are as
    they are stored: none where they were cleared. `created_us` is when the session began.
    """

    message_count: int
    first: int
    repeated: bool
    messages: Sequence[Message]
    created_us: int
    choice: MemoryChoice | None = None


CommitOutcome = Stored | Literal["missing", "lost"]
