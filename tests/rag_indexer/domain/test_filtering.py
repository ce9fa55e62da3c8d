"""The filters of a request, checked and in our own words."""

import pytest

from rag_indexer.domain.documents import EVERYTHING, Filters
from rag_indexer.domain.filtering import MAX_VALUES, chosen
from sage_contracts.errors import InvalidRequest

NEW_YEAR = 1767225600.0


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, EVERYTHING),
        ({}, EVERYTHING),
        ({"path_prefix": ""}, EVERYTHING),
        ({"path_prefix": None, "type": None, "modified_after": None, "meta": None}, EVERYTHING),
        ({"path_prefix": "guide/"}, Filters(path_prefix="guide/")),
        ({"type": "pdf"}, Filters(types=("pdf",))),
        ({"type": ["pdf", "html"]}, Filters(types=("pdf", "html"))),
        ({"modified_after": "2026-01-01"}, Filters(modified_after=NEW_YEAR)),
        ({"modified_before": "2026-01-01T01:00:00+01:00"}, Filters(modified_before=NEW_YEAR)),
        ({"modified_before": "2026-01-01T00:00:00Z"}, Filters(modified_before=NEW_YEAR)),
        (
            {"meta": {"team": "search", "draft": False, "level": [1, 2.5]}},
            Filters(meta={"team": ("search",), "draft": (False,), "level": (1, 2.5)}),
        ),
    ],
)
def test_filters_are_read(filters: dict[str, object] | None, expected: Filters) -> None:
    assert chosen(filters) == expected


@pytest.mark.parametrize(
    ("filters", "param"),
    [
        ({"owner": "me"}, "filters"),
        ({"path_prefix": 1}, "filters.path_prefix"),
        ({"type": 7}, "filters.type"),
        ({"type": []}, "filters.type"),
        ({"type": ["pdf", 1]}, "filters.type"),
        ({"type": "md"}, "filters.type"),
        ({"type": ["pdf", "PDF"]}, "filters.type"),
        ({"type": ["pdf"] * (MAX_VALUES + 1)}, "filters.type"),
        ({"modified_after": 12}, "filters.modified_after"),
        ({"modified_after": "yesterday"}, "filters.modified_after"),
        ({"modified_before": ""}, "filters.modified_before"),
        ({"meta": ["team"]}, "filters.meta"),
        ({"meta": {"": "x"}}, "filters.meta"),
        ({"meta": {"team": None}}, "filters.meta.team"),
        ({"meta": {"team": []}}, "filters.meta.team"),
        ({"meta": {"team": {"name": "x"}}}, "filters.meta.team"),
        ({"meta": {"team": [["x"]]}}, "filters.meta.team"),
    ],
)
def test_a_wrong_filter_is_named(filters: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        chosen(filters)

    assert raised.value.param == param
