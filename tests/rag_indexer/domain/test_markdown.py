"""How Markdown falls into blocks, and what its headings are called."""

import pytest

from rag_indexer.domain import markdown


def shape(text: str) -> list[tuple[int, int]]:
    return [(block.start, block.end) for block in markdown.blocks(text.split("\n"))]


def headings(text: str) -> list[tuple[int, str, str]]:
    found = [block.heading for block in markdown.blocks(text.split("\n")) if block.heading]
    return [(heading.level, heading.text, heading.anchor) for heading in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(0, 1)]),
        ("one\ntwo\n\nthree", [(0, 3), (3, 4)]),
        ("\n\nlate", [(0, 2), (2, 3)]),
        ("# A\ntext", [(0, 1), (1, 2)]),
        ("A\n===\ntext", [(0, 2), (2, 3)]),
        ("- a\n- b\n  more\n- c", [(0, 1), (1, 3), (3, 4)]),
        ("```\n# no heading\n\n```\nafter", [(0, 4), (4, 5)]),
        ("```\nnever closed\n\n# still inside", [(0, 4)]),
        ("| a |\n|---|\n| 1 |\n\nafter", [(0, 4), (4, 5)]),
        ("text\n\n[a]: http://x\n[b]: http://y\n\nmore", [(0, 5), (5, 6)]),
        ("> # quoted\n> text", [(0, 2)]),
    ],
)
def test_blocks_are_the_lines_between_their_starts(text: str, expected: list[tuple[int, int]]) -> None:
    assert shape(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Plain Title", (1, "Plain Title", "plain-title")),
        ("## `sage gateway` **start**", (2, "sage gateway start", "sage-gateway-start")),
        ("### What's new, in 1.2?", (3, "What's new, in 1.2?", "whats-new-in-12")),
        ("# Über_uns – 数据库", (1, "Über_uns – 数据库", "über_uns--数据库")),  # noqa: RUF001 - a dash of the test's
        ("# [A link](http://x) here", (1, "A link here", "a-link-here")),
        ("Set\nin two\n---", (2, "Set in two", "set-in-two")),
        ("#", (1, "", "")),
    ],
)
def test_an_anchor_is_the_one_that_github_makes(text: str, expected: tuple[int, str, str]) -> None:
    assert headings(text) == [expected]


def test_a_repeated_heading_has_a_numbered_anchor() -> None:
    assert [anchor for _, _, anchor in headings("# A\n# A\n# B\n# A")] == ["a", "a-1", "b", "a-2"]


def test_a_heading_in_a_fence_or_a_quote_is_none() -> None:
    assert headings("```\n# a\n```\n> # b\n\n- # c") == []


def test_front_matter_is_one_block_and_not_read_as_markdown() -> None:
    text = "---\ntitle: The Title\ntags:\n- a\n---\n# Heading\n"

    assert shape(text) == [(0, 5), (5, 7)]
    assert headings(text) == [(1, "Heading", "heading")]


def test_a_very_long_heading_is_cut_and_not_waited_for() -> None:
    (heading,) = headings("# " + "[" * 100_000)

    assert len(heading[1]) == markdown.MAX_HEADING


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n<!-- b -->\nc", "a\n\nc"),
        ("<!-- b\n\nc -->  <!-- d -->\ne", "\n\n\ne"),
        ("- a\n\n  <!-- b -->\n- c", "- a\n\n\n- c"),
        ("<!-- b -->     seen", "seen"),
        ("seen <!-- b -->", "seen"),
        ("seen <!-- b --> too", "seen  too"),
        ("- seen <!-- b\n  c -->too", "- seen\ntoo"),
        ("> seen <!-- b -->\n> too", "> seen\n> too"),
        ("# seen <!-- b -->", "# seen"),
        ("| a <!-- b --> |\n|---|\n| <!-- c -->1 |", "| a  |\n|---|\n| 1 |"),
        ("<!-- never closed\nseen", "<!-- never closed\nseen"),
        ("text <!-- never closed\nseen", "text <!-- never closed\nseen"),
        ("```\n<!-- shown -->\n```", "```\n<!-- shown -->\n```"),
        ("    <!-- shown -->", "    <!-- shown -->"),
        ("say `<!-- shown -->` and <!-- b -->", "say `<!-- shown -->` and"),
        ("say ``<!-- ` shown -->`` and ` <!-- b -->", "say ``<!-- ` shown -->`` and `"),
        ("<div>\n<!-- b -->\n</div>", "<div>\n\n</div>"),
        ("---\ntitle: <!-- shown -->\n---\n", "---\ntitle: <!-- shown -->\n---\n"),
    ],
)
def test_a_comment_is_taken_out_and_what_is_shown_stays(text: str, expected: str) -> None:
    assert "\n".join(markdown.without_comments(text.split("\n"))) == expected


def test_a_line_of_very_many_comments_is_not_waited_for() -> None:
    assert markdown.without_comments(["<!---->" * 300_000]) == [""]
    assert markdown.without_comments(["<!-- -->" + "<!--" * 300_000]) != [""]
    assert markdown.without_comments(["a `` ` " * 50_000 + "<!-- b -->"]) != [""]
