"""What people ask to have remembered, and what only looks like it."""

import pytest

from session_store.domain.memory.notes import USER
from session_store.domain.memory.relating import statements
from session_store.domain.memory.stating import asked_for
from tests.session_store.domain.memory.parts import read


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
        ("Help me remember that my code is 1.", (USER, "code", "1")),
        ("Make sure you remember that my code is 1.", (USER, "code", "1")),
        ("Do remember that my code is 1.", (USER, "code", "1")),
        ("Remember also that my code is 1.", (USER, "code", "1")),
        ("Remember, too, that my code is 1.", (USER, "code", "1")),
        ("Remember that my code is 1, ok?", (USER, "code", "1")),
        ("Remember that my boat is Heron, will you?", (USER, "boat", "Heron")),
        ("记住我叫小明，好吗？", (USER, "名叫", "小明")),
        ("记住用户名是bob", (USER, "用户名是bob", "用户名是bob")),
        ("My password is s3cret, please remember that.", (USER, "password", "s3cret")),
        ("Hello! My flight is LH123. Remember that!", (USER, "flight", "LH123")),
        ("My seat is 12A, could you note that down for me?", (USER, "seat", "12A")),
        ("My gate is B7 so keep it in mind", (USER, "gate", "B7")),
        ("Tom's birthday is 3 May\nDon't forget it, please.", ("Tom", "birthday", "3 May")),
        ("我的车牌号是京A88021，请记住。", (USER, "车牌号", "京A88021")),
        ("我的航班是LH123。帮我记一下哦", (USER, "航班", "LH123")),
        ("Remember that my wife and I live in Porto.", (USER, *["my wife and I live in Porto"] * 2)),
        ("My sister is Ann, remember that, ok?", (USER, "sister", "Ann")),
    ],
)
def test_what_is_asked_to_be_remembered_has_subject_key_and_value(text: str, found: tuple[str, str, str]) -> None:
    assert [(one.subject, one.key, one.value) for one in asked_for(text)] == [found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Remember that my code is 1. Remember that my PIN is 2.", {"code": "1", "PIN": "2"}),
        ("Remember that my code is 1, and remember that my PIN is 2!", {"code": "1", "PIN": "2"}),
        ("Remember my code is 1; also remember my PIN is 2.", {"code": "1", "PIN": "2"}),
        ("Please remember that my code is 1 and that my PIN is 2.", {"code": "1", "PIN": "2"}),
        ("Could you remember that my code is 1 and my PIN is 2?", {"code": "1", "PIN": "2"}),
        ("- Remember: my code is 1.\n- Remember: my PIN is 2.", {"code": "1", "PIN": "2"}),
        ("Keep in mind that I live in Rome. Remember my tutor is Ana.", {"lives in": "Rome", "tutor": "Ana"}),
        ("记住我的车牌是A1。还有记住我的电话是123。", {"车牌": "A1", "电话": "123"}),
        ("请记住我的车牌是A1，还要记住我的电话是123", {"车牌": "A1", "电话": "123"}),
        ("帮我记一下我的车牌是A1，我的电话是123。", {"车牌": "A1", "电话": "123"}),
        ("Remember that my email is a@b.org and my phone is 123.", {"email": "a@b.org", "phone": "123"}),
        ("Remember my name is Zoë, and that I live in Köln.", {"name": "Zoë", "lives in": "Köln"}),
        ("记住我的座位是12A和我的航班是LH123。", {"座位": "12A", "航班": "LH123"}),
        ("My code is 1 and my PIN is 2. Remember that.", {"code": "1", "PIN": "2"}),
    ],
)
def test_all_that_one_message_asks_to_have_remembered_counts(text: str, found: dict[str, str]) -> None:
    assert {one.key: one.value for one in asked_for(text)} == found
    assert {one.key: one.value for one in statements(text)} == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Note that the spare key lies under the flowerpot.", ["the spare key lies under the flowerpot"]),
        ("Please note: the gate is shut at nine!", ["the gate is shut at nine"]),
        ("Note that A is one. Note that B is two.", ["A is one", "B is two"]),
        ("Note that I am vegan. What can I cook?", ["I am vegan"]),
        ("Thanks. For future reference, our size is 43.", ["our size is 43"]),
    ],
)
def test_a_note_counts_by_itself_and_of_oneself(text: str, said: list[str]) -> None:
    assert [found.text for found in asked_for(text)] == said


LETTER = "I live in Rome. Remember that my code is 1."


