"""What sessions are, in few words and without a store: the stateful test holds both adapters against it."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import Role

LEASE = 15.0

Expected = Literal["opened", "busy", "answered", "reused", "cleared", "moved", "no_branch"]


@dataclass(frozen=True)
class Said:
    role: Role
    text: str
    turn: str
    answered: bool = True


@dataclass(frozen=True)
class Under:
    """A turn under way."""

    turn: str
    digest: str | None
    asked: tuple[Said, ...]
    token: int
    until: float
    began: bool
    forked_from: int | None = None
    undone: "tuple[Known, tuple[Said, ...]] | None" = None
    """The turn as it was cut short before, and its branch with it: there again if it is not answered now either."""


@dataclass(frozen=True)
class Known:
    digest: str | None
    branch: str
    told: Literal["done", "interrupted", "unanswered"]
    said: tuple[Said, ...]
    count: int
    is_cleared: bool = False


@dataclass
class Modelled:
    created: float
    active: float
    title: str = ""
    auto_title: str = ""
    branches: dict[str, tuple[Said, ...]] = field(default_factory=lambda: {MAIN_BRANCH: ()})
    head: str = MAIN_BRANCH
    under: dict[str, Under] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    undo: dict[str, str] = field(default_factory=dict)
    """By branch, the turn that was cut short there and has not been gone on from."""

    forks: int = 0
    ever: int = 0
    """How many messages it ever took."""

    @property
    def shown(self) -> tuple[Said, ...]:
        return self.branches[self.head]

    def context(self, branch: str, max_dialogs: int) -> list[str]:
        """The instructions in force, then the last dialogs: everything fits the budget."""
        said = [one for one in self.branches[branch] if one.answered]
        words = [one for one in said if one.role != "system"]
        starts = [index for index, one in enumerate(words) if one.role == "user"][-max_dialogs:]
        return [*_in_force(said), *(one.text for one in (words[starts[0] :] if starts else ()))]

    def opening(self, turn: str, digest: str | None, branch: str | None, mode: str, now: float) -> tuple[Expected, str]:
        """What becomes of a turn that is to be opened, and on which branch."""
        name = next((at for at, under in self.under.items() if under.turn == turn), None) or branch or self.head
        if name not in self.branches:
            return "no_branch", name
        known = self.known.get(turn)
        if known is not None:
            name = known.branch
            if (refusal := self._refusal(known, turn, digest)) is not None:
                return refusal, name
        under = self.under.get(name)
        is_held = under is not None and under.until > now
        if known is not None and under is not None and under.turn != turn and under.undone is not None and not is_held:
            return "moved", name
        if under is not None and under.turn == turn:
            if under.digest != digest:
                return "reused", name
            return ("busy" if is_held and digest is not None else "opened"), name
        return ("busy" if is_held and mode != "fork" else "opened"), name

    def _refusal(self, known: Known, turn: str, digest: str | None) -> Expected | None:
        """Of a turn that is known; None when it is to be taken back."""
        if known.digest != digest:
            return "reused"
        if known.is_cleared:
            return "cleared"
        if known.told == "done":
            return "answered"
        return None if self.undo.get(known.branch) == turn else "moved"

    def open(self, new: Under, name: str, now: float) -> str:
        """Take it in, where `opening` says that it is opened; its branch."""
        known = self.known.pop(new.turn, None)
        under = self.under.get(name)
        if under is not None and under.turn != new.turn and under.until > now:
            said = self._before(name, known)
            self.forks += 1
            while f"fork-{self.forks}" in self.branches:
                self.forks += 1
            name = f"fork-{self.forks}"
            self.branches[name] = said
            self.under[name] = replace(new, forked_from=len(said))
        else:
            if known is not None:
                new = replace(new, undone=(known, self.branches[name]))
                self.branches[name] = self._before(name, known)
                del self.undo[name]
            if under is not None and under.turn == new.turn:
                new = replace(new, began=under.began, forked_from=under.forked_from, undone=under.undone)
            elif under is not None and not self._put_back(name, under):
                kept = self._keep_unanswered(name, under)
                if new.undone is not None:
                    cut, said = new.undone
                    new = replace(new, undone=(cut, said + kept))
            self.under[name] = new
        self._touch(now)
        return name

    def commit(self, name: str, said: tuple[Said, ...], now: float, *, interrupted: bool) -> int:
        under = self.under.pop(name)
        told: Literal["done", "interrupted"] = "interrupted" if interrupted else "done"
        self._append(name, said)
        self.known[under.turn] = Known(under.digest, name, told, said, len(self.branches[name]))
        self.undo.pop(name, None)
        if interrupted and under.digest is not None:
            self.undo[name] = under.turn
        self._touch(now)
        return len(self.branches[name])

    def abandon(self, name: str) -> bool:
        """Whether the session is gone with it."""
        under = self.under.pop(name)
        self._put_back(name, under)
        if under.began and not self.ever and not self.title and not self.under:
            return True
        if under.forked_from == len(self.branches[name]) and name != self.head:
            del self.branches[name]
        return False

    def fork(self, said: tuple[Said, ...], name: str | None, now: float, *, select: bool) -> str:
        if name is None:
            self.forks += 1
            while f"fork-{self.forks}" in self.branches:
                self.forks += 1
            name = f"fork-{self.forks}"
        self.branches[name] = said
        if select:
            self.head = name
        self._touch(now)
        return name

    def select(self, name: str, now: float) -> None:
        self.head = name
        self._touch(now)

    def clear(self, now: float) -> None:
        self.branches, self.head, self.under, self.undo, self.auto_title = {MAIN_BRANCH: ()}, MAIN_BRANCH, {}, {}, ""
        self.known = {turn: replace(known, is_cleared=True, count=0) for turn, known in self.known.items()}
        self._touch(now)

    def _before(self, name: str, known: Known | None) -> tuple[Said, ...]:
        """The branch without the turn that is taken back."""
        said = self.branches[name]
        if known is None:
            return said
        first = next(index for index in range(len(said), -1, -1) if said[index : index + len(known.said)] == known.said)
        return said[:first] + said[first + len(known.said) :]

    def _put_back(self, name: str, under: Under) -> bool:
        if under.undone is None:
            return False
        self.known[under.turn], self.branches[name] = under.undone
        self.undo[name] = under.turn
        return True

    def _keep_unanswered(self, name: str, under: Under) -> tuple[Said, ...]:
        kept = tuple(replace(one, answered=False) for one in under.asked)
        if kept:
            self._append(name, kept)
            self.known[under.turn] = Known(under.digest, name, "unanswered", kept, len(self.branches[name]))
            self.undo[name] = under.turn
        return kept

    def _append(self, name: str, said: tuple[Said, ...]) -> None:
        self.branches[name] += said
        self.ever += len(said)
        self.auto_title = self.auto_title or next((one.text for one in said if one.role == "user"), "")

    def _touch(self, now: float) -> None:
        self.active = now


def _in_force(said: list[Said]) -> list[str]:
    """The last instructions that stand together."""
    last = next((index for index in range(len(said) - 1, -1, -1) if said[index].role == "system"), None)
    if last is None:
        return []
    first = last
    while first and said[first - 1].role == "system" and said[first - 1].turn == said[last].turn:
        first -= 1
    return [one.text for one in said[first : last + 1]]
