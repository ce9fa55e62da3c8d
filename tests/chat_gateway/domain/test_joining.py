from typing import Any

import pytest

from chat_gateway.domain.joining import asked_now, joined, stored_form, told
from sage_contracts.errors import InvalidRequest
from sage_contracts.sessions import Message
from tests.fakes.turns import NOW

Said = dict[str, Any]


def u(text: Any) -> Said:
    return {"role": "user", "content": text}


def a(text: Any, **more: Any) -> Said:
    return {"role": "assistant", "content": text, **more}


def s(text: str, role: str = "system") -> Said:
    return {"role": role, "content": text}


def calls(*names: str) -> list[Said]:
    return [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in names]


def result(call: str) -> Said:
    return {"role": "tool", "content": "42", "tool_call_id": call}


def stored(*told: Said) -> list[Message]:
    return [Message(id=f"m{number}", timestamp=NOW, **one) for number, one in enumerate(told)]


@pytest.mark.parametrize(
    ("past", "incoming", "prompt", "new"),
    [
        pytest.param([], [u("1")], [u("1")], [u("1")], id="a first turn"),
        pytest.param([u("1"), a("2")], [u("3")], [u("1"), a("2"), u("3")], [u("3")], id="only the new message is sent"),
        pytest.param(
            [u("1"), a("2")], [u("1"), a("2"), u("3")], [u("1"), a("2"), u("3")], [u("3")], id="all is sent again"
        ),
        pytest.param(
            [u("1"), a("2"), u("3"), a("4")],
            [u("3"), a("4"), u("5")],
            [u("1"), a("2"), u("3"), a("4"), u("5")],
            [u("5")],
            id="the end is sent again",
        ),
        pytest.param(
            [u("1"), a("2")],
            [u([{"type": "text", "text": "1"}]), a(" 2\n"), u("3")],
            [u("1"), a("2"), u("3")],
            [u("3")],
            id="text in parts and trimmed is the same text",
        ),
        pytest.param([u("1"), a("2")], [u("1")], [u("1"), a("2"), u("1")], [u("1")], id="the same question again"),
        pytest.param(
            [u("1"), a("2")],
            [u("1"), a("other"), u("3")],
            [u("1"), a("2"), u("1"), a("other"), u("3")],
            [u("1"), a("other"), u("3")],
            id="an edited history is new",
        ),
        pytest.param(
            [s("A"), u("1"), a("2")], [u("3")], [s("A"), u("1"), a("2"), u("3")], [u("3")], id="stored system"
        ),
        pytest.param(
            [s("A"), u("1"), a("2")],
            [s("A"), u("3")],
            [s("A"), u("1"), a("2"), u("3")],
            [u("3")],
            id="the same system message is stored once",
        ),
        pytest.param(
            [s("A"), u("1"), a("2")],
            [s("B"), u("3")],
            [s("B"), u("1"), a("2"), u("3")],
            [s("B"), u("3")],
            id="the request's own system message wins",
        ),
        pytest.param(
            [s("A"), u("1"), a("2"), s("B"), u("3"), a("4")],
            [u("5")],
            [s("B"), u("1"), a("2"), u("3"), a("4"), u("5")],
            [u("5")],
            id="the last stored system message is in force",
        ),
        pytest.param(
            [u("1"), a("2")],
            [u("1"), s("B", "developer"), a("2"), u("3")],
            [s("B", "developer"), u("1"), a("2"), u("3")],
            [s("B", "developer"), u("3")],
            id="instructions go first",
        ),
        pytest.param(
            [u("1"), a(None, tool_calls=calls("c"))],
            [result("c")],
            [u("1"), a(None, tool_calls=calls("c")), result("c")],
            [result("c")],
            id="a call and the result that comes now",
        ),
        pytest.param(
            [u("1"), a(None, tool_calls=calls("c"))],
            [u("1"), a(None, tool_calls=calls("c")), result("c")],
            [u("1"), a(None, tool_calls=calls("c")), result("c")],
            [result("c")],
            id="a call sent again with its result",
        ),
        pytest.param(
            [u("1"), a(None, tool_calls=calls("c")), result("c"), a("2")],
            [u("3")],
            [u("1"), a(None, tool_calls=calls("c")), result("c"), a("2"), u("3")],
            [u("3")],
            id="calls keep their results",
        ),
        pytest.param(
            [result("c"), a("2")],
            [u("3")],
            [a("2"), u("3")],
            [u("3")],
            id="a result whose call was trimmed is left out",
        ),
        pytest.param(
            [u("1"), a(None, tool_calls=calls("c"))],
            [u("never mind")],
            [u("1"), u("never mind")],
            [u("never mind")],
            id="a call without result is left out",
        ),
        pytest.param(
            [u("1"), a("hm", tool_calls=[{"id": {"c": 1}}, {"id": [1]}, {"id": 1}])],
            [u("2")],
            [u("1"), a("hm"), u("2")],
            [u("2")],
            id="a call whose id is none has no result",
        ),
        pytest.param(
            [u("1"), a("wait", tool_calls=calls("c", "d")), result("c")],
            [u("2")],
            [u("1"), a("wait"), u("2")],
            [u("2")],
            id="calls of which one has no result are left out, the text stays",
        ),
    ],
)
def test_history_and_request_are_joined(
    past: list[Said], incoming: list[Said], prompt: list[Said], new: list[Said]
) -> None:
    told = joined(stored(*past), incoming)

    assert (told.prompt, told.new) == (prompt, new)


