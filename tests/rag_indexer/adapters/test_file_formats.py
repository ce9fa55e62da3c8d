"""What each format becomes: the examples that a reader would agree with, and what no file may do."""

import io
import json
import random
from collections.abc import Sequence

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_indexer.adapters import file_formats
from rag_indexer.domain import chunking
from rag_indexer.domain.chunking import tokens
from rag_indexer.domain.documents import Document
from rag_indexer.domain.ports import Unreadable
from tests.rag_indexer import files

PROSE = "A sentence of eight words stands in here. " * 24
"""About 250 tokens: a chunk of its own."""


def read(path: str, data: str | bytes) -> Document:
    return file_formats.read(path, data.encode() if isinstance(data, str) else data)


def told(document: Document) -> list[tuple[str, str, int, int]]:
    """Headings, anchor, first and last line of each chunk."""
    return [(" > ".join(one.headings), one.anchor, one.first_line, one.last_line) for one in document.chunks]


def test_markdown_says_what_its_front_matter_says() -> None:
    document = read("a/b.md", f"---\ntitle: Front\ntags: [x, y]\ndate: 2024-05-01\n---\n# Heading\n\n{PROSE}\n")

    assert (document.title, document.type) == ("Front", "markdown")
    assert document.meta == {"title": "Front", "tags": ["x", "y"], "date": "2024-05-01"}
    assert told(document) == [("Heading", "heading", 1, 8)]


def test_restructured_text_has_sections_and_literal_blocks() -> None:
    text = (
        "=======\n Title\n=======\n\n:Author: Ann\n:Tags: x\n\n.. A comment\n   of two lines\n\n"
        f"{PROSE}\n\nFirst *part*\n============\n\n{PROSE}\n\nDeep\n----\n\nLook::\n\n    {PROSE}\n\n    {PROSE}\n\n"
        f"Second part\n===========\n\n.. code-block:: c\n\n   {PROSE}\n\n   {PROSE}\n"
    )
    document = read("guide.rst", text)

    assert (document.title, document.type, document.meta) == ("Title", "rst", {"author": "Ann", "tags": "x"})
    assert [(headings, anchor) for headings, anchor, _, _ in told(document)] == [
        ("Title", "title"),
        ("Title > First part", "first-part"),
        ("Title > First part > Deep", "deep"),
        ("Title > Second part", "second-part"),
    ]
    assert "A comment" not in "".join(chunk.text for chunk in document.chunks)
    assert document.chunks[2].text.count(PROSE.strip()) == 2


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (".. a comment\n\nseen", "\n\nseen"),
        ("..\n\n   seen", "\n\n   seen"),
        ("..\n   hidden\n\nseen", "\n\n\nseen"),
        (".. _target: http://x\n", ".. _target: http://x\n"),
        (".. [1] a note\n", ".. [1] a note\n"),
        (".. |name| image:: x.png\n", ".. |name| image:: x.png\n"),
        (".. note:: seen\n", ".. note:: seen\n"),
        ("...\n", "...\n"),
    ],
)
def test_comments_of_restructured_text_are_blanked(text: str, kept: str) -> None:
    if kept.strip():
        assert read("a.rst", text).chunks[0].text == kept.strip("\n")


PYTHON = f'''"""What it is for."""

import os

LIMIT = 3  # {PROSE}


# Says more.
@decorated
class Cache(dict):
    """{PROSE}"""

    def get(self, key):
        # {PROSE}
        return self[key]

    async def put(self, key):
        # {PROSE}
        await key


if os:
    def helper():
        return "{PROSE}"


TAIL = "{PROSE}"
'''


def test_python_is_cut_by_its_symbols() -> None:
    document = read("pkg/cache.py", PYTHON)

    assert (document.title, document.type) == ("", "code")
    assert told(document) == [
        ("", "L1", 1, 5),
        ("Cache", "L8", 8, 11),
        ("Cache > get", "L13", 13, 15),
        ("Cache > put", "L17", 17, 19),
        ("helper", "L22", 22, 24),
        ("", "L27", 27, 27),
    ]