@pytest.mark.parametrize(
    "text",
    [
        "What does this say?\n> I live in Rome.\n> Remember that my code is 1.",
        f"Why does it fail?\n```\n{LETTER}\n```",
        f"~~~text\n{LETTER}",
        f"    {LETTER}",
        f"# {LETTER}",
        f"// {LETTER}\n/* {LETTER} */",
        f'{{"text": "{LETTER}",\n "more": "So. {LETTER}"}}',
        f"| {LETTER} | Yes. {LETTER} |",
        f"<p>{LETTER}</p>",
        f'print("{LETTER}")',
        f'Bob said: "Hello. {LETTER}"',
        f"She wrote \u201cHello.\n{LETTER}\u201d to me",
        f"Look at this.\nOn Monday, Bob wrote:\n{LETTER}",
        f"From: Bob <bob@example.com>\nTo: me\n\n{LETTER}",
        f"See below\n-----Original Message-----\n{LETTER}",
        f"Alice: Hi. {LETTER}\nBob: Oh. {LETTER}",
        f"Translate this into French: {LETTER}",
        f"Please summarise the following letter.\n\nHi. {LETTER}",
        "请翻译：你好。我住在北京。记住我的密码是1。",
        "小明：你好。我住在北京。\n小红：记住我的密码是1。",
        "他说：“你好。我住在北京。记住我的密码是1。”",
        "张三写道：\n我住在北京。记住我的密码是1。",
    ],
)
def test_what_is_quoted_or_pasted_is_nobodys_word(text: str) -> None:
    assert (read(text), asked_for(text)) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        f"```\nx\n```\n{LETTER}",
        f"> What is new?\n{LETTER}",
        f'My boat is called "Albatross". {LETTER}',
        f'It is 5" long. {LETTER}',
        f"PS: thanks.\nUpdate: none.\n{LETTER}",
    ],
)
def test_what_stands_beside_it_is_the_writers_own(text: str) -> None:
    assert (USER, "lives in", "Rome") in read(text)
    assert [found.value for found in asked_for(text)] == ["1"]


def test_what_is_denied_is_kept_as_it_was_said() -> None:
    assert [(one.key, one.value) for one in asked_for("Remember that my name is not Bob.")] == [
        ("my name is not Bob", "my name is not Bob")
    ]


def test_what_is_so_no_longer_is_kept_as_it_was_said() -> None:
    (found,) = asked_for("Remember that I don't live in Lisbon any more.")

    assert (found.value, found.single, found.is_over) == ("I don't live in Lisbon any more", False, False)


@pytest.mark.parametrize(
    "said",
    [
        "my name is Zoë and I never eat fish",
        "my name is Zoë and I no longer live in Rome",
        "my a is 1, my b is 2, my c is 3, my d is 4 and my e is 5",
    ],
)
def test_what_cannot_be_kept_apart_takes_the_place_of_nothing(said: str) -> None:
    assert [(found.value, found.single) for found in asked_for(f"Remember that {said}.")] == [(said, False)]


def test_two_things_of_no_known_form_are_two() -> None:
    said = [
        found.text for found in asked_for("Remember that I take oat milk, and remember that Leo can't have gluten.")
    ]

    assert said == ["I take oat milk", "Leo can't have gluten"]


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
        "Note, however, that this method is slow.",
        "Remember, however, that this method is slow.",
        "The paper has limits. Note that the sample was small.",
        "Fix parse(), please. Note: the list is empty at first.",
        "It fails at once; note that the server is new.",
        "For the record, I disagree with all of this.",
        "We measured twice, and note that the second run was faster.",
        "Dear all. " * 60 + "Please note that my office is closed.",
        "Bob told me to note that the office is closed.",
        "You should not remember that my code is 1.",
        "Don't remember that my code is 1.",
        "If you remember that my code is 1, say so.",
        "He told me: remember that my PIN is 3.",
        "记得给我妈打电话",
        "别忘了买牛奶。",
        "记得用中文回答。",
        "请写一首诗，记住要押韵。",
        "记住，不要用英文回答。",
        "Remember my name.",
        "Can you remember my name? Do you?",
        "Remember the Alamo.",
        "I didn't remember that my meeting was moved.",
        "Please do not remember that my code is 1.",
        "As long as I live, I will remember that.",
        "If you see him, remember that.",
        "What is my seat? Remember that.",
        "I take the bus. I remember that.",
        "My file is a.txt, open it and save it.",
        "My seat is 12A. Do you remember that?",
        "My code is 1. Remember this:\n",
        "It is new.\n> My code is 1.\nRemember that.",
        "你记住了。",
        "不要记住我的密码是1。",
    ],
)
def test_who_does_not_ask_for_it_is_not_heard(text: str) -> None:
    assert asked_for(text) == []
