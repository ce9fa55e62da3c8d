"""Every line of a text stands in exactly one chunk, where the chunk says it does."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_indexer.adapters import file_formats
from rag_indexer.domain import blocks, markdown
from rag_indexer.domain.chunking import HALF_TOKENS, HARD_TOKENS, MAX_TOKENS, MIN_TOKENS, TINY_TOKENS, tokens
from rag_indexer.domain.documents import Document
from rag_indexer.domain.ports import Unreadable

PARAGRAPH = "A sentence of eight words stands in here. " * 12
"""About 125 tokens."""

PIECES = st.sampled_from(
    [
        "# Heading",
        "## Heading",
        "### Other",
        "Set\n---",
        "text",
        PARAGRAPH,
        PARAGRAPH + "\n" + PARAGRAPH,
        "",
        "   ",
        "\t",
        "- item\n- item\n\n  more",
        "1. one\n   - two\n     - three",
        "> quote\n> # in it",
        "```python\nx = 1\n\n# no heading\n```",
        "```\n" + "a line of code\n" * 300 + "```",
        "~~~",
        "```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "[ref]: http://example.com",
        "<div>\n\n</div>",
        "<!-- comment",
        "<!-- a whole\ncomment -->",
        "---",
        "title: x",
        "数据库连接池的配置。" * 60,
        "word " * 900,
        " " * 3_000 + "late",
        "x" * 4_000,
        "\u2028",
        "\x0c",
        "=====\nOver\n=====",
        "Under\n~~~~~",
        ".. a comment\n   of two lines",
        ".. code-block:: c\n\n   int x;\n\n   int y;",
        "literal::\n\n    kept\n\n    whole",
        "def f(x):\n    return x\n\n",
        "@decorated\nclass A(B):\n    # says\n    def g(self): ...\nx = 1",
        "export function go(a) {\n  if (a) {\n  }\n}",
        "}",
        'id,name\n1,"two\nlines"',
        '{"a": {"b": [1, {"c": 2}]}}',
        '{\n  "key": "value",\n  "list": [\n    {"x": 1}\n  ]\n}',
        '"',
        "[section]\nkey = 1",
    ]
)
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
TEXTS = st.one_of(ANY, st.lists(st.one_of(PIECES, ANY), max_size=12).map("\n".join))
PATHS = st.sampled_from(["a.md", "b/c.markdown", "d.txt", "f.py", "g.ts", "h.c", "i.csv", "j.json", "k.toml", "l.yaml"])


def read(path: str, text: str) -> Document:
    """A document without chunks where there is nothing to read."""
    try:
        return file_formats.read(path, text.encode())
    except Unreadable:
        return Document(path, ())


def lines_of(path: str, text: str) -> list[str]:
    lines = blocks.lines_of(text.removeprefix("\ufeff"))
    return markdown.without_comments(lines) if path.endswith((".md", ".markdown")) else lines


def long_lines(lines: Sequence[str]) -> set[int]:
    """Those that may be cut: their numbers."""
    return {number for number, line in enumerate(lines, start=1) if tokens(line) > MAX_TOKENS}


@settings(max_examples=100)
@given(path=PATHS, text=TEXTS)
def test_every_line_with_content_is_covered_once(path: str, text: str) -> None:
    lines = lines_of(path, text)
    ranges = [range(chunk.first_line, chunk.last_line + 1) for chunk in read(path, text).chunks]
    covered = Counter(line for one in ranges for line in one)

    for number, line in enumerate(lines, start=1):
        if line.strip():
            assert covered[number] == 1 or (covered[number] > 1 and number in long_lines(lines))


@settings(max_examples=100)
@given(path=PATHS, text=TEXTS)
def test_a_chunks_text_is_the_lines_it_names(path: str, text: str) -> None:
    lines = lines_of(path, text)
    parts: dict[int, list[str]] = {number: [] for number in long_lines(lines) if lines[number - 1].strip()}

    for chunk in read(path, text).chunks:
        named = lines[chunk.first_line - 1 : chunk.last_line]
        above = "".join(f"{line}\n" for line in named[:-1])
        if chunk.text == "\n".join(named):
            for number in parts.keys() & set(range(chunk.first_line, chunk.last_line + 1)):
                parts[number].append(lines[number - 1])
        else:
            assert chunk.text.startswith(above)
            parts[chunk.last_line].append(chunk.text.removeprefix(above))
    for number, found in parts.items():
        assert "".join(found).split() == lines[number - 1].split()


@settings(max_examples=100)
@given(path=PATHS, text=TEXTS)
def test_chunks_are_in_order_with_content_and_of_a_bounded_size(path: str, text: str) -> None:
    chunks = read(path, text).chunks

    assert [chunk.first_line for chunk in chunks] == sorted(chunk.first_line for chunk in chunks)
    assert all(chunk.text.strip() for chunk in chunks)
    assert all(tokens(chunk.text) <= HARD_TOKENS + MAX_TOKENS for chunk in chunks)


def test_chunks_know_the_headings_they_stand_under() -> None:
    text = f"# Guide\n{PARAGRAPH * 2}\n## Install\n{PARAGRAPH * 2}\n### Linux\n{PARAGRAPH * 2}\n## Use\n{PARAGRAPH * 2}"
    chunks = read("guide.md", text).chunks

    assert [(chunk.headings, chunk.anchor, chunk.first_line) for chunk in chunks] == [
        (("Guide",), "guide", 1),
        (("Guide", "Install"), "install", 3),
        (("Guide", "Install", "Linux"), "linux", 5),
        (("Guide", "Use"), "use", 7),
    ]


def test_comments_are_in_no_chunk_and_the_lines_after_them_keep_their_numbers() -> None:
    text = "# Settings\n\n<!-- table:\nmade -->\n| a |\n|---|\n| b |\n<!-- end -->\n"
    (chunk,) = read("a.md", text).chunks

    assert chunk.text == "# Settings\n\n\n\n| a |\n|---|\n| b |"
    assert (chunk.first_line, chunk.last_line) == (1, 7)
    assert read("a.md", "<!-- nothing else -->\n").chunks == ()
    assert read("a.md", "seen <!-- not\nseen --> here\n").chunks[0].text == "seen\nhere"


def test_small_sections_are_merged_under_the_first_ones_heading() -> None:
    text = "# Notes\n" + "".join(f"## Note {number}\nshort\n" for number in range(10))
    (chunk,) = read("notes.md", text).chunks

    assert (chunk.headings, chunk.first_line, chunk.last_line) == (("Notes", "Note 0"), 1, 21)


@pytest.mark.parametrize(
    ("before", "headings", "anchor"),
    [
        ("# Title\n\n", ("Title", "First"), "first"),
        ("---\ntitle: x\n---\n\n", ("First",), "first"),
        ("# Title\nA few words.\n\n", ("Title", "First"), "first"),
        (f"# Title\n{PARAGRAPH[:300]}\n\n", ("Title",), "title"),
    ],
)
def test_what_is_tiny_does_not_stand_alone_and_gives_no_name(
    before: str, headings: tuple[str, ...], anchor: str
) -> None:
    (chunk,) = read("a.md", f"{before}## First\n\n{PARAGRAPH}\n").chunks

    assert (chunk.first_line, chunk.headings, chunk.anchor) == (1, headings, anchor)


def test_a_short_end_joins_the_chunk_before_it() -> None:
    text = f"# Title\n{PARAGRAPH * 2}\n\n## Next\n{PARAGRAPH * 2}\n\n## End\nThanks."
    chunks = read("a.md", text).chunks

    assert [chunk.anchor for chunk in chunks] == ["title", "next"]


@pytest.mark.parametrize(("opener", "lines"), [("```\n", 80), ("| a |\n|---|\n", 80), ("```\n", 1_000)])
def test_a_fence_or_a_table_stays_whole_up_to_a_limit(opener: str, lines: int) -> None:
    body = "| 12345678901234567890123456789 |\n" * lines
    text = f"{PARAGRAPH}\n\n{opener}{body}" + ("```\n" if opener.startswith("`") else "")
    chunks = read("a.md", text).chunks

    assert any(body.rstrip("\n") in chunk.text for chunk in chunks) is (tokens(body) <= HARD_TOKENS)
    assert all(tokens(chunk.text) <= HARD_TOKENS + MAX_TOKENS for chunk in chunks)


def test_a_section_that_leads_out_of_the_one_before_it_begins_a_chunk_of_its_own() -> None:
    half = "A sentence of eight words stands in here. " * 11
    text = f"# Guide\n## One\n### Deep\n{half}\n## Two\n{half}"
    chunks = read("a.md", text).chunks

    assert HALF_TOKENS < tokens(half) < MIN_TOKENS
    assert [chunk.anchor for chunk in chunks] == ["deep", "two"]


def test_a_block_too_large_is_cut_where_its_paragraphs_begin() -> None:
    code = "\n\n".join(f"line {number} " + "of code " * 40 for number in range(20))
    chunks = read("a.md", f"```\n{code}\n```").chunks

    assert len(chunks) > 2
    assert all(chunk.text.startswith("line") for chunk in chunks[1:])


def test_a_long_text_falls_into_chunks_of_the_wanted_size() -> None:
    chunks = read("a.txt", "\n\n".join([PARAGRAPH] * 40)).chunks

    assert all(MIN_TOKENS <= tokens(chunk.text) <= MAX_TOKENS + 10 for chunk in chunks[:-1])


def test_a_line_of_megabytes_is_cut_into_parts_that_all_have_its_number() -> None:
    chunks = read("a.md", "start\n\n" + "word " * 400_000).chunks

    assert {(chunk.first_line, chunk.last_line) for chunk in chunks} == {(1, 3), (3, 3)}
    assert max(tokens(chunk.text) for chunk in chunks) <= MAX_TOKENS + TINY_TOKENS


def test_a_section_a_little_too_long_is_halved_and_leaves_no_crumb() -> None:
    paragraphs = "\n\n".join(["A sentence of eight words stands in here. " * 4] * 10)
    one, two = read("a.md", f"# Title\n\n{paragraphs}\n\n## Next\n\n{PARAGRAPH * 2}").chunks[:2]

    assert (one.anchor, two.anchor) == ("title", "title")
    assert abs(tokens(one.text) - tokens(two.text)) < 60


def test_a_line_a_little_too_long_is_halved_at_the_end_of_a_sentence() -> None:
    one, two = read("a.txt", "A sentence of eight words stands in here. " * 45).chunks

    assert one.text.endswith("here. ")
    assert abs(tokens(one.text) - tokens(two.text)) < 30


@pytest.mark.parametrize(
    ("path", "text", "title"),
    [
        ("a/b.md", "# The Heading\n", "The Heading"),
        ("a/b.md", "---\ntitle: Front\n---\n# Heading\n", "Front"),
        ("a/b.md", "no heading", ""),
        ("a/b.md", "#\n", ""),
        ("a/notes.txt", "# not markdown", ""),
    ],
)
def test_the_title_is_the_front_matters_or_the_first_heading_or_none(path: str, text: str, title: str) -> None:
    assert read(path, text).title == title


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_counts_them(newline: str) -> None:
    text = newline.join(["one", "", "two", "", "", "three"])
    (chunk,) = read("a.md", text).chunks

    assert (chunk.first_line, chunk.last_line, chunk.text) == (1, 6, "one\n\ntwo\n\n\nthree")