@pytest.mark.parametrize("broken", ["def f(:\n    pass\n", "print 'python 2'\n\ndef f():\n    pass\n", "(" * 100_000])
def test_python_that_does_not_parse_is_read_by_its_lines(broken: str) -> None:
    assert read("a.py", broken).type == "code"


def test_a_long_function_is_cut_and_its_parts_open_at_their_own_lines() -> None:
    body = "\n".join(f"    value_{number} = compute({number}, 'some words to fill the line')" for number in range(200))
    chunks = read("a.py", f"def long():\n{body}\n").chunks

    assert len(chunks) > 3
    assert {chunk.headings for chunk in chunks} == {("long",)}
    assert all(chunk.anchor == f"L{chunk.first_line}" for chunk in chunks)


def test_a_table_of_values_keeps_its_records_whole_under_its_header() -> None:
    rows = "".join(f'{number},"a note\nof {PROSE[:200]}"\n' for number in range(40))
    document = read("a/people.csv", f"id,note\n{rows}")

    assert (document.title, document.type) == ("", "csv")
    assert {chunk.headings for chunk in document.chunks} == {("id | note",)}
    assert all(chunk.text.count('"') % 2 == 0 for chunk in document.chunks)
    assert len(document.chunks) > 3


@pytest.mark.parametrize(
    ("path", "text", "headings"),
    [
        ("a.csv", "1,2\n3,4\n", ()),
        ("a.tsv", "name\tage\nAnn\t3\n", ("name | age",)),
        ("a.csv", "name;age\nAnn;3\n", ("name | age",)),
        ("a.csv", '"never closed\nx,y\n', None),
        ("a.csv", "\nname,age\n1,2", None),
    ],
)
def test_a_header_is_told_from_values(path: str, text: str, headings: tuple[str, ...] | None) -> None:
    (chunk,) = read(path, text).chunks

    assert headings is None or chunk.headings == headings
    assert chunk.text == text.strip("\n")


def test_json_is_cut_by_its_members() -> None:
    value = {
        "name": "x",
        "server": {"host": "h", "notes": [PROSE]},
        "users": [{"id": 1, "about": PROSE}, {"id": 2, "about": PROSE}],
    }
    document = read("a/config.json", json.dumps(value, indent=2))

    assert (document.title, document.type) == ("", "json")
    assert [(headings, first) for headings, _, first, _ in told(document)] == [
        ("server > notes", 1),
        ("users > [0]", 9),
        ("users > [1]", 14),
    ]


def test_a_small_json_is_cited_by_the_first_of_its_members_that_has_a_name() -> None:
    value = {"version": 1, "harbour": {"master": "Ada", "fees": {"small": 12}}, "list": [1, 2]}
    (chunk,) = read("a.json", json.dumps(value, indent=2)).chunks

    assert (chunk.headings, chunk.first_line) == (("harbour", "fees"), 1)


def test_json_by_lines_is_cut_between_its_values() -> None:
    document = read("a.jsonl", "\n".join(json.dumps({"id": number, "text": PROSE}) for number in range(4)))

    assert [(first, last) for _, _, first, last in told(document)] == [(1, 1), (2, 2), (3, 3), (4, 4)]


@pytest.mark.parametrize("text", ['{"a": [1, }', '{"a" "b', "nothing of the kind", "]]]}", '{"a": "\\ud800"}'])
def test_what_is_no_json_is_still_text(text: str) -> None:
    assert [chunk.text for chunk in read("a.json", text).chunks] == [text]


NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# Study\n", "\n", "<!-- hidden -->\n", PROSE]},
        {"cell_type": "code", "outputs": [{"text": ["printed"]}], "source": ["x = 1\n", f"y = '{PROSE}'"]},
        {"cell_type": "markdown", "source": f"## Result\n\n{PROSE}"},
        {"cell_type": "code", "source": []},
    ],
    "metadata": {"kernelspec": {"language": "python", "name": "python3"}},
}