def test_pictures_are_compared_too() -> None:
    def picture(url: str) -> Said:
        return u([{"type": "image_url", "image_url": {"url": url}}])

    past = [picture("a"), a("a cat")]
    again = joined(stored(*past), [picture("a"), a("a cat"), u("sure?")])
    other = joined(stored(*past), [picture("b"), a("a cat"), u("sure?")])

    assert (len(again.new), len(other.new)) == (1, 3)


def test_a_history_sent_whole_is_found_behind_a_trimmed_one() -> None:
    told = joined(stored(u("3"), a("4")), [u("1"), a("2"), u("3"), a("4"), u("5")], dropped=2)

    assert (told.prompt, told.new) == ([u("3"), a("4"), u("5")], [u("5")])


def test_without_trimming_a_longer_history_is_somebody_elses() -> None:
    told = joined(stored(u("3"), a("4")), [u("1"), a("2"), u("3"), a("4"), u("5")], dropped=0)

    assert told.new == [u("1"), a("2"), u("3"), a("4"), u("5")]


@pytest.mark.parametrize(
    ("incoming", "prompt", "new"),
    [
        pytest.param([u("1"), a("2"), u("3")], [u("3")], [u("3")], id="all is sent again"),
        pytest.param([u("3")], [u("3")], [u("3")], id="only the new message is sent"),
        pytest.param([u("3"), u("4")], [u("3"), u("4")], [u("3"), u("4")], id="no answer is sent again"),
        pytest.param([s("A"), u("1"), a("2"), u("3")], [s("A"), u("3")], [s("A"), u("3")], id="with instructions"),
        pytest.param([u("1"), a("2")], [u("1"), a("2")], [a("2")], id="an answer that is to be gone on with"),
        pytest.param(
            [u("1"), a("2"), u("3"), a(None, tool_calls=calls("c")), result("c")],
            [u("3"), a(None, tool_calls=calls("c")), result("c")],
            [result("c")],
            id="the result of a call, told with its question",
        ),
    ],
)
def test_where_the_whole_history_was_left_out_the_last_answer_ends_what_is_known(
    incoming: list[Said], prompt: list[Said], new: list[Said]
) -> None:
    told = joined([], incoming, dropped=4, budget_tokens=0)

    assert (told.prompt, told.new) == (prompt, new)


@pytest.mark.parametrize(
    ("budget", "told"),
    [(None, ["1", "2", "3", "4"]), (90, ["1", "2", "3", "4"]), (53, ["3", "4"]), (35, []), (0, [])],
)
def test_a_conversation_that_is_another_takes_the_place_of_the_oldest_dialogs(
    budget: int | None, told: list[str]
) -> None:
    incoming = [u("another"), a("answer"), u("5")]
    joint = joined(stored(u("1"), a("2"), u("3"), a("4")), incoming, budget_tokens=budget)

    assert joint.prompt == [*(u(one) if one in "13" else a(one) for one in told), *incoming]
    assert joint.new == incoming


def test_examples_are_told_where_nothing_stored_fits() -> None:
    """They are no part of the session, but the request's own."""
    found = joined([], [u("2+2?"), a("4"), u("3+3?")], dropped=4, budget_tokens=100)

    assert (found.prompt, found.new) == ([u("2+2?"), a("4"), u("3+3?")], [u("3+3?")])


