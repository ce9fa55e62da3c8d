from typing import Any

import pytest

from chat_gateway.domain.reading import Reader, Recorder, Skimmer, Transcript, chunk_of, usage_of
from sage_contracts.chat import Usage
from sage_contracts.sse import event

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "details": {"x": 1}}


def frame(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    return event({"choices": [{"index": index, "delta": delta or {}, "finish_reason": finish}], **more})


def readers() -> list[Reader]:
    return [Skimmer(), Recorder(Transcript())]


@pytest.mark.parametrize("reader", readers())
def test_frames_stay_as_they_are(reader: Reader) -> None:
    frames = [frame({"content": "a", "unknown": [1.0]}), b": ping\n\n", b"event: x\ndata: y\n\n", b"data: {broken\n\n"]

    assert [reader.read(one) for one in frames] == frames


@pytest.mark.parametrize("reader", readers())
def test_the_end_and_the_usage_are_seen(reader: Reader) -> None:
    reader.read(frame({"content": '"finish_reason": "stop" and "usage": {'}))
    assert (reader.finished, reader.usage()) == (False, None)

    reader.read(frame(finish="stop", usage=None))
    reader.read(event({"choices": [], "usage": USAGE}))
    assert (reader.finished, reader.failed) == (True, False)
    assert reader.usage() == Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)


@pytest.mark.parametrize("reader", readers())
def test_an_error_in_the_stream_is_seen(reader: Reader) -> None:
    reader.read(frame({"content": '"error": no'}, error=None))
    assert not reader.failed

    reader.read(event({"error": {"message": "out of memory"}}))
    assert reader.failed


def test_a_transcript_joins_what_is_said() -> None:
    transcript = Transcript()
    for text in ("Hel", "lo"):
        transcript.read(
            {"choices": [{"index": 0, "delta": {"content": text}}, {"index": 1, "delta": {"content": "x"}}]}
        )

    assert transcript.text == "Hello"


def test_a_transcript_joins_calls_by_their_index() -> None:
    transcript = Transcript()
    for call in (
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}},
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x'}},
        {"index": 0, "function": {"arguments": '":1}'}},
        {"index": 1, "function": None},
        "nonsense",
    ):
        transcript.read({"choices": [{"delta": {"tool_calls": [call]}}]})

    assert transcript.tool_calls == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]


def test_a_transcript_reads_a_whole_answer_too() -> None:
    transcript = Transcript()
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "hi", "tool_calls": [call, call | {"id": "b"}]}
    transcript.read({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": USAGE})

    assert (transcript.text, [one["id"] for one in transcript.tool_calls]) == ("hi", ["a", "b"])
    assert (transcript.finish_reason, transcript.usage is not None) == ("tool_calls", True)


@pytest.mark.parametrize(
    "chunk",
    [{}, {"choices": None}, {"choices": [1, {}, {"delta": 5}, {"delta": {"tool_calls": 3}}]}, {"usage": {"x": 1}}],
)
def test_nonsense_of_an_engine_is_no_reason_to_fail(chunk: dict[str, Any]) -> None:
    transcript = Transcript()
    transcript.read(chunk)

    assert (transcript.text, transcript.tool_calls, transcript.usage) == ("", [], None)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"prompt_tokens":5,"total_tokens":5}}', Usage(prompt_tokens=5, total_tokens=5)),
        (b'{"usage":null}', None),
        (b'{"usage":[1]}', None),
        (b"not json", None),
        (b"\xff", None),
    ],
)
def test_the_usage_of_a_whole_answer(body: bytes, usage: Usage | None) -> None:
    assert usage_of(body) == usage


def test_deep_nesting_is_not_decoded() -> None:
    assert chunk_of(b'data: {"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n") is None


@pytest.mark.parametrize(
    ("given", "kept"), [('{"a": 1}', '{"a": 1}'), ({"a": 1}, '{"a":1}'), (None, ""), (3, "3"), ("", "")]
)
def test_the_arguments_of_a_call_are_text_whatever_the_engine_tells(given: object, kept: str) -> None:
    transcript = Transcript()
    call = {"id": "a", "function": {"name": "f", "arguments": given}}
    transcript.read({"choices": [{"index": 0, "message": {"tool_calls": [call]}}]})

    assert transcript.tool_calls[0]["function"] == {"name": "f", "arguments": kept}


def test_an_answer_is_remembered_by_the_name_its_engine_gave_it() -> None:
    transcript = Transcript()
    transcript.read({"id": "c1", "created": 5, "choices": []})
    transcript.read({"id": "c2", "created": 6, "choices": []})

    assert transcript.completion == {"completion_id": "c1", "created": 5}


@pytest.mark.parametrize("chunk", [{}, {"id": 5}, {"id": None}, {"id": "c", "created": "soon"}])
def test_a_name_that_is_none_is_left_out(chunk: dict[str, Any]) -> None:
    transcript = Transcript()
    transcript.read(chunk)

    assert transcript.completion in ({}, {"completion_id": "c"})


def test_unknown_fields_grow_as_they_come() -> None:
    transcript = Transcript()
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": "", "refusal": None, "tool_calls": [], "details": []},
        {"reasoning_content": "I ", "function_call": {"name": "f", "arguments": "{"}, "details": [1], "n": 1},
        {"reasoning_content": "think", "function_call": {"arguments": "}"}, "details": [2], "n": 2, "odd": {"a": 1}},
        {"odd": "text", "function_call": None, "context": {"x": 1}, "annotations": [{"a": 1}]},
        {"content": "x", "annotations": [{"b": 2}]},
    ]
    for delta in deltas:
        transcript.read({"choices": [{"index": 0, "delta": delta}]})

    assert transcript.extra == {
        "reasoning_content": "I think",
        "function_call": {"name": "f", "arguments": "{}"},
        "details": [1, 2],
        "n": 2,
        "odd": "text",
    }
    assert transcript.annotations == [{"a": 1}, {"b": 2}]