def test_a_notebook_is_its_cells_at_the_lines_where_they_stand() -> None:
    text = json.dumps(NOTEBOOK, indent=1)
    document = read("study.ipynb", text)
    lines = text.split("\n")

    assert (document.title, document.type, document.meta) == ("Study", "notebook", {"language": "python"})
    assert [(headings, anchor) for headings, anchor, _, _ in told(document)] == [
        ("Study", "study"),
        ("Study", "study"),
        ("Study > Result", "result"),
    ]
    for chunk, (first, last) in zip(
        document.chunks, [("# Study", PROSE[:20]), ("x = 1", "y = "), ("## Result", "## Result")], strict=True
    ):
        assert first in lines[chunk.first_line - 1]
        assert last in lines[chunk.last_line - 1]
    assert not any(word in chunk.text for chunk in document.chunks for word in ("hidden", "printed"))


@pytest.mark.parametrize("text", ["{}", "[]", '{"cells": []}', "no notebook", '{"cells": [{"cell_type": "code"}]}'])
def test_a_notebook_without_cells_is_none(text: str) -> None:
    with pytest.raises(Unreadable, match="no cells"):
        read("a.ipynb", text)


def test_halves_of_letters_in_a_notebook_become_letters_or_marks_that_one_is_missing() -> None:
    cells = [
        {"cell_type": "markdown", "source": "# A \ud83d title"},
        {"cell_type": "code", "source": ["x = '\ud83d", "\ude00'\n", "y = '\ud83d'"]},
    ]
    document = read("a.ipynb", json.dumps({"cells": cells, "metadata": {"title": "T\udc00"}}))
    (chunk,) = document.chunks

    assert (document.title, document.meta) == ("T\ufffd", {"title": "T\ufffd"})
    assert chunk.headings == ("A \ufffd title",)
    assert chunk.text.endswith("x = '\U0001f600'\ny = '\ufffd'")


PAGE = f"""<!DOCTYPE html>
<html><head><title>The
 page</title><meta name="keywords" content="x, y"><meta name="Author" content="Ann">
<script>var no = "<p>no</p>";</script></head>
<body>
<nav><a href="/">menu</a></nav>
<!-- a comment
 of two lines -->
<section id="intro">
<h1>Intro <a class="headerlink" href="#intro">¶</a></h1>
<p>First <b
 class="x">words</b> &amp; more,
second line. {PROSE}</p>
</section>
<h2 id="list">List</h2>
<ul><li>one</li>
<li>two
  <ul><li>three</li></ul></li></ul>
<pre>
code 1

  code 2
</pre>
<table><thead><tr><th>A</th><th>B</th></tr></thead>
<tbody><tr><td>1</td>
<td><p>2
 and more</p></td></tr></tbody></table>
<div>{PROSE}<br>last</div>
<footer>bye</footer>
</body></html>
"""


