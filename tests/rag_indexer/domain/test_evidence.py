"""Whether a passage speaks of what was asked."""

from collections.abc import Sequence

import pytest

from rag_indexer.adapters.bm25_terms import Bm25Terms
from rag_indexer.domain.documents import Sparse, Vectors
from rag_indexer.domain.evidence import ENOUGH_BY_WORDS, ENOUGH_UNSPACED, Words, question, words
from rag_indexer.domain.fusing import Trust

EMPTY = Sparse([], [])
TRUSTED = Trust(weight=0.3, floor=0.0, proof=2.0)


def asked(subject: Sequence[int], names: Sequence[int] = (), *, is_unspaced: bool = False) -> Words:
    return Words(EMPTY, frozenset(subject), frozenset(names), is_unspaced)


def seen(terms: Sequence[int], cosine: float) -> Vectors:
    """A passage with these terms, at this cosine from the query [1, 0]."""
    return Vectors(Sparse(list(terms), [1.0] * len(terms)), [cosine, (1 - cosine**2) ** 0.5])


@pytest.mark.parametrize(
    ("query", "found", "expected"),
    [
        ([], seen([1], 0.3), False),
        ([], seen([1], 0.5), True),
        ([1, 2, 3], seen([1, 2, 3, 9], 0.0), True),
        ([1, 2], seen([1], 0.25), True),
        ([1, 2, 3], seen([1], 0.1), False),
        ([1], seen([1], 0.0), False),
        ([1], seen([1], 0.2), True),
        ([1, 2, 3], seen([9], -0.9), False),
    ],
)
def test_words_and_meaning_together_are_evidence(query: list[int], found: Vectors, *, expected: bool) -> None:
    question_ = question(asked(query), [1.0, 0.0], TRUSTED)

    assert (question_.worth(found) >= question_.enough) is expected


@pytest.mark.parametrize(("found", "expected"), [([1, 2], True), ([1], False)])
@pytest.mark.parametrize("trusted", [TRUSTED, Trust(weight=0.2)])
def test_words_alone_are_held_to_a_measure_of_their_own(found: list[int], trusted: Trust, *, expected: bool) -> None:
    by_words = question(asked([1, 2, 3, 4]), [], trusted)
    unproven = question(asked([1, 2, 3, 4]), [1.0, 0.0], Trust(weight=0.2))

    for one in (by_words, unproven):
        assert one.enough == ENOUGH_BY_WORDS < TRUSTED.enough
        assert (one.worth(seen(found, 1.0)) >= one.enough) is expected


@pytest.mark.parametrize(("subject", "has", "expected"), [(6, 2, True), (3, 1, False), (2, 1, True), (7, 2, False)])
def test_of_a_script_without_spaces_two_of_six_terms_are_enough(subject: int, has: int, *, expected: bool) -> None:
    query = question(asked(range(subject), is_unspaced=True), [1.0, 0.0], TRUSTED)

    assert query.enough == ENOUGH_UNSPACED
    assert (query.worth(seen(range(has), 0.9)) >= query.enough) is expected


def test_an_encoder_says_how_much_is_enough() -> None:
    lenient = question(asked([1, 2, 3]), [1.0, 0.0], Trust(weight=0.3, floor=0.0, proof=2.0, enough=0.7))

    assert lenient.enough == 0.7


def test_a_cosine_below_the_encoders_floor_proves_nothing() -> None:
    high = question(asked([1, 2, 3]), [1.0, 0.0], Trust(weight=0.5, floor=0.8, proof=2.0))

    assert high.worth(seen([], 0.8)) == 0
    assert high.worth(seen([], 0.9)) == pytest.approx(1.0)


def test_an_encoder_that_cannot_read_a_script_proves_nothing_of_it() -> None:
    query = asked([1, 2, 3, 4], is_unspaced=True)

    assert question(query, [1.0, 0.0], TRUSTED).worth(seen([1, 2], 0.9)) < TRUSTED.enough
    reads = Trust(weight=0.5, floor=0.0, proof=2.0, unspaced=True)
    assert question(query, [1.0, 0.0], reads).worth(seen([1, 2], 0.9)) > reads.enough


def test_the_names_that_a_question_in_another_script_keeps_are_enough() -> None:
    query = question(asked([1, 2, 3, 4, 5, 6], names=[6], is_unspaced=True), [], TRUSTED)

    assert query.worth(seen([6], 0.0)) >= query.enough
    assert query.worth(seen([7], 0.0)) < query.enough


def test_a_vector_of_another_encoder_is_not_compared() -> None:
    query = question(asked([1, 2]), [1.0, 0.0, 0.0], TRUSTED)

    assert query.worth(seen([1, 2], 1.0)) == pytest.approx(2 / 2.5)


@pytest.mark.parametrize(
    ("text", "subject", "names", "is_unspaced"),
    [
        ("please show the queue", 1, 0, False),
        ("hello, thanks!", 0, 0, False),
        ("SAGE_HOME 是什么?", 2, 3, True),
        ("今天天气怎么样?", 2, 0, True),
        ("我可以把它们放在哪里呢?", 2, 0, True),
    ],
)
def test_a_question_is_its_words_less_those_of_conversation(
    text: str, subject: int, names: int, *, is_unspaced: bool
) -> None:
    found = words(text, Bm25Terms())

    assert (len(found.subject), len(found.names), found.is_unspaced) == (subject, names, is_unspaced)
    assert set(found.all.indices) >= found.subject
