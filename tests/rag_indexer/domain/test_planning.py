"""What a build has to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_indexer.domain.manifest import FileState
from rag_indexer.domain.planning import Plan, plan


def state(content: str, chunks: int = 1) -> FileState:
    return FileState(hash=content, size=1, chunks=chunks)


EMPTY = Plan(kept=[], added=[], changed=[], moved=[], removed=[])


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({}, {}, EMPTY),
        ({}, {"b.md": "1", "a.md": "2"}, Plan([], ["a.md", "b.md"], [], [], [])),
        ({"a.md": "1"}, {"a.md": "1"}, Plan(["a.md"], [], [], [], [])),
        ({"a.md": "1"}, {"a.md": "2"}, Plan([], [], ["a.md"], [], [])),
        ({"a.md": "1", "b.md": "2"}, {}, Plan([], [], [], [], ["a.md", "b.md"])),
        ({"a.md": "1"}, {"b.md": "1"}, Plan([], [], [], [("a.md", "b.md")], [])),
        ({"a.md": "1"}, {"a.md": "2", "b.md": "1"}, Plan([], ["b.md"], ["a.md"], [], [])),
        ({"a.md": "1"}, {"b.txt": "1"}, Plan([], ["b.txt"], [], [], ["a.md"])),
        ({"a.md": "1", "b.md": "1"}, {"c.md": "1"}, Plan([], [], [], [("a.md", "c.md")], ["b.md"])),
        ({"a.md": "1"}, {"b.md": "1", "c.md": "1"}, Plan([], ["c.md"], [], [("a.md", "b.md")], [])),
    ],
)
def test_files_are_compared_by_path_and_content(before: dict[str, str], now: dict[str, str], expected: Plan) -> None:
    assert plan({path: state(content) for path, content in before.items()}, now) == expected


def test_a_file_without_passages_has_nothing_to_move() -> None:
    assert plan({"a.md": state("1", chunks=0)}, {"b.md": "1"}) == Plan([], ["b.md"], [], [], ["a.md"])


FOLDERS = st.dictionaries(st.sampled_from(["a.md", "b.md", "c.md", "d.txt", "e.txt"]), st.sampled_from("123"))


@given(FOLDERS, FOLDERS)
def test_doing_what_the_plan_says_gives_the_folder_of_now(before: dict[str, str], now: dict[str, str]) -> None:
    made = plan({path: state(content) for path, content in before.items()}, now)
    after = {path: before[path] for path in made.kept}
    after |= {target: before[source] for source, target in made.moved}
    after |= {path: now[path] for path in made.read}

    assert after == now
    assert sorted([*made.removed, *(source for source, _ in made.moved)]) == sorted(before.keys() - now.keys())
    assert made.changes_nothing == (before == now)
