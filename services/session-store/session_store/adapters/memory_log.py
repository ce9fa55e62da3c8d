"""A session in this process: its log of messages, its branches, and the turns under way on them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain import ranges as within
from session_store.domain.branches import BranchState, Reading, UnderWay, Whole
from session_store.domain.openings import REMEMBERED_TURNS, Opening
from session_store.domain.ranges import Range
from session_store.domain.records import NewTurn, Record, Window
from session_store.domain.texts import text_of


@dataclass(frozen=True, slots=True)
class KnownTurn:
    """`told` is `done`, `interrupted` or `unanswered`."""

    part: Range
    count: int
    told: str
    digest: str | None
    branch: str


@dataclass(frozen=True, slots=True)
class Undone:
    """A turn that was cut short and is opened anew: what was known of it, and its branch with and without it."""

    known: KnownTurn
    state: BranchState
    before: BranchState


@dataclass(slots=True)
class HeldTurn:
    opening: Opening
    token: int
    until_us: int
    began: bool
    forked: bool
    undone: Undone | None = None


@dataclass(slots=True)
class Log:
    """`undo` is, by branch, the turn that was cut short there last, and how the branch stood before it."""

    record: Record
    expires: float
    choice: MemoryChoice | None = None
    base: int = 0
    messages: list[Message] = field(default_factory=list)
    branches: dict[str, BranchState] = field(default_factory=dict)
    head: str = MAIN_BRANCH
    known: dict[str, KnownTurn] = field(default_factory=dict)
    undo: dict[str, tuple[str, BranchState]] = field(default_factory=dict)
    held: dict[str, HeldTurn] = field(default_factory=dict)
    waiting: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    tokens: int = 0
    tickets: int = 0
    forks: int = 0

    def branch(self, name: str) -> BranchState | None:
        return self.branches.get(name, BranchState() if name == MAIN_BRANCH else None)

    def save(self, name: str, state: BranchState) -> None:
        self.branches[name] = state
        if name == self.head:
            self.record = replace(self.record, message_count=state.count, dialog_count=state.dialogs)

    def at(self, positions: Sequence[int]) -> list[Message]:
        return [self.messages[position - self.base] for position in positions]

    def of(self, state: BranchState) -> list[Message]:
        return self.at(within.positions(state.ranges))

    def append(self, name: str, turn: NewTurn) -> Range:
        state = self.branch(name) or BranchState()
        first = self.base + len(self.messages)
        self.messages += turn.messages
        part = Range(first, first + len(turn.messages))
        fixed = Range(first + turn.fixed_from, first + turn.fixed_from + turn.fixed_count)
        self.save(
            name,
            replace(
                state,
                ranges=within.joined(state.ranges, part),
                dialogs=state.dialogs + turn.dialogs,
                untold=state.untold + turn.instructions,
                fixed=fixed if turn.fixed_count else state.fixed,
            ),
        )
        if turn.auto_title and not self.record.auto_title:
            self.record = replace(self.record, auto_title=turn.auto_title)
        return part

    def learn(self, name: str, turn_id: str, part: Range, told: str, digest: str | None) -> None:
        state = self.branch(name) or BranchState()
        self.known[turn_id] = KnownTurn(part, state.count, told, digest, name)
        if len(self.known) > REMEMBERED_TURNS * 1.1:
            for old in list(self.known)[:-REMEMBERED_TURNS]:
                del self.known[old]

    def window(self, name: str, newest: int) -> Window:
        state = self.branch(name) or BranchState()
        return Window(
            state.count,
            state.untold,
            self.at(range(*state.fixed)),
            self.at(within.newest(state.ranges, newest)),
            branch=name,
            ranges=state.ranges,
            choice=self.choice,
        )

    def put_back(self, name: str, held: HeldTurn) -> bool:
        """What was undone, if it is not answered this time either."""
        if (undone := held.undone) is None:
            return False
        self.save(name, undone.state)
        self.known[held.opening.turn_id] = undone.known
        self.undo[name] = (held.opening.turn_id, undone.before)
        return True

    def clear(self) -> None:
        self.base += len(self.messages)
        self.messages.clear()
        self.branches.clear()
        self.undo.clear()
        self.held.clear()
        self.head = MAIN_BRANCH
        self.record = replace(self.record, auto_title="", message_count=0, dialog_count=0)

    def reading(self, name: str) -> Reading:
        state = self.branch(name)
        return Reading(
            record=self.record,
            branch=name,
            state=state,
            messages=[] if state is None else self.of(state),
            branches=self.branches or {MAIN_BRANCH: BranchState()},
            head=self.head,
            under_way=self.under_way(),
            choice=self.choice,
        )

    def whole(self) -> Whole:
        branches = {MAIN_BRANCH: BranchState()} | self.branches
        return Whole(
            record=self.record,
            log=list(self.messages),
            branches=branches,
            base=self.base,
            head=self.head,
            choice=self.choice,
        )

    def free_name(self) -> str:
        self.forks += 1
        while f"fork-{self.forks}" in self.branches:
            self.forks += 1
        return f"fork-{self.forks}"

    def counts(self) -> dict[str, int]:
        return {
            "messages": len(self.messages),
            "branches": max(1, len(self.branches)),
            "turns": len(self.known),
            "locks": len(self.held) + len(self.waiting),
            "facts": 0,
            "relations": 0,
            "summaries": 0,
        }

    def holds(self, words: str) -> bool:
        said = [message for state in self.branches.values() for message in self.of(state)]
        return any(words in text_of(message.content).casefold() for message in said)

    def under_way(self) -> list[UnderWay]:
        return [
            UnderWay(name, held.opening.turn_id, held.opening.now_us, held.opening.messages)
            for name, held in self.held.items()
        ]

    def held_branch(self, turn_id: str) -> str | None:
        return next((name for name, held in self.held.items() if held.opening.turn_id == turn_id), None)
