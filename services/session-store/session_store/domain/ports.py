"""What the domain needs from outside: a place for sessions, a memory, a clock, ids, a tally."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sage_contracts.memory import MemoryItem, MemoryUse, NewFact
from sage_contracts.sessions import Backend, MemoryChoice, Message
from sage_contracts.turns import MemoryHit
from session_store.domain.branches import Forked, NewBranch, Reading, Whole
from session_store.domain.openings import CommitOutcome, Held, Opening
from session_store.domain.openings import Outcome as OpenOutcome
from session_store.domain.ranges import Ranges
from session_store.domain.records import (
    Asked,
    Committed,
    NewTurn,
    Outcome,
    Page,
    Place,
    Record,
    RemovalReason,
    SessionKey,
    Totals,
    Window,
)

MemoryWork = Literal["remember", "recall", "summarise", "extract"]
WorkOutcome = Literal["done", "failed", "dropped"]

Clock = Callable[[], float]
"""Seconds since 1970."""

Ids = Callable[[], str]
"""Each call answers another id."""


class StoredSessions(Protocol):
    """
    Where sessions are kept.

    Every method raises StoreUnavailable, within two seconds, when the place cannot be reached. Nothing is ever half
    done: a session's messages, counts and times change together, and it expires as a whole.
    """

    async def create(self, key: SessionKey, *, title: str, now_us: int, choice: MemoryChoice | None = None) -> bool:
        """Begin an empty session; False when there is one already, which is left as it is."""
        ...

    async def read(self, key: SessionKey, branch: str | None = None) -> Reading | None:
        """The branch, absent the head, as it is at one moment."""
        ...

    async def head(self, key: SessionKey) -> Reading | None:
        """The head branch without its messages."""
        ...

    async def whole(self, key: SessionKey) -> Whole | None: ...

    async def put(self, key: SessionKey, new: Whole) -> bool:
        """Store a session as it is told, its times too; False when there is one already."""
        ...

    async def fork(self, key: SessionKey, new: NewBranch) -> Forked: ...

    async def select(self, key: SessionKey, branch: str, *, now_us: int) -> Literal["selected", "missing", "no_branch"]:
        """Make it the head."""
        ...

    async def clear(self, key: SessionKey, *, now_us: int) -> bool:
        """Forget messages and automatic title, keep the session; False when there is none."""
        ...

    async def retitle(self, key: SessionKey, title: str) -> bool:
        """False when there is no such session. A new title is no activity: place and expiry stay."""
        ...

    async def entitle(self, key: SessionKey, of: Record, title: str) -> bool:
        """
        Put `title` in the place of the automatic title of `of`; a person's own stays before it.

        False when the session is gone, cleared, or another one, and when its automatic title has changed meanwhile.
        """
        ...

    async def delete(self, key: SessionKey) -> dict[str, int] | None:
        """Leave nothing of the session; how much there was of each kind, None when there was no such session."""
        ...

    async def page(self, owner: str, *, after: Place | None, count: int, now_us: int) -> Page:
        """
        The next sessions of `owner` behind `after`, at least one and at most `count` of them looked at.

        A page may hold fewer sessions than were looked at: those that have expired are passed over.
        """
        ...

    async def holding(self, keys: Sequence[SessionKey], words: str) -> set[SessionKey]:
        """Those of the sessions in which some message's text holds `words`, which are casefolded, in any case."""
        ...

    async def remove_idle(self, owner: str, *, until_us: int, now_us: int, at_most: int | None = None) -> int:
        """
        Remove sessions without activity since `until_us` and without a turn under way, the oldest first; how many.

        `at_most` so many are looked at.
        """
        ...

    async def totals(self, owner: str) -> Totals: ...


