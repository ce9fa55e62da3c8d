"""What a build has to do."""

import pytest

from rag_indexer.domain.planning import plan


@pytest.mark.parametrize(
    ("before", "now", "kept", "read", "removed"),
    [
        ({}, {}, "", "", ""),
        ({}, {"a": "1"}, "", "a", ""),
        ({"a": "1"}, {"a": "1"}, "a", "", ""),
        ({"a": "1"}, {"a": "2"}, "", "a", ""),
        ({"a": "1"}, {}, "", "", "a"),
        ({"a": "1", "b": "1", "c": "1"}, {"d": "1", "b": "2", "a": "1"}, "a", "bd", "c"),
    ],
)
def test_files_are_kept_read_or_removed(
    before: dict[str, str], now: dict[str, str], kept: str, read: str, removed: str
) -> None:
    found = plan(before, now)

    assert ("".join(found.kept), "".join(found.read), "".join(found.removed)) == (kept, read, removed)
    assert found.changes_nothing == (not read and not removed)
