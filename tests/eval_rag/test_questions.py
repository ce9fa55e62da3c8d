"""The evaluation's questions and how they are judged: quick to check, so that a doc that moves is noticed at once."""

import pytest

from sage_contracts.index import Passage, Source
from tests.eval_rag import corpora, questions
from tests.eval_rag.corpora import Section, sections
from tests.eval_rag.measuring import Answer, figures, judged
from tests.eval_rag.questions import Place, Question

FOLDERS = {
    "questions.txt": corpora.DOCS,
    "questions.zh.txt": corpora.DOCS,
    "zh.txt": corpora.CHINESE,
    "held_out.txt": corpora.DOCS,
    "held_out.zh.txt": corpora.DOCS,
    "held_out.guide.txt": corpora.CHINESE,
}
TEXT = "# A\n\none\n\n```\n# no heading\n```\n## B ##\n\ntwo\n"


@pytest.mark.parametrize("name", FOLDERS)
def test_every_place_is_still_there(name: str) -> None:
    assert corpora.missing(FOLDERS[name], questions.read(name)) == []


@pytest.mark.parametrize(
    ("prefix", "answerable", "without"), [("questions", 60, "unanswerable"), ("held_out", 40, "held_out.unanswerable")]
)
def test_there_are_enough_questions(prefix: str, answerable: int, without: str) -> None:
    ours = questions.read(f"{prefix}.txt") + questions.read(f"{prefix}.zh.txt")
    unanswerable = questions.read(f"{without}.txt")

    assert len(ours) >= answerable
    assert len(unanswerable) >= 20
    assert all(question.places for question in ours)
    assert not any(question.places for question in unanswerable)


def test_no_question_is_asked_twice() -> None:
    texts = [question.text for path in questions.DATA.glob("*.txt") for question in questions.read(path.name)]

    assert len(texts) == len(set(texts))


def test_sections_are_found_by_their_headings() -> None:
    assert sections(TEXT) == [Section("A", 1, 7), Section("B", 8, 11)]
    assert sections("no heading") == []


@pytest.mark.parametrize(
    ("place", "there"),
    [
        (Place("a.md"), True),
        (Place("a.md", "B"), True),
        (Place("a.md", "B", "two"), True),
        (Place("a.md", "B", "one"), False),
        (Place("a.md", "no heading"), False),
        (Place("b.md"), False),
    ],
)
def test_a_place_that_has_gone_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: Place, *, there: bool
) -> None:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "a.md").write_text(TEXT)

    assert (corpora.missing(folder, [Question("?", (place,))]) == []) is there


def passage(path: str, first: int, last: int, text: str = "") -> Passage:
    source = Source(path=path, title="", heading="", anchor="", lines=(first, last))
    return Passage(id="p", text=text, score=1.0, source=source)


@pytest.mark.parametrize(
    ("place", "given", "right"),
    [
        (Place("a.md"), passage("a.md", 1, 1), True),
        (Place("a.md"), passage("b.md", 1, 1), False),
        (Place("a.md", "B"), passage("a.md", 8, 9), True),
        (Place("a.md", "B"), passage("a.md", 1, 8), True),
        (Place("a.md", "B"), passage("a.md", 1, 7), False),
        (Place("a.md", "B", "two"), passage("a.md", 8, 10, "two"), True),
        (Place("a.md", "B", "two"), passage("a.md", 8, 9, "one"), False),
    ],
)
def test_a_passage_is_right_where_it_overlaps_the_place(place: Place, given: Passage, *, right: bool) -> None:
    assert judged(Question("?", (place,)), [given], lambda _: sections(TEXT)) == Answer((right,))


def test_figures_are_means_over_the_questions() -> None:
    told = figures(
        [
            Answer((True, False)),
            Answer((False, False, True)),
            Answer(()),
            Answer((False,) * 7 + (True,)),
        ]
    )

    assert told.mrr == pytest.approx((1 + 1 / 3 + 0 + 1 / 8) / 4)
    assert (told.recall, told.precision, told.answered) == (2 / 4, 2 / 10, 3 / 4)


def test_known_items_are_headings_that_one_file_alone_has(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("readmes")
    body = "\n\nsome\n\ntext\n"
    (folder / "a.md").write_text(
        f"# Quick start{body}# Running on Windows{body}# v1.2{body}# One{body}# Too short\nx\n"
    )
    (folder / "b.md").write_text(f"# Quick  Start!{body}")

    assert corpora.known_items(folder) == [Question("Running on Windows", (Place("a.md", "Running on Windows"),))]
