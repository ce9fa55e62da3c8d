"""Sentences and what is read out of them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_store.domain.memory.notes import USER
from session_store.domain.memory.relating import statements
from session_store.domain.memory.sentences import sentences
from session_store.domain.memory.stating import asked_for
from tests.session_store.domain.memory.parts import read


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
        ("The boiler was last serviced on 2 May.", ("boiler", "was", "last serviced on 2 May")),
        ("My favourite colour is green, not blue.", (USER, "favourite colour", "green")),
        ("我也喜欢猫。", (USER, "喜欢", "猫")),
        ("我一直住在上海。", (USER, "住在", "上海")),
        ("我的爱好是游泳。", (USER, "爱好", "游泳")),
        ("我的信用卡是招行的。", (USER, "信用卡", "招行的")),
        ("学生会的主席是小明。", ("学生会", "主席", "小明")),
        ("My flat costs $900!!", ("flat", "costs", "$900")),
        ("我住宿舍。", (USER, "住在", "宿舍")),
        ("我用户名是bob。", ("用户名", "是", "bob")),
        ("My favourite colour is now blue.", (USER, "favourite colour", "blue")),
        ("Bob is now a doctor.", ("Bob", "is", "a doctor")),
        ("My boss is Ann and she lives in Rome.", (USER, "boss", "Ann")),
        ("I like cats and dogs.", (USER, "likes", "cats and dogs")),
        ("我搬到上海了。", (USER, "住在", "上海")),
        ("我不再住在北京。", (USER, "住在", "北京")),
        ("My gate is B7 so keep it in mind.", (USER, "gate", "B7")),
        ("My gate is B7, please don't forget that!", (USER, "gate", "B7")),
    ],
)
def test_a_sentence_says_one_thing(text: str, found: tuple[str, str, str]) -> None:
    assert read(text) == [found]


def test_a_relative_with_a_name_is_two_things() -> None:
    assert read("My sister Ingrid is a carpenter.") == [(USER, "sister", "Ingrid"), ("Ingrid", "is", "a carpenter")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My name is Bob and I live in Rome.", [(USER, "name", "Bob"), (USER, "lives in", "Rome")]),
        ("I work at Crumb and live in Rome.", [(USER, "works at", "Crumb"), (USER, "lives in", "Rome")]),
        ("Bob works at Google and lives in Zurich.", [("Bob", "works at", "Google"), ("Bob", "lives in", "Zurich")]),
        ("Bob works at Google and Ann lives in Bonn.", [("Bob", "works at", "Google"), ("Ann", "lives in", "Bonn")]),
        (
            "I live in Lisbon, my dog is called Rex and I\u2019m allergic to nuts.",
            [(USER, "lives in", "Lisbon"), (USER, "dog", "Rex"), (USER, "is allergic to", "nuts")],
        ),
        ("In summer, I live in Rome and my car is red.", [(USER, "lives in", "Rome"), (USER, "car", "red")]),
        ("我的座位是12A和我的航班是LH123。", [(USER, "座位", "12A"), (USER, "航班", "LH123")]),
        ("I no longer live in Rome, I live in Bonn.", [(USER, "lives in", "Rome"), (USER, "lives in", "Bonn")]),
    ],
)
def test_each_clause_counts(text: str, found: list[tuple[str, str, str]]) -> None:
    assert read(text) == found


def test_a_clause_is_told_without_the_others() -> None:
    told = [found.text for found in statements("Bob uses Go and lives in Rome and my car is red.")]

    assert told == ["Bob uses Go", "Bob lives in Rome", "my car is red"]


@pytest.mark.parametrize(
    "text", ["Our server is called hydra and it has 64 GB", "Bob uses Go and likes it", "I live in Rome, I think"]
)
def test_what_is_not_understood_is_told_with_what_is(text: str) -> None:
    assert [found.text for found in statements(text)] == [text]


def test_when_it_is_so_is_told_with_it() -> None:
    assert [found.text for found in statements("In summer, I live in Rome.")] == ["In summer, I live in Rome"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I like to live in Rome and work at Google.", (USER, "likes", "to live in Rome")),
        ("I like people who live in Rome and work at Google.", (USER, "likes", "people who live in Rome")),
        ("I am glad my son lives in Rome and works at Google.", (USER, "is", "glad my son lives in Rome")),
        ("I live in Rome, and when I had a job, my boss is Ann.", (USER, "lives in", "Rome")),
        ("I no longer live in Rome and work at Google.", (USER, "lives in", "Rome")),
    ],
)
def test_what_belongs_to_the_clause_before_is_not_so_by_itself(text: str, found: tuple[str, str, str]) -> None:
    assert read(text) == [found]


def test_a_sentence_is_read_to_its_fourth_clause() -> None:
    assert len(read("My a is b" + ", my c is d" * 9)) == len(read("I like a" + " and like a" * 9)) == 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I don't live in Lisbon any more.", (USER, "lives in", "Lisbon")),
        ("My boss is no longer Ann.", (USER, "boss", "Ann")),
        ("My sister Ingrid no longer lives in Rome.", ("Ingrid", "lives in", "Rome")),
        ("I don't live in Rome or work at Google anymore.", (USER, "lives in", "Rome or work at Google")),
        ("我不喜欢咖啡了。", (USER, "喜欢", "咖啡")),
        ("I live in Rome no longer.", (USER, "lives in", "Rome")),
        ("我再也不是医生了。", (USER, "是", "医生")),
        ("我对花生不过敏了。", (USER, "过敏于", "花生")),
    ],
)
def test_what_is_so_no_longer_is_said_to_be_over(text: str, found: tuple[str, str, str]) -> None:
    assert [(one.subject, one.key, one.value) for one in statements(text) if one.is_over] == [found]


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


@pytest.mark.parametrize(
    "text",
    [
        "remember this " + "\n" * 4_000,
        "remember that " * 300,
        "remember " * 500,
        "remember this" + " " * 4_000,
        "please, " * 500 + "remember",
        "and that my " * 350,
        "Remember that my " + "a b " * 1_000 + "is",
        "我记住，" * 1_000,
        "帮我" * 2_000,
        "\u201c" * 4_000,
        "\u201c. " * 1_300,
        '"`' * 2_000,
        ".fix this" * 450,
        "\n" * 2_000 + "fix this " * 200,
        "On a wrote" * 400,
        "From:" + "@" * 3_900,
        "写道" * 2_000,
        "A:\n" * 1_300,
        "-" * 4_000,
        "?" * 3_999 + "x",
        "My " + "a " * 1_900 + "is",
        "My name is Bob" + " and my a" * 400,
        "My name is " + "if " * 1_300,
        "Let's " * 600 + "play",
        "I" * 4_000,
        "A " * 2_000 + "is",
        "\n".join(["My a is b and I live in Rome"] * 130),
        "我" * 4_000,
        "我的" * 2_000 + "是",
        "\n".join(["小明现在也都一直住在"] * 350),
        "别忘了记得" * 800,
        "I like a" + " and like a" * 400,
        "My a is b" + ", my a is b" * 400,
        "My a is b" + ", and that I" * 400,
        "I" + " no longer" * 400 + " live in Rome any more",
        "my " + "don't forget that, please, " * 150,
        "我" + "不再" * 2_000 + "了",
        "我的a是b" + "和我的a是b" * 700,
        "and " * 1_000 + "remember that",
    ],
    ids=range(39),
)
def test_nobody_holds_the_rules_up(text: str) -> None:
    spent: list[float] = []
    for _ in range(3):
        began = time.thread_time()
        asked_for(text)
        statements(text)
        spent.append(time.thread_time() - began)

    assert min(spent) < 0.08


@given(st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    for found in [*statements(text), *asked_for(text)]:
        assert all((found.subject, found.value, found.text))
    assert all(sentence.text in text for sentence in sentences(text))
