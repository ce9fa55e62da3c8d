"""A log that is followed by asking for its end again and again."""

from collections.abc import Sequence


def fresh(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """
    The lines of a log's end, `now`, that were written after its end was `before`; each is the whole log or a window.

    Where lines repeat, the least that can have been written is taken; where nothing of `before` is left, all of `now`.
    """
    if list(now[: len(before)]) == list(before):
        return now[len(before) :]
    for shared in range(min(len(before), len(now)), 0, -1):
        if list(before[-shared:]) == list(now[:shared]):
            return now[shared:]
    return now
