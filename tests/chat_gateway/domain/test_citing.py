import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.domain.citing import Citer, Span, uncited

URLS = ("a.md#x", "b.md", "a.md#x")


@dataclass
class Cited:
    text: str
    spans: list[Span]
    dropped: int


def cited(*pieces: str, sources: bool = False) -> Cited:
    citer = Citer(URLS)
    text = "".join(citer.feed(piece) for piece in pieces)
    text += citer.finish(with_sources=sources)
    return Cited(text, citer.spans, citer.dropped)


@pytest.mark.parametrize(
    ("text", "expected", "dropped"),
    [
        ("plain", "plain", 0),
        ("blue [1].", "blue [1](a.md#x).", 0),
        ("blue[2]", "blue[2](b.md)", 0),
        ("both [1, 2].", "both [1](a.md#x)[2](b.md).", 0),
        ("both [1][2]", "both [1](a.md#x)[2](b.md)", 0),
        ("mixed [1,9]!", "mixed [1](a.md#x)!", 1),
        ("gone [9].", "gone.", 1),
        ("gone [0] here", "gone here", 1),
        ("[7]", "", 1),
        ("link [1](http://made.up/x) on", "link [1](a.md#x) on", 0),
        ("link [9](http://made.up/x) on", "link on", 1),
        ("aside [1] (see there)", "aside [1](a.md#x) (see there)", 0),
        ("aside [1](see there)", "aside [1](a.md#x)(see there)", 0),
        ("open [1](http://made", "open [1](a.md#x)(http://made", 0),
        ("a list [x] and [12 apples] and [2024]", "a list [x] and [12 apples] and [2024]", 0),
        ("text [link](http://x)", "text [link](http://x)", 0),
        ("unfinished [1", "unfinished [1", 0),
        ("two  spaces [ 1 ]", "two  spaces [1](a.md#x)", 0),
        ("nested [[1]]", "nested [[1](a.md#x)]", 0),
        ("escaped \\[1]", "escaped \\[1]", 0),
        ("code `x[1]` and [1]", "code `x[1]` and [1](a.md#x)", 0),
        ("```py\nx[1]\n\ny[9]\n```\nso [2]", "```py\nx[1]\n\ny[9]\n```\nso [2](b.md)", 0),
        ("a stray ` tick\nthen [1]", "a stray ` tick\nthen [1](a.md#x)", 0),
        ("``a`b[1]`` [1]", "``a`b[1]`` [1](a.md#x)", 0),
        ("[" * 50, "[" * 50, 0),
        ("ends with space ", "ends with space ", 0),
        ("\u84dd\u8272\u30101\u3011\u3002", "\u84dd\u8272[1](a.md#x)\u3002", 0),
        ("\u90fd\u30101\uff0c2\u3001 9\u3011", "\u90fd[1](a.md#x)[2](b.md)", 1),
        ("\u3010\u6ce8\u3011\u4e0e\u3010\u0662\u3011", "\u3010\u6ce8\u3011\u4e0e\u3010\u0662\u3011", 0),
    ],
)
def test_citations_become_links(text: str, expected: str, dropped: int) -> None:
    told = cited(text)

    assert (told.text, told.dropped) == (expected, dropped)


def test_spans_say_where_the_links_are() -> None:
    told = cited("\u4f60 [1] and [1, 2]")

    assert [(span.number, told.text[span.start : span.end]) for span in told.spans] == [
        (1, "[1](a.md#x)"),
        (1, "[1](a.md#x)"),
        (2, "[2](b.md)"),
    ]


def test_a_text_that_cites_nothing_gets_its_sources_named() -> None:
    told = cited("It is so.", sources=True)

    assert told.text == "It is so.\n\nSources: [1](a.md#x) [2](b.md)"
    assert [told.text[span.start : span.end] for span in told.spans] == ["[1](a.md#x)", "[2](b.md)"]


def test_sources_are_named_in_the_answers_language() -> None:
    assert cited("\u5929\u662f\u84dd\u7684\u3002", sources=True).text.endswith(
        "\u3002\n\n\u6765\u6e90\uff1a [1](a.md#x) [2](b.md)"
    )


@pytest.mark.parametrize("text", ["Cited [1].", ""])
def test_sources_are_named_only_under_a_text_without_citations(text: str) -> None:
    assert "Sources" not in cited(text, sources=True).text


ALPHABET = st.text(alphabet="[]()`\\ 012,9ab\n!\u3010\u3011\u3001", max_size=60)


@given(ALPHABET, st.data(), st.booleans())
def test_where_the_pieces_are_cut_does_not_matter(text: str, data: st.DataObject, sources: bool) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    edges = [0, *cuts, len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]

    assert cited(*pieces, sources=sources) == cited(text, sources=sources)


@given(st.text(alphabet="]()`\\ 012,9ab\n!", max_size=60))
def test_a_text_without_opening_bracket_stays_as_it_is(text: str) -> None:
    assert cited(text).text == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("blue [1], and [2] wet.", "blue, and wet."),
        ("both [1, 2].", "both."),
        ("x[7](y) is code `x[1](y)`", "x is code `x[1](y)`"),
        ("blue.", "blue."),
        ("\u84dd\u8272\u3002", "\u84dd\u8272\u3002"),
        ("[1]", "[1](a.md#x)"),
    ],
)
def test_an_answer_can_be_told_again_without_its_citations(text: str, left: str) -> None:
    told = cited(text, sources=True)

    assert uncited(told.text, [(span.start, span.end) for span in told.spans]) == left


@given(st.text("a1[]() `", max_size=30), st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40)), max_size=4))
def test_places_where_no_citation_stands_change_nothing(text: str, places: list[tuple[int, int]]) -> None:
    assert uncited(text.replace("]", ""), places) == text.replace("]", "")