def test_a_page_is_what_a_reader_sees_at_its_lines() -> None:
    document = read("a/page.html", PAGE)
    intro, rest = document.chunks

    assert (document.title, document.type) == ("The page", "html")
    assert document.meta == {"tags": ["x", "y"], "author": "Ann"}
    assert told(document) == [("Intro", "intro", 10, 13), ("Intro > List", "list", 15, 28)]
    assert intro.text.startswith("Intro\n\nFirst words & more,\nsecond line. A sentence")
    assert rest.text.startswith(
        "List\n\n- one\n- two\n- three\n\ncode 1\n\n  code 2\n\nA | B\n1 | 2 and more\n\nA sentence"
    )
    assert rest.text.endswith("here.\nlast")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<p>naïve</p>".encode(), "naïve"),
        (b'<meta charset="latin-1"><p>na\xefve</p>', "naïve"),
        ('<meta charset="gbk"><p>数据</p>'.encode("gbk"), "数据"),
        (b'<meta charset="no-such"><p>x</p>', "x"),
        (b"no tags at all", "no tags at all"),
        (b"<p>a<p>b", "a\n\nb"),
        (b"<table><tr><td>a<h2>b</h2>c", "a\n\nb\n\nc"),
        (b"<table><tr><td>a<td><table><tr><td>b<td>c<tr><td>d</table>", "a\n\nb | c\nd"),
        (b"<p>a</p\n>\n<p\nid='x'\n>b<i\n>c</i\n>d", "a\n\nbcd"),
        (b"<!--[if IE]>x<![endif]--><b>y", "y"),
        (b"<p data-sage-line=99999999999999>x", "x"),
        (b"<p hidden>no<p style='color: red; DISPLAY:none'>no<p style='visibility : hidden'>no<p style=''>yes", "yes"),
    ],
)
def test_pages_as_they_are_found(data: bytes, text: str) -> None:
    assert "\n".join(chunk.text for chunk in read("a.html", data).chunks) == text


@pytest.mark.parametrize("data", [b"<script>x</script>", b"<!-- -->", b"<p> </p>"])
def test_a_page_on_which_nothing_is_seen_is_empty(data: bytes) -> None:
    with pytest.raises(Unreadable, match="empty"):
        read("a.htm", data)


def sentences(count: int, seed: int) -> list[str]:
    words = random.Random(seed)
    return [" ".join(words.choices(["alpha", "beta", "gamma", "delta"], k=12)) for _ in range(count)]


def test_each_slide_is_cited_by_its_own_page() -> None:
    slides = [[f"{name} {line} says something about how it is used" for line in range(5)] for name in ("Ore", "Oar")]
    chunks = read("slides.pdf", files.pdf(slides)).chunks

    assert [(chunk.page, chunk.first_line, chunk.last_line, chunk.text[:3]) for chunk in chunks] == [
        (1, 1, 5, "Ore"),
        (2, 1, 5, "Oar"),
    ]


def test_a_pdf_is_cited_by_its_pages_under_its_outline() -> None:
    pages: Sequence[Sequence[str]] = [
        ["Chapter one", *sentences(9, 1)],
        [*sentences(3, 2), "1.1 Deep inside", *sentences(30, 3)],
        ["Chapter two", *sentences(40, 4)],
    ]
    document = read(
        "manual.pdf", files.pdf(pages, [("Chapter one", 1, 1), ("1.1 Deep inside", 2, 2), ("Chapter two", 3, 1)])
    )
    found = [(chunk.page, *one) for chunk, one in zip(document.chunks, told(document), strict=True)]

    assert (document.title, document.type, document.meta) == (
        "The Manual",
        "pdf",
        {"author": "Ann", "date": "2024-01-02"},
    )
    assert found == [
        (1, "Chapter one", "page=1", 1, 10),
        (2, "Chapter one", "page=2", 1, 3),
        (2, "Chapter one > 1.1 Deep inside", "page=2", 4, 19),
        (2, "Chapter one > 1.1 Deep inside", "page=2", 20, 34),
        (3, "Chapter two", "page=3", 1, 21),
        (3, "Chapter two", "page=3", 22, 41),
    ]
    for chunk in document.chunks:
        assert chunk.text.split("\n")[0] == pages[(chunk.page or 0) - 1][chunk.first_line - 1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (files.pdf([["secret"]], password="key"), "encrypted"),
        (b"no pdf", "not a PDF"),
        (b"%PDF-1.4 and nothing more", "broken PDF"),
        (files.plain_pdf([[]]), "a PDF of images"),
        (files.pdf([["words"]])[:400], "broken PDF"),
    ],
)
def test_a_pdf_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read("a.pdf", data)