class StoredTurns(Protocol):
    """
    Where turns are kept while they are under way, and put into their sessions. Raises as StoredSessions does.

    One turn is under way on a branch. Each change is one step, the same whichever replica makes it.
    """

    async def open(self, key: SessionKey, opening: Opening) -> OpenOutcome:
        """
        Begin the turn, with the session if it does not exist.

        A turn whose lease ran out gives way: what it asked is put into the log first. The same turn, interrupted or
        never answered, and still the last of its branch, is taken back first.
        """
        ...

    async def leave(self, key: SessionKey, opening: Opening, branch: str) -> None:
        """Give up a place in the line of `branch`, or the turn, if this opener has one."""
        ...

    async def renew(self, key: SessionKey, held: Held, *, until_us: int) -> Literal["renewed", "missing", "lost"]: ...

    async def commit(self, key: SessionKey, held: Held, turn: NewTurn) -> CommitOutcome:
        """Put the turn's messages behind the branch's others, all or none, once."""
        ...

    async def abandon(self, key: SessionKey, held: Held) -> bool:
        """False when it is not under way. A session or a branch that began with it and has nothing else is removed."""
        ...

    async def window(self, key: SessionKey, *, newest: int, branch: str | None = None) -> Window:
        """
        The `newest` last messages of a branch and the instructions in force; of what does not exist, none.

        Fewer, but one at least, where they are so long that all could not be read in time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """
    What a memory tells the engine: the newest messages, oldest first, and hits of what lies further back, best first.

    `dropped` counts what was said and is left out; replaced instructions are not. `begins` is the position of the first
    message that is told, where the window is full. `notice` is what keeps the memory from working as it should, for
    people to read.
    """

    messages: Sequence[Message]
    dropped: int
    tokens: int
    hits: Sequence[MemoryHit] = ()
    hit_tokens: int = 0
    begins: int | None = None
    notice: str | None = None


Further = Callable[[int], Awaitable[Window]]
"""Reads so many of the newest messages of the branch that a turn was opened on."""


class Memory(Protocol):
    """
    One way to remember a conversation beside its messages, and to choose what of it the engine is told.

    Each tells the newest window. What is remembered beyond it lies in parts of the session, which are cleared, deleted
    and counted with it and expire with it (`redis_keys.PARTS`), or elsewhere: then `erase` forgets it.
    """

    @property
    def backend(self) -> Backend: ...

    @property
    def max_dialogs(self) -> int: ...

    async def recall(self, asked: Asked, further: Further) -> Recalled:
        """Raises StoreUnavailable when the store is away; without another service it tells the window alone."""
        ...

    async def remember(self, committed: Committed) -> None:
        """Called once for each turn, in the background; what it raises is logged, and makes no commit fail."""
        ...

    async def items(self, key: SessionKey, ranges: Ranges) -> list[MemoryItem]:
        """What is remembered of the branch that lies at `ranges`, newest first."""
        ...

    async def forget(self, key: SessionKey, item_id: str) -> bool:
        """False when there is no such item."""
        ...

    async def erase(self, key: SessionKey) -> dict[str, int]:
        """
        Leave nothing of the session outside its own parts; how much there was, by kind.

        Raises SageError when what it needs is away: it is then asked again later.
        """
        ...

    async def put(self, key: SessionKey, facts: Sequence[NewFact]) -> list[MemoryItem]:
        """
        Remember what a person has written. InvalidRequest where this memory keeps no facts, SessionNotFound where there
        is no such session any more.
        """
        ...

    def notice(self) -> str | None:
        """What keeps it from working as it should now, for people to read."""
        ...

    def use(self, dialog_count: int, choice: MemoryChoice | None = None) -> MemoryUse:
        """How full the memory of a session with so many dialogs is."""
        ...

    def settings(self) -> dict[str, Any]:
        """How it is set up, for people to read."""
        ...


class OwedErasures(Protocol):
    """Sessions whose memories are still to be erased elsewhere. Raises StoreUnavailable as StoredSessions does."""

    async def add(self, keys: Sequence[SessionKey]) -> None: ...

    async def some(self, count: int) -> list[SessionKey]:
        """Any of them, at most so many."""
        ...

    async def remove(self, keys: Sequence[SessionKey]) -> None: ...


class Scribe(Protocol):
    """An engine that writes for the store: titles, summaries, what is to be remembered."""

    async def write(self, instructions: str, text: str, *, max_tokens: int) -> str:
        """What it answers. Raises SageError when it cannot be asked, or has not answered within a minute."""
        ...


class Tokenizers(Protocol):
    """The tokenizers of models, where they are here."""

    async def counter(self, model: str | None) -> Callable[[str], int] | None:
        """What counts the tokens of a text for this model; None where there is none, or it cannot be read."""
        ...

    def models(self) -> list[str]: ...


class Tally(Protocol):
    """Counts what happened, by names from closed sets."""

    def turn(self, outcome: Outcome) -> None: ...
    def context(self, *, kept: int, dropped: int) -> None: ...
    def removed(self, reason: RemovalReason, count: int = 1) -> None: ...
    def memory(self, work: MemoryWork, outcome: WorkOutcome) -> None: ...
