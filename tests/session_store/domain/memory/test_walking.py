"""Notes become relations, and questions find them."""

import pytest

from session_store.domain.memory.graph import noted_relation
from session_store.domain.memory.notes import Note, edges, latest, on_branch
from session_store.domain.memory.relating import statements
from session_store.domain.memory.walking import bearing
from session_store.domain.memory.words import likeness, words
from session_store.domain.ranges import Range


def said(*texts: str) -> list[Note]:
    """A note for each thing that each text says, a message apart."""
    return [
        Note(
            id=note.id,
            kind=note.kind,
            text=note.text,
            at_us=10 * position,
            position=position,
            subject=note.subject,
            key=note.key,
            value=note.value,
            single=note.single,
            is_over=note.is_over,
        )
        for position, text in enumerate(texts)
        for note in map(noted_relation, statements(text))
    ]


def found(question: str, *texts: str) -> list[str]:
    return [edge.note.text for edge, _ in bearing(question, edges(said(*texts)))]


def test_the_nearest_to_what_is_named_comes_first() -> None:
    talk = ["I live in Lisbon.", "Ingrid lives in Bergen.", "Tomas lives in Graz.", "Ingrid is a carpenter."]

    assert set(found("Tell me about Ingrid", *talk)[:2]) == {"Ingrid lives in Bergen", "Ingrid is a carpenter"}


def test_two_steps_are_walked_and_not_three() -> None:
    talk = ["Priya reports to Helena.", "Helena lives in Bonn.", "Bonn belongs to Rhineland.", "Tomas plays the cello."]

    told = found("What of Priya?", *talk)

    assert told[:2] == ["Priya reports to Helena", "Helena lives in Bonn"]
    assert "Tomas plays the cello" not in told


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("I live in Lisbon.", "I don't live in Lisbon any more."),
        ("I live in Lisbon.", "I no longer live in Lisbon!"),
        ("Bob works at Google.", "Bob doesn\u2019t work at Google anymore."),
        ("I'm allergic to nuts.", "By the way, I'm not allergic to nuts any longer."),
        ("My boss is Ann.", "My boss is no longer Ann."),
        ("Rex belongs to Tom.", "Rex no longer belongs to Tom."),
        ("我住在上海。", "我不住在上海了。"),
        ("我喜欢咖啡。", "我已经不再喜欢咖啡。"),
    ],
)
def test_what_is_so_no_longer_is_closed_and_may_be_so_again(then: str, now: str) -> None:
    (over,) = edges(said(then, now))
    (again,) = edges(said(then, now, then))

    assert (over.closed_us, over.strength, again.closed_us, again.strength) == (10, 1, None, 2)


def test_what_was_over_before_it_was_contradicted_was_over_then() -> None:
    _, lisbon = edges(said("I live in Lisbon.", "I no longer live in Lisbon.", "I live in Porto."))

    assert lisbon.closed_us == 10


def test_what_was_never_said_to_be_so_is_nothing_when_it_is_over() -> None:
    assert edges(said("I no longer live in Lisbon.")) == []


def test_a_contradiction_closes_the_old_relation_and_saying_it_again_opens_it() -> None:
    moved = edges(said("I live in Porto.", "I live in Lisbon."))
    back = edges(said("I live in Porto.", "I live in Lisbon.", "I live in Porto."))

    assert [(edge.note.value, edge.closed_us) for edge in moved] == [("Lisbon", None), ("Porto", 10)]
    assert [(edge.note.value, edge.closed_us, edge.strength) for edge in back] == [
        ("Porto", None, 2),
        ("Lisbon", 20, 1),
    ]
    assert found("Where do I live?", "I live in Porto.", "I live in Lisbon.") == ["I live in Lisbon"]


def test_relations_of_which_there_may_be_many_do_not_contradict() -> None:
    assert [edge.closed_us for edge in edges(said("I like tea.", "I like coffee."))] == [None, None]


def test_a_contradiction_on_another_branch_closes_nothing_here() -> None:
    notes = said("I live in Porto.", "I live in Lisbon.")

    assert [edge.note.value for edge in edges(on_branch(notes, (Range(0, 1),)))] == ["Porto"]
    assert [edge.closed_us for edge in edges(on_branch(notes, (Range(0, 1),)))] == [None]


def test_of_equals_the_newest_and_the_strongest_come_first() -> None:
    assert found("What do I like?", "I like tea.", "I like coffee.")[0] == "I like coffee"
    assert found("What do I like?", "I like tea.", "I like tea.", "I like tea.", "I like coffee.")[0] == "I like tea"


def test_nothing_bears_on_a_question_of_something_else() -> None:
    assert found("How high is K2?", "Ingrid lives in Bergen.", "Tomas plays the cello.") == []


def test_the_latest_of_an_id_holds() -> None:
    notes = [Note(id="a", kind="fact", text=str(n), at_us=n, position=n) for n in range(3)]

    assert [note.text for note in latest(on_branch(notes, (Range(0, 2),)))] == ["1"]


def test_what_was_said_later_holds_though_its_clock_was_behind() -> None:
    times = {0: 10, 4: 7, 6: 8, None: 9}
    notes = [Note(id="a", kind="fact", text=f"at {at}", at_us=us, position=at) for at, us in times.items()]

    assert [note.text for note in on_branch(notes, (Range(0, 9),))] == ["at None", "at 0", "at 4", "at 6"]
    assert [note.text for note in latest(on_branch(notes, (Range(0, 9),)))] == ["at 6"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("works", "working"), ("Birthday's", "birthday"), ("allergies", "allergy"), ("libraries", "library")],
)
def test_words_meet_in_other_forms(one: str, other: str) -> None:
    assert set(words(one)) & set(words(other))


def test_words_of_short_texts_alone_are_remembered() -> None:
    short, long = "the boat is blue", "the boat is blue " * 100

    assert words(short) is words(short)
    assert words(long) is not words(long)
    assert set(words(long)) == set(words(short))


def test_chinese_words_meet_by_their_characters() -> None:
    scores = likeness(words("我的车牌是多少?"), [words("车牌号是京A88021"), words("会议室的密码")])

    assert scores[0] > 0.5
    assert scores[1] == 0


def test_rare_words_count_more_and_no_words_nothing() -> None:
    texts = [words("the boat is red"), words("the boat is blue"), words("a boat")]

    blue, *_ = sorted(likeness(words("blue boat"), texts), reverse=True)
    assert blue == 1.0
    assert likeness(words("???"), texts) == [0.0, 0.0, 0.0]
