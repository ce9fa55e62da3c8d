"""Which passages are given, and whether any is."""

from rag_indexer.domain.documents import Sparse, Vectors
from rag_indexer.domain.evidence import Words, question
from rag_indexer.domain.fusing import Ranked, Trust
from rag_indexer.domain.searching import EXAMINED, examined, given
from tests.rag_indexer.parts import passage

NO_DENSE: list[float] = []
ASKED = question(Words(Sparse([], []), frozenset({1, 2, 3, 4}), frozenset(), is_unspaced=False), (), Trust(weight=0.2))


def ranked(scores: dict[str, float]) -> list[Ranked]:
    return [Ranked(passage(name, f"the text of {name}"), score) for name, score in scores.items()]


def having(found: list[Ranked], terms: dict[str, list[int]]) -> dict[str, Vectors]:
    return {one.passage.id: Vectors(Sparse(terms[one.passage.path], []), NO_DENSE) for one in found}


def paths(found: list[Ranked]) -> str:
    return "".join(one.passage.path for one in found)


def test_what_is_worth_quoting_is_given_best_first() -> None:
    found = ranked({"a": 1.0, "b": 0.9, "c": 0.8})

    assert paths(given(ASKED, found, having(found, {"a": [1, 2], "b": [1, 2, 3], "c": [2, 3]}), 2)) == "ab"


def test_nothing_is_given_when_no_passage_has_enough_of_the_question() -> None:
    found = ranked({"a": 1.0, "b": 0.9})

    assert given(ASKED, found, having(found, {"a": [1], "b": [7]}), 5) == []
    assert given(ASKED, [], {}, 5) == []


def test_a_passage_that_has_little_of_the_question_is_left_out() -> None:
    found = ranked({"a": 1.0, "b": 0.9})

    assert paths(given(ASKED, found, having(found, {"a": [1, 2, 3, 4], "b": [1]}), 5)) == "a"


def test_a_passage_far_behind_the_best_is_left_out() -> None:
    found = ranked({"a": 1.0, "b": 0.3})

    assert paths(given(ASKED, found, having(found, {"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]}), 5)) == "a"


def test_a_passage_that_went_away_meanwhile_is_left_out() -> None:
    found = ranked({"a": 1.0, "b": 0.9})
    left = having(found[1:], {"b": [1, 2, 3]})

    assert paths(given(ASKED, found, left, 5)) == "b"


def test_evidence_is_looked_for_in_more_than_what_is_asked_for() -> None:
    many = ranked({name: 1 - place / 100 for place, name in enumerate("abcdefgh")})

    assert len(examined(many, 1)) == EXAMINED
    assert len(examined(many, 7)) == 7
    found = examined(many, 1)
    terms = {one.passage.path: [1] for one in found} | {found[-1].passage.path: [1, 2, 3]}
    assert paths(given(ASKED, found, having(found, terms), 1)) == found[-1].passage.path
