"""Sentences and what is read out of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_store.domain.memory.notes import USER
from session_store.domain.memory.relating import sentences, statements
from session_store.domain.memory.stating import asked_for


def read(text: str) -> list[tuple[str, str, str]]:
    return [(found.subject, found.key, found.value) for found in statements(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I live in Lisbon.", (USER, "lives in", "Lisbon")),
        ("I'm allergic to peanuts!", (USER, "is allergic to", "peanuts")),
        ("By the way, I work at Crumb & Co.", (USER, "works at", "Crumb & Co")),
        ("Ingrid has moved to Oslo, finally.", ("Ingrid", "lives in", "Oslo")),
        ("My favourite colour is turquoise.", (USER, "favourite colour", "turquoise")),
        ("Tom's phone number is 555 01.", ("Tom", "phone number", "555 01")),
        ("The deadline of Project Heron is 14 November.", ("Project Heron", "deadline", "14 November")),
        ("Our database runs on PostgreSQL 16.2.", ("database", "runs on", "PostgreSQL 16.2")),
        ("Please note that the printer belongs to Anna.", ("printer", "belongs to", "Anna")),
        ("Marie Curie was born in Warsaw.", ("Marie Curie", "was born", "Warsaw")),
        ("We use Python.", (USER, "uses", "Python")),
        ("I now drive an old Volvo.", (USER, "drives", "an old Volvo")),
        ("我住在杭州。", (USER, "住在", "杭州")),
        ("李雷在华为工作。", ("李雷", "工作于", "华为")),
        ("我的猫叫豆豆。", (USER, "猫", "豆豆")),
        ("小明的生日是五月三日", ("小明", "生日", "五月三日")),
        ("我对海鲜过敏。", (USER, "过敏于", "海鲜")),
        ("我们使用PostgreSQL。", (USER, "使用", "PostgreSQL")),
        ("王芳是医生。", ("王芳", "是", "医生")),
    ],
)
def test_a_sentence_says_one_thing(text: str, found: tuple[str, str, str]) -> None:
    assert read(text) == [found]


def test_a_relative_with_a_name_is_two_things() -> None:
    assert read("My sister Ingrid is a carpenter.") == [(USER, "sister", "Ingrid"), ("Ingrid", "is", "a carpenter")]


@pytest.mark.parametrize(
    "text",
    [
        "Where do I live?",
        "Is Ingrid a carpenter?",
        "你住在哪里?",
        "李雷在华为工作吗",
        "Write a poem about the sea.",
        "thanks!",
        "",
        "...",
        "？！。",
    ],
)
def test_what_asks_or_says_nothing_is_left_out(text: str) -> None:
    assert read(text) == []


def test_each_sentence_counts() -> None:
    assert read("I live in Lisbon. I play the cello! Do you? 我来自北京。") == [
        (USER, "lives in", "Lisbon"),
        (USER, "plays", "the cello"),
        (USER, "来自", "北京"),
    ]


@given(st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    for found in [*statements(text), *asked_for(text)]:
        assert all((found.subject, found.value, found.text))
    assert all(sentence in text for sentence in sentences(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Remember that my locker code is 4711.", (USER, "locker code", "4711")),
        ("please remember that Mia's birthday is 3 May!", ("Mia", "birthday", "3 May")),
        ("Could you remember that my landlord is Mr. Ferreira?", (USER, "landlord", "Mr. Ferreira")),
        ("Nice. Keep in mind that I live in Porto. What else?", (USER, "lives in", "Porto")),
        ("请记住我的车牌号是京A88021。", (USER, "车牌号", "京A88021")),
        ("记住，会议室的密码是2468。", ("会议室", "密码", "2468")),
    ],
)
def test_what_is_asked_to_be_remembered_has_subject_key_and_value(text: str, found: tuple[str, str, str]) -> None:
    assert [(one.subject, one.key, one.value) for one in asked_for(text)] == [found]


def test_what_has_no_known_form_is_kept_as_it_was_said() -> None:
    (found,) = asked_for("Remember that I take my coffee with oat milk.")

    assert (found.subject, found.value, found.text) == (USER, "I take my coffee with oat milk", found.value)


@pytest.mark.parametrize(
    "text",
    [
        "Do you remember that my code is 4711?",
        "Remember that summer in Rome?",
        "I remember.",
        "my locker code is 4711",
        "你还记得吗?",
    ],
)
def test_who_does_not_ask_for_it_is_not_heard(text: str) -> None:
    assert asked_for(text) == []
