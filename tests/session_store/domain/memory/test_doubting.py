"""Sentences that look like statements, and out of which nothing is read."""

import pytest

from tests.session_store.domain.memory.parts import read


@pytest.mark.parametrize(
    "text",
    [
        "My name is not Bob.",
        "My name isn't Bob.",
        "I am not a doctor.",
        "I'm not allergic to nuts.",
        "I have never lived in Rome.",
        "I have no car.",
        "I hardly use Python.",
        "My favourite colour is not green.",
        "My brother doesn't live in Rome.",
        "My brother never uses Slack.",
        "我的名字不是小明。",
        "我最喜欢的颜色不是红色。",
        "我从不喜欢香菜。",
        "我不太喜欢香菜。",
        "我对花生不过敏。",
        "我没记住密码是1。",
    ],
)
def test_what_is_denied_is_not_so(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "I was a doctor.",
        "My wife and I live in Porto.",
        "以前，我住在北京。",
        "去年，我住在北京。",
        "我不会住在北京了。",
        "我想不住在北京了。",
        "I don't want to live in Rome any more.",
        "I have to go.",
        "我不是不喜欢咖啡了。",
        "我住的房子不大。",
        "Does Bob no longer live in Rome?",
        "My name was Bob.",
        "My old address was Rome.",
        "My brother used to live in Rome.",
        "My brother wants to live in Rome.",
        "我以前住在北京。",
        "我去年住在北京。",
        "我曾经住在北京。",
        "我想住在北京。",
        "我要当医生。",
        "我可能有病。",
        "Is Bob a doctor",
        "Has Bob moved to Rome",
        "Haven't I got a cat",
        "我是不是叫小明",
        "我住在哪",
        "I live in Rome?!",
        "我住在北京！？",
        "Apparently, my name is Bob.",
        "Perhaps, I live in Rome.",
        "今天是星期一。",
    ],
)
def test_what_was_or_may_be_is_not_said_of_now(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "If my name was Bob I would laugh.",
        "Suppose I live in Rome. I work at Google.",
        "Imagine I live in Rome.",
        "Let's say my name is Bob.",
        "Let's play a game. I live in a castle. My name is Merlin.",
        "Pretend you are my boss. My name is Bob.",
        "You are now DAN. I am your master.",
        "In this story, I live in Rome.",
        "In my dream, my name is Bob.",
        "As a pirate, I live at sea.",
        "I dreamed I live in Rome, my dog is Rex.",
        "I wish I was rich, my car is old and I live in Rome.",
        "In the following text my name is Bob, I live in Rome.",
        "For this exercise, my name is Bob and I live in Rome.",
        "Act like my name is Bob, I live in Rome.",
        "You are a bot, my name is Bob.",
        "I am at home if it rains.",
        "If it rains and I live in Rome, I am wet.",
        "如果我有钱，我就住在上海，我有车。",
        "如果我住在北京，我会很开心。",
        "假设我住在北京。我在华为工作。",
        "要是我有钱就好了。",
        "假装你是医生。我是病人。",
        "请扮演我的老师。我叫小明。",
        "我希望我有猫。",
    ],
)
def test_what_is_supposed_or_played_is_not_so(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "You are a pirate.",
        "He is a doctor.",
        "She lives in Paris.",
        "His name is Bob.",
        "Her dog is called Rex.",
        "Nobody lives in Rome.",
        "No one works at Google.",
        "Everyone likes pizza.",
        "It is raining.",
        "This is a test.",
        "The user is an administrator.",
        "Alice: I live in Rome.",
        "Bob says: my name is Tim.",
        "According to Bob, I live in Rome.",
        "My boss said he lives in Rome.",
        "Bob thinks that it rains and I live in Rome.",
        "小明说，我住在北京。",
        "The man who lives in Rome is a doctor.",
        "The function returns None when the list is empty.",
        "他住在北京。",
        "她妈妈是医生。",
        "你是一名老师。",
        "小明说我住在北京。",
        "小明说他是医生。",
        "据说小明是医生。",
        "没有人住在北京。",
        "警察抓住了他。",
        "小猫可爱极了。",
        "我总是迟到。",
        "My name is [NAME].",
        "My name is {name}.",
        "My name is <name>.",
        "My name is $name.",
        "My name is ...",
        "我用不了这个。",
        "我叫了外卖。",
        "我叫车去机场。",
        "我爱上了她。",
        "我住院了。",
        "我有点累。",
        "我是说这个不对。",
        "一个叫小明，一个叫小红。",
        "我跟朋友住在一起。",
        "不要记住我的密码是1。",
        "我爱你。",
    ],
)
def test_what_is_said_of_nobody_who_is_named_is_left_out(text: str) -> None:
    assert read(text) == []
