"""A page of a list."""

from hypothesis import given
from hypothesis import strategies as some

from rag_indexer.domain.paging import page

ITEMS = list("edcba")


def pages(limit: int, order: str) -> list[str]:
    """All of them, a page after the other."""
    found: list[str] = []
    while True:
        shown, has_more = page(
            ITEMS,
            str,
            limit=limit,
            order="asc" if order == "asc" else "desc",
            after=found[-1] if found else None,
        )
        found += shown
        if not has_more:
            return found


@given(some.integers(1, 7))
def test_pages_together_are_the_list_in_either_order(limit: int) -> None:
    assert pages(limit, "desc") == ITEMS
    assert pages(limit, "asc") == ITEMS[::-1]


def test_before_gives_what_comes_right_before() -> None:
    assert page(ITEMS, str, limit=2, order="asc", before="e") == (["c", "d"], True)
    assert page(ITEMS, str, limit=9, order="asc", before="c") == (["a", "b"], False)


def test_between_two_ends() -> None:
    assert page(ITEMS, str, limit=9, order="asc", after="a", before="d") == (["b", "c"], False)
    assert page(ITEMS, str, limit=1, order="asc", after="a", before="d") == (["b"], True)


def test_an_unknown_end_is_as_none() -> None:
    assert page(ITEMS, str, limit=9, order="desc", after="x", before="y") == (ITEMS, False)
    assert page([], str, limit=9, order="desc") == ([], False)