def test_a_word_file_is_cut_along_its_headings() -> None:
    document = read("a/report.docx", files.word())

    assert (document.title, document.type) == ("The Report", "docx")
    assert document.meta["tags"] == ["alpha", "beta"]
    assert document.meta["author"] == "Ann"
    assert told(document) == [
        ("The Report", "", 1, 6),
        ("The Report > Part one > Detail", "", 7, 8),
    ]
    assert "Part one\n\n- First point\n\n- Second point\n\ncell 0 0 | cell 0 1\ncell 1 0 | cell 1 1" in "\n".join(
        chunk.text for chunk in document.chunks
    )


def test_text_that_word_does_not_show_is_not_read() -> None:
    made = docx.Document()
    paragraph = made.add_paragraph("seen ")
    paragraph.add_run("hidden").font.hidden = True
    paragraph.add_run("too").font.hidden = False
    out = io.BytesIO()
    made.save(out)

    assert [chunk.text for chunk in read("a.docx", out.getvalue()).chunks] == ["seen too"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no archive", "not a ZIP archive"),
        (files.word()[:2_000], "not a ZIP archive"),
        (files.word_with(b"<no xml"), "broken DOCX"),
        (files.word_with(files.billion_laughs()), "broken DOCX|no text|empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "encrypted"),
        (files.word_with(b"<w:p>" + b" " * 30_000_000), "ZIP bomb"),
    ],
)
def test_a_word_file_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read("a.docx", data)


@pytest.mark.parametrize("suffix", sorted(file_formats.SUFFIXES))
def test_every_suffix_has_a_reader(suffix: str) -> None:
    if suffix not in {".pdf", ".docx", ".ipynb"}:
        assert read(f"A{suffix.upper()}", "some words\n").chunks[0].text == "some words"


SEEDS = [files.pdf([["words"]]), files.word(), PAGE.encode(), json.dumps(NOTEBOOK).encode(), PYTHON.encode()]


@settings(max_examples=150)
@given(
    suffix=st.sampled_from(sorted({name: suffix for suffix, name in file_formats.SUFFIXES.items()}.values())),
    data=st.one_of(
        st.binary(max_size=200),
        st.tuples(st.sampled_from(SEEDS), st.integers(0, 5_000), st.binary(max_size=8)).map(
            lambda made: made[0][: made[1] % len(made[0])] + made[2] + made[0][made[1] % len(made[0]) + 3 :]
        ),
    ),
)
def test_arbitrary_bytes_give_chunks_or_an_error_and_chunks_are_sound(suffix: str, data: bytes) -> None:
    try:
        document = file_formats.read(f"a{suffix}", data)
    except Exception:  # any: the child that reads makes a reason of it
        return

    for chunk in document.chunks:
        assert chunk.text.strip()
        assert 1 <= chunk.first_line <= chunk.last_line
        assert tokens(chunk.text) <= chunking.HARD_TOKENS + chunking.MAX_TOKENS
        chunk.text.encode()


def test_the_fingerprint_names_our_rules_and_the_libraries() -> None:
    assert file_formats.fingerprint().startswith(f"chunks-{file_formats.VERSION} markdown-it-py-")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("<p>a</p\n\n>\n<p>b", (1, 4)),
        ("<p>a</p><p\nid='x>'\n>b\nc", (1, 4)),
        ("<!-- one\ntwo --><p>a<br>\nb", (2, 3)),
        ("<table><tr><td>a<h2>b</h2></td></tr>\nstray\n<tr><td>c</td></tr></table>\n<p>d", (2, 4)),
        ("<b><p>a</b>\n<p>b\n<p>c", (1, 3)),
        ("<pre>\n\na\n\nb</pre>", (3, 5)),
    ],
)
def test_lines_of_a_page_are_those_of_its_file(text: str, lines: tuple[int, int]) -> None:
    (chunk,) = read("a.html", text).chunks

    assert (chunk.first_line, chunk.last_line) == lines
