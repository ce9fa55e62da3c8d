"""A session as it travels: a tree of messages and what belongs to it, whatever the format it is written in."""

from collections.abc import Container, Mapping, Sequence, Sized
from dataclasses import dataclass

from sage_contracts.names import MAIN_BRANCH
from sage_contracts.sessions import MemoryChoice, Message
from session_store.domain import ranges as within
from session_store.domain.memory.notes import Note, Shelf
from session_store.domain.openings import BRANCHES_AT_MOST
from session_store.domain.ranges import Range, Ranges
from session_store.domain.transfers.reading import wrong

MESSAGES_AT_MOST = 20_000
"""Of a conversation that is taken in; those of several branches count once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """
    `log` holds every message once, parents before children; a branch is where in it its messages lie.

    `title` is what a person gave it, `auto_title` what was taken from its first question. `session_id` is the one it
    had, empty where nobody says. `notes` are what is remembered of it, by shelf, with positions in this log; None where
    nobody says.
    """

    log: Sequence[Message]
    branches: Mapping[str, Ranges]
    created_us: int
    active_us: int
    head: str = MAIN_BRANCH
    title: str = ""
    auto_title: str = ""
    session_id: str = ""
    memory: MemoryChoice | None = None
    notes: Mapping[Shelf, Sequence[Note]] | None = None

    def messages(self, branch: str) -> list[Message]:
        return [self.log[position] for position in within.positions(self.branches[branch])]


@dataclass(frozen=True, slots=True)
class Node:
    """`place` says where in what was sent it stood, for whoever has to put it right."""

    message: Message
    parent: str | None
    place: str


def grown(
    nodes: Mapping[str, Node], tips: Mapping[str, str | None], head: str, place: str = ""
) -> tuple[list[Message], dict[str, Ranges]]:
    """
    The log and the branches of a tree, the head's messages first; what no branch holds is left out.

    `tips` are the branches' last messages. InvalidRequest names the place where a parent is missing or is a descendant,
    and `place` where there are more branches than a session can have.
    """
    if len(tips) > BRANCHES_AT_MOST:
        raise wrong(place, f"it has more than {BRANCHES_AT_MOST} branches")
    placed: dict[str, tuple[str, int]] = {}
    log: list[Message] = []
    branches: dict[str, Ranges] = {}
    for name in sorted(tips, key=lambda branch: branch != head):
        path, joins_at = _new_path(nodes, tips[name], placed)
        first = len(log)
        for node_id in path:
            placed[node_id] = name, len(log)
            log.append(nodes[node_id].message)
        shared: Ranges = ()
        if joins_at is not None:
            other, position = placed[joins_at]
            shared = within.before(branches[other], position + 1)
        branches[name] = within.joined(shared, Range(first, len(log)))
    return log, {name: branches[name] for name in tips}


def refuse_many(messages: Sized, place: str) -> None:
    """InvalidRequest where there are more than are taken in."""
    if len(messages) > MESSAGES_AT_MOST:
        raise wrong(place, f"Expected at most {MESSAGES_AT_MOST}")


def parents(conversation: Conversation) -> list[str | None]:
    """Of each message of the log, the id of the one before it, which is the same on all its branches."""
    found: dict[int, str | None] = {}
    for part in conversation.branches.values():
        before: str | None = None
        for position in within.positions(part):
            found[position] = before
            before = conversation.log[position].id
    return [found.get(position) for position in range(len(conversation.log))]


def tip(conversation: Conversation, branch: str) -> str | None:
    """The id of the branch's last message."""
    part = conversation.branches[branch]
    return conversation.log[part[-1].behind - 1].id if part else None


def _new_path(nodes: Mapping[str, Node], last: str | None, placed: Container[str]) -> tuple[list[str], str | None]:
    """What leads to `last` and is not placed yet, and the message, placed already, that it goes on from."""
    path: list[str] = []
    seen: set[str] = set()
    at, place = last, ""
    while at is not None and at not in placed:
        node = nodes.get(at)
        if node is None:
            raise wrong(place, f"there is no message {at!r}")
        if at in seen:
            raise wrong(place, "the parents go in a circle")
        seen.add(at)
        path.append(at)
        at, place = node.parent, node.place
    return path[::-1], at