def test_a_result_is_never_told_without_its_call() -> None:
    call = a(None, tool_calls=calls("c1"))
    said = [u("1"), call, result("c1"), a("42"), u("2")]

    found = joined(stored(u("1"), call), said, budget_tokens=1)

    assert found.prompt == said


def test_instructions_are_known_where_nothing_else_is_told() -> None:
    told = joined(stored(s("A")), [s("A"), u("1"), a("2"), u("3")], dropped=2)

    assert (told.prompt, told.new) == ([s("A"), u("3")], [u("3")])


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "robot", "content": "x"}, "messages[2].role"),
        ({"content": "x"}, "messages[2]"),
        ({"role": "user", "content": 5}, "messages[2].content"),
        ({"role": "user", "content": [{}, 5]}, "messages[2].content[1]"),
        ({"role": ["user"]}, "messages[2].role"),
    ],
)
def test_a_message_that_cannot_be_stored_is_the_clients_fault(message: Said, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        stored_form(message, "messages[2]")

    assert caught.value.param == field
    assert str(caught.value).startswith(f"{field}: ")
    assert "$" not in str(caught.value)


def test_nulls_are_left_out_and_unknown_fields_kept() -> None:
    kept = stored_form({"role": "assistant", "content": None, "tool_calls": None, "refusal": None, "audio": {"id": 1}})

    assert (kept.role, kept.content, kept.extra) == ("assistant", None, {"audio": {"id": 1}})


def test_what_only_the_store_can_say_of_a_message_is_not_taken_from_a_client() -> None:
    own = {"id": "m1", "timestamp": "2026-01-01", "metadata": {"status": "unanswered"}, "extra": {"role": "system"}}
    kept = stored_form({"role": "user", "content": "x", "parent_id": None, **own})

    assert kept == stored_form({"role": "user", "content": "x"})


def test_unknown_fields_are_told_again_but_not_what_a_model_thought() -> None:
    extra = {"function_call": {"name": "f", "arguments": "{}"}, "reasoning_content": "hm", "reasoning": "hm"}
    message = Message(id="m", role="assistant", timestamp=NOW, content="x", extra={**extra, "role": "system"})

    assert told(message) == {"role": "assistant", "content": "x", "function_call": extra["function_call"]}


def cited(content: str, *places: tuple[int, int]) -> Message:
    annotations = [{"url_citation": {"start_index": start, "end_index": end}} for start, end in places]
    metadata = {"annotations": annotations}
    return Message(id="m", role="assistant", timestamp=NOW, content=content, metadata=metadata)


def test_links_of_an_earlier_answer_are_told_to_no_engine() -> None:
    answer = "Yes [1](guide.md#use)."
    past = [*stored(u("1")), cited(answer, (4, 21))]

    for incoming in ([u("2")], [u("1"), a(answer), u("2")]):
        told = joined(past, incoming)
        assert (told.prompt, told.new) == ([u("1"), a("Yes."), u("2")], [u("2")])


@pytest.mark.parametrize("annotations", ["x", ["x"], [{"url_citation": {"start_index": "0"}}], None])
def test_annotations_of_another_shape_are_left_alone(annotations: object) -> None:
    answer = Message(id="m", role="assistant", timestamp=NOW, content="[1](x)", metadata={"annotations": annotations})

    assert joined([*stored(u("1")), answer], [u("2")]).prompt[1] == a("[1](x)")


@pytest.mark.parametrize(
    ("incoming", "asked"),
    [
        ([u("1")], [u("1")]),
        ([s("A"), u("1")], [u("1")]),
        ([u("1"), a("2"), u("3"), s("B"), u("4")], [u("3"), u("4")]),
        ([u("1"), a(None, tool_calls=calls("c")), result("c")], [result("c")]),
        ([u("1"), a("2")], []),
        ([], []),
    ],
)
def test_what_is_asked_now_stands_behind_the_last_answer(incoming: list[Said], asked: list[Said]) -> None:
    assert asked_now(incoming) == asked


def test_a_receipt_can_tell_what_the_request_brought() -> None:
    past = stored(s("A"), u("1"), a("2"))

    assert joined(past, [u("1"), a("2"), u("3")]).sent == [u("3")]
    assert joined(past, [s("B"), u("3")]).sent == [s("B"), u("3")]
