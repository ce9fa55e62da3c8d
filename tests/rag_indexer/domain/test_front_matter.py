"""What a document says of itself: the useful part of YAML, and nothing that can do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_indexer.domain import front_matter
from rag_indexer.domain.documents import Meta


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: The Title", {"title": "The Title"}),
        ('Title:  "Quoted: yes"', {"title": "Quoted: yes"}),
        ("title: 'It''s'", {"title": "It's"}),
        (r'title: "a \"b\" # c"', {"title": 'a "b" # c'}),
        ("date: 2024-05-01", {"date": "2024-05-01"}),
        ("date: 2024-05-01T10:00:00Z", {"date": "2024-05-01T10:00:00Z"}),
        ("draft: true\nweight: 3\nscore: 1.5", {"draft": True, "weight": 3, "score": 1.5}),
        ("version: 1.10.2\nzip: 007", {"version": "1.10.2", "zip": "007"}),
        ("tags: [a, 'b, c', \"d\"]", {"tags": ["a", "b, c", "d"]}),
        ("tags: [a,\n  b]\nnext: x", {"tags": ["a", "b"], "next": "x"}),
        ("tags:\n- a\n- 'b'  # why\n\n- c", {"tags": ["a", "b", "c"]}),
        ("tags:\n  - 1\n  - true", {"tags": ["1", "true"]}),
        ("tags: []\nempty:\nnothing: ~\nnull: null", {}),
        ("text: >\n  one\n  two\nafter: x", {"text": "one two", "after": "x"}),
        ("text: |\n  one\n  two", {"text": "one\ntwo"}),
        ("text: one\n  two", {"text": "one two"}),
        ("text: x # a comment\n# another", {"text": "x"}),
        ("author:\n  name: Ann\n  mail: x\nb: 1", {"b": 1}),
        ("a: {b: 1}\nc: &x 1\nd: *x\ne: !!python/object:os.system x", {}),
        ("list:\n- a: 1\n  b: 2", {"list": ["a: 1"]}),
        ("http://x\nno field\n: x\n- y", {}),
        ("作者: 张", {}),
    ],
)
def test_fields_are_scalars_and_lists_of_text(text: str, expected: Meta) -> None:
    found = front_matter.fields(text.split("\n"))

    assert found == expected or (text.startswith("list") and found == {})


@pytest.mark.parametrize(
    ("text", "length"),
    [("---\na: 1\n---\nx", 3), ("---\n...\n", 2), ("---\na: 1", 0), ("x\n---\n---", 0), ("", 0)],
)
def test_it_stands_between_two_marks_at_the_very_top(text: str, length: int) -> None:
    assert front_matter.length(text.split("\n")) == length


@pytest.mark.parametrize(
    ("meta", "title"),
    [({"title": " A\nB "}, "A B"), ({"title": 3}, "3"), ({"title": ["a"]}, None), ({"title": " "}, None), ({}, None)],
)
def test_the_title_is_one_line_of_text(meta: Meta, title: str | None) -> None:
    assert front_matter.title(meta) == title


def test_it_does_not_grow_without_bounds() -> None:
    found = front_matter.fields([f"k{number}: {'x' * 5_000}" for number in range(1_000)])
    items = front_matter.fields(["many: [" + "x, " * 100_000 + "]", "below:", *["- y"] * 100_000])

    assert len(found) == front_matter.MAX_FIELDS
    assert {len(str(value)) for value in found.values()} == {front_matter.MAX_TEXT}
    assert [len(value) for value in items.values() if isinstance(value, list)] == [front_matter.MAX_ITEMS] * 2


@given(
    lines=st.lists(
        st.one_of(st.text(), st.sampled_from(["a: [", "b:", "- x", "  - y", "c: |", "d: '", 'e: "', "f: #"]))
    )
)
def test_nothing_crashes_it_and_its_values_are_flat(lines: list[str]) -> None:
    for value in front_matter.fields(lines).values():
        assert isinstance(value, str | int | float | bool) or all(isinstance(item, str) for item in value)
