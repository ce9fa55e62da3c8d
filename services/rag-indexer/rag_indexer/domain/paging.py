"""A page of a list, by the ids of its ends, as OpenAI's lists are read."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

T = TypeVar("T")


def page(
    newest_first: Sequence[T],
    key: Callable[[T], str],
    *,
    limit: int,
    order: Literal["asc", "desc"],
    after: str | None = None,
    before: str | None = None,
) -> tuple[list[T], bool]:
    """
    At most `limit` of them, and whether there are more in that direction. An unknown `after` or `before` is as none.

    `before` gives those right before it, in the same order.
    """
    items = list(newest_first) if order == "desc" else list(reversed(newest_first))
    places = {key(item): place for place, item in enumerate(items)}
    start = places[after] + 1 if after in places else 0
    end = places[before] if before in places else len(items)
    if before in places and after not in places:
        return items[max(0, end - limit) : end], end > limit
    return items[start:end][:limit], end - start > limit
