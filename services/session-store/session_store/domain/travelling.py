"""A session made into one that travels, and one that has travelled made into one that is stored."""

from collections.abc import Sequence
from dataclasses import replace

from session_store.domain import ranges as within
from session_store.domain.branches import BranchState, Whole, over
from session_store.domain.ranges import Range, Ranges
from session_store.domain.records import Record
from session_store.domain.transfers.conversations import Conversation


def travelling(whole: Whole, session_id: str) -> Conversation:
    """Its log holds only what some branch does, numbered from 0."""
    kept = sorted({position for state in whole.branches.values() for position in within.positions(state.ranges)})
    renumbered = {position: number for number, position in enumerate(kept)}
    return Conversation(
        session_id=session_id,
        log=[whole.at(position) for position in kept],
        branches={
            name: _ranges([renumbered[position] for position in within.positions(state.ranges)])
            for name, state in whole.branches.items()
        },
        head=whole.head,
        title=whole.record.title,
        auto_title=whole.record.auto_title,
        created_us=whole.record.created_us,
        active_us=whole.record.active_us,
        memory=whole.choice,
    )


def arrived(conversation: Conversation) -> Whole:
    record = Record(
        session_id=conversation.session_id,
        created_us=conversation.created_us,
        active_us=conversation.active_us,
        title=conversation.title,
        auto_title=conversation.auto_title,
    )
    bare = Whole(record=record, log=conversation.log, branches={}, choice=conversation.memory)
    shown = set(within.positions(conversation.branches[conversation.head]))
    branches = {
        name: replace(
            over(bare, part, BranchState()), forked_at=None if name == conversation.head else _last(part, shown)
        )
        for name, part in conversation.branches.items()
    }
    head = branches[conversation.head]
    counted = Record(
        session_id=record.session_id,
        created_us=record.created_us,
        active_us=record.active_us,
        title=record.title,
        auto_title=record.auto_title,
        message_count=head.count,
        dialog_count=head.dialogs,
    )
    return Whole(
        record=counted,
        log=conversation.log,
        branches=branches,
        head=conversation.head,
        choice=conversation.memory,
    )


def _last(part: Ranges, shared: set[int]) -> int | None:
    """The last of these positions that is shared."""
    return next((position for position in reversed(within.positions(part)) if position in shared), None)


def _ranges(positions: Sequence[int]) -> Ranges:
    found: Ranges = ()
    for position in positions:
        found = within.joined(found, Range(position, position + 1))
    return found
