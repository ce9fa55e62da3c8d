"""Sentences and what is read out of them."""

import time

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
        ("I'm originally from Porto.", (USER, "is from", "Porto")),
        ("I really can't stand olives.", (USER, "dislikes", "olives")),
        ("I\u2019ve got two parrots.", (USER, "has", "two parrots")),
        ("These days, I am learning Welsh.", (USER, "studies", "Welsh")),
        ("Our nephew goes to Hillside school.", ("nephew", "goes to", "Hillside school")),
        ("My cousin's name is Aoife.", ("cousin", "name", "Aoife")),
        ("The code to the garage is 55.", ("garage", "code", "55")),
        ("My team uses GitLab for everything.", ("team", "uses", "GitLab for everything")),
        ("My boat is called Heron.", (USER, "boat", "Heron")),
        ("Make a note: my desk is number 12.", (USER, "desk", "number 12")),
        ("My favourite dish is 火锅.", (USER, "favourite dish", "火锅")),
        ("我在银行当会计。", (USER, "职业", "会计")),
        ("我弟弟在上海上大学。", ("弟弟", "就读于", "上海")),
        ("我老家是绍兴。", (USER, "来自", "绍兴")),
        ("我老婆的生日是8月16号。", ("老婆", "生日", "8月16号")),
        ("老赵负责后端。", ("老赵", "负责", "后端")),
        ("我不喜欢香菜。", (USER, "讨厌", "香菜")),
        ("我最喜欢的菜是麻婆豆腐。", (USER, "最喜欢的菜", "麻婆豆腐")),
        ("你要记住我女儿对花生过敏。", ("女儿", "过敏于", "花生")),
        ("My favourite colour is now blue.", (USER, "favourite colour", "blue")),
        ("My boss is Ann and she lives in Rome.", (USER, "boss", "Ann")),
        ("I like cats and dogs.", (USER, "likes", "cats and dogs")),
        ("My wife and I live in Porto.", ("wife and I", "lives in", "Porto")),
        ("我搬到上海了。", (USER, "住在", "上海")),
    ],
)
def test_a_sentence_says_one_thing(text: str, found: tuple[str, str, str]) -> None:
    assert read(text) == [found]


def test_a_relative_with_a_name_is_two_things() -> None:
    assert read("My sister Ingrid is a carpenter.") == [(USER, "sister", "Ingrid"), ("Ingrid", "is", "a carpenter")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Bob works at Google and lives in Zurich.", [("Bob", "works at", "Google"), ("Bob", "lives in", "Zurich")]),
        ("My name is Zoë and I live in Köln.", [(USER, "name", "Zoë"), (USER, "lives in", "Köln")]),
        (
            "I live in Lisbon, my dog is called Rex and I work at Acme.",
            [(USER, "lives in", "Lisbon"), (USER, "dog", "Rex"), (USER, "works at", "Acme")],
        ),
    ],
)
def test_each_clause_counts(text: str, found: list[tuple[str, str, str]]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Where do I live?",
        "Is Ingrid a carpenter?",
        "你住在哪里?",
        "李雷在华为工作吗",
        "这个函数有什么作用",
        "我没有车。",
        "我不是医生。",
        "If it rains, I am at home.",
        "I'd like a pizza.",
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


def test_a_name_within_a_name_is_no_further_relative() -> None:
    assert read("My a " + "My b " * 700 + "My is here.") == []


def test_nobody_holds_the_rules_up() -> None:
    spent: list[float] = []
    for _ in range(3):
        began = time.thread_time()
        asked_for("remember this " + "\n" * 4_000)
        statements("I like a" + " and like a" * 400)
        spent.append(time.thread_time() - began)

    assert min(spent) < 0.04


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
        ("Make a note: the code at my aunt's is 77#.", ("aunt", "code", "77#")),
        ("Save this for later: our PIN is 0815.", (USER, "PIN", "0815")),
        ("Can you write down that my doctor is Dr. Bell?", (USER, "doctor", "Dr. Bell")),
        ("I'd like you to remember that my tutor is Ana.", (USER, "tutor", "Ana")),
        ("Don\u2019t forget my aunt is vegan.", (USER, "aunt", "vegan")),
        ("Remember, my bus is the 14.", (USER, "bus", "the 14")),
        ("帮我记一下，我的门牌是12号。", (USER, "门牌", "12号")),
        ("能帮我记一下我的车牌号是京A1吗？", (USER, "车牌号", "京A1")),
        ("My password is s3cret, please remember that.", (USER, "password", "s3cret")),
        ("Hello! My flight is LH123. Remember that!", (USER, "flight", "LH123")),
        ("My seat is 12A, could you note that down for me?", (USER, "seat", "12A")),
        ("My gate is B7 so keep it in mind", (USER, "gate", "B7")),
        ("Tom's birthday is 3 May\nDon't forget it, please.", ("Tom", "birthday", "3 May")),
        ("我的车牌号是京A88021，请记住。", (USER, "车牌号", "京A88021")),
        ("我的航班是LH123。帮我记一下哦", (USER, "航班", "LH123")),
    ],
)
def test_what_is_asked_to_be_remembered_has_subject_key_and_value(text: str, found: tuple[str, str, str]) -> None:
    assert [(one.subject, one.key, one.value) for one in asked_for(text)] == [found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Remember that my email is a@b.org and my phone is 123.",
            [(USER, "email", "a@b.org"), (USER, "phone", "123")],
        ),
        ("Remember my name is Zoë, and that I live in Köln.", [(USER, "name", "Zoë"), (USER, "lives in", "Köln")]),
        ("记住我的座位是12A和我的航班是LH123。", [(USER, "座位", "12A"), (USER, "航班", "LH123")]),
        ("Remember that my wife and I live in Porto.", [("wife and I", "lives in", "Porto")]),
    ],
)
def test_what_is_asked_at_once_is_kept_apart(text: str, found: list[tuple[str, str, str]]) -> None:
    assert [(one.subject, one.key, one.value) for one in asked_for(text)] == found


def test_what_is_so_no_longer_is_kept_as_it_was_said() -> None:
    (found,) = asked_for("Remember that I don't live in Lisbon any more.")

    assert (found.value, found.single) == ("I don't live in Lisbon any more", False)


def test_what_cannot_be_kept_apart_takes_the_place_of_nothing() -> None:
    (found,) = asked_for("Remember that my name is Zoë and I never eat fish.")

    assert (found.value, found.single) == ("my name is Zoë and I never eat fish", False)


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
        "I remember that my dog was small.",
        "Don't forget the milk.",
        "Remember to answer in French.",
        "Load the data, save it, and plot the mean.",
        "Keep that, but drop the second paragraph.",
        "Keep it that way.",
        "Please write down the steps to deploy the app, they should be short.",
        "Jot down Python code that has a loop.",
        "你记得我的生日吗？",
        "不记得我的生日了。",
        "I didn't remember that my meeting was moved.",
        "Please do not remember that my code is 1.",
        "As long as I live, I will remember that.",
        "If you see him, remember that.",
        "What is my seat? Remember that.",
        "I take the bus. I remember that.",
        "你记住了。",
    ],
)
def test_who_does_not_ask_for_it_is_not_heard(text: str) -> None:
    assert asked_for(text) == []
