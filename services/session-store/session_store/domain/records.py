"""What the store keeps of a session, as values. Times are whole microseconds since 1970, UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sage_contracts.errors import InvalidRequest
from sage_contracts.names import MAIN_BRANCH, is_id
from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain import ranges as within
from session_store.domain.ranges import Ranges

MICROS = 1_000_000
"""Microseconds in a second."""

Outcome = Literal["opened", "replayed", "stored", "repeated", "lost", "abandoned", "refused", "unavailable"]
RemovalReason = Literal["deleted", "idle", "expired"]


@dataclass(frozen=True, slots=True)
class SessionKey:
    """A session is always asked for together with its owner: somebody else's does not exist."""

    owner: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    A session without its messages.

    `title` is what a person gave it, `auto_title` what was taken from its first question; either may be empty.
    `active_us` grows with every turn, also where two turns carry the same time.
    """

    session_id: str
    created_us: int
    active_us: int
    title: str = ""
    auto_title: str = ""
    message_count: int = 0
    dialog_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """
    `fixed_from` and `fixed_count` say which of the messages are instructions in force from now on, none if the count is
    0; `instructions` counts all of them. `interrupted`: the answer was cut short.
    """

    turn_id: str
    messages: Sequence[Message]
    now_us: int
    auto_title: str = ""
    dialogs: int = 0
    instructions: int = 0
    fixed_from: int = 0
    fixed_count: int = 0
    interrupted: bool = False


class Place(NamedTuple):
    """Where a session stands in the list of its owner's: by last activity, then by id."""

    active_us: int
    session_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Sessions newest first, each with its place; `next` is the place to go on from, None at the end of the list."""

    entries: Sequence[tuple[Place, Record]]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Window:
    """
    The newest messages of a branch (`tail`) and, wherever they stand, the instructions in force (`fixed`).

    `total` counts all its messages, `instructions` those among them that are instructions. `ranges` is where in the
    session's log the whole branch lies, `choice` the memory its session has chosen. Among the messages may be some that
    are never told: see `spoken`.
    """

    total: int
    instructions: int
    fixed: Sequence[Message]
    tail: Sequence[Message]
    branch: str = MAIN_BRANCH
    ranges: Ranges = ()
    choice: MemoryChoice | None = None

    @property
    def positions(self) -> list[int]:
        """Where each message of `tail` stands."""
        return within.newest(self.ranges, len(self.tail))


class Placed(NamedTuple):
    """A message and where in the session's log it stands."""

    position: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    What a turn that is opened asks of memory. `budget_tokens` absent: the engine's window is not known.

    `has_instructions`: its request brings its own, so that those stored take nothing of the budget.
    """

    key: SessionKey
    window: Window
    question: str = ""
    budget_tokens: int | None = None
    model: str | None = None
    has_instructions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """
    A turn that was stored: what may be remembered of it, in the session that began at `created_us` alone. Absent, that
    is whichever there is. `begins` is the position of the first message its engine was told, where the window was full.
    """

    key: SessionKey
    branch: str
    messages: Sequence[Placed]
    created_us: int | None = None
    choice: MemoryChoice | None = None
    begins: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    sessions: int
    messages: int


def cursor_of(place: Place) -> str:
    return f"{place.active_us}_{place.session_id}"


def place_of(cursor: str) -> Place:
    """The place that `cursor_of` wrote; InvalidRequest when it did not."""
    active, _, session_id = cursor.partition("_")
    if not (active.isascii() and active.isdecimal() and len(active) <= 16 and is_id(session_id)):
        raise InvalidRequest("after is not the `next` of a page", param="after")
    return Place(int(active), session_id)
