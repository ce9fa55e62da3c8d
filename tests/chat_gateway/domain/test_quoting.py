from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chat_gateway.domain.grounding import Grounds
from chat_gateway.domain.quoting import Quoter
from chat_gateway.domain.reading import Transcript, chunk_of, is_done
from sage_contracts import sse
from tests.chat_gateway.domain.test_reading import USAGE, frame
from tests.fakes.injected import INJECTED
from tests.fakes.services import passage

GROUNDS = Grounds([passage("Blue.", 1), passage("Red.", 2)], ["a.md", "b.md"])
NOTHING = Grounds(reason="there is no index")


JUNK: tuple[Any, ...] = (None, "", "x", 5, -1, 1.5, True, [], {}, [1], [{}], {"a": 1})

CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SAID = {"role": "assistant", "content": "a [1]", "tool_calls": [CALL], "refusal": "no", "context": {}}


def spoiled(told: Any) -> Iterator[Any]:
    """Each time another one of its values is something else."""
    yield from JUNK
    if isinstance(told, dict | list):
        for name, value in told.items() if isinstance(told, dict) else enumerate(told):
            for other in spoiled(value):
                copy = told.copy()
                copy[name] = other
                yield copy


class Scene:
    def __init__(self, grounds: Grounds = GROUNDS, model: str | None = "sage-default") -> None:
        self.transcript = Transcript()
        self.quoter = Quoter(grounds, self.transcript, model)
        self.frames: list[bytes] = []

    def read(self, *frames: bytes) -> None:
        for one in frames:
            self.frames += sse.Frames().feed(self.quoter.read(one))

    def say(self, *words: str, finish: str | None = "stop") -> None:
        self.read(*(frame({"content": word}, model="m", id="x") for word in words))
        self.read(frame(finish=finish, model="m", id="x"))

    @property
    def deltas(self) -> list[dict[str, Any]]:
        return [choice["delta"] for one in self.frames for choice in (chunk_of(one) or {})["choices"]]

    @property
    def text(self) -> str:
        return "".join(delta.get("content") or "" for delta in self.deltas)


def test_citations_across_frames_become_links() -> None:
    scene = Scene()
    scene.say("Blue [", "1", "]", ".")

    assert scene.text == scene.transcript.text == "Blue [1](a.md)."


def test_the_sources_come_first_and_the_places_last() -> None:
    scene = Scene()
    scene.say("Blue [1].")
    *_, tail, last = scene.deltas

    assert [citation["url"] for citation in scene.deltas[0]["context"]["citations"]] == ["a.md", "b.md"]
    assert tail["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "a.md", "title": "Guide 1", "start_index": 5, "end_index": 14},
        }
    ]
    assert last == {}


def test_the_sources_come_before_any_text() -> None:
    scene = Scene()
    scene.read(frame({"role": "assistant", "content": "Blue"}), frame({"content": "."}), frame(finish="stop"))
    first, second, *_ = scene.deltas

    assert (first["role"], first["content"], first["context"]["evidence"]) == ("assistant", "", True)
    assert second == {"content": "Blue"}


@pytest.mark.parametrize("delta", [{"role": "assistant"}, {"role": "assistant", "content": ""}, {"content": None}])
def test_a_first_frame_without_text_carries_the_sources(delta: dict[str, Any]) -> None:
    scene = Scene()
    scene.read(frame(dict(delta)))

    (told,) = scene.deltas
    assert told.pop("context")["evidence"] is True
    assert told == delta


@pytest.mark.parametrize("name", INJECTED)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_engine_that_repeats_a_hostile_document_cites_our_sources_alone(name: str, size: int) -> None:
    scene, text = Scene(), INJECTED[name]
    scene.say(*(text[start : start + size] for start in range(0, len(text), size)))
    cited = [one["url_citation"] for delta in scene.deltas for one in delta.get("annotations", [])]

    assert {one["url"] for one in cited} <= set(GROUNDS.urls)
    assert {scene.text[one["start_index"] : one["end_index"]] for one in cited} <= {"[1](a.md)", "[2](b.md)"}
    assert all(set(delta) <= {"role", "content", "context", "annotations"} for delta in scene.deltas)
    assert not any(is_done(one) for one in scene.frames)


def test_an_answer_that_cites_nothing_names_its_sources() -> None:
    scene = Scene()
    scene.say("Blue", ".")

    assert scene.text == "Blue.\n\nSources: [1](a.md) [2](b.md)"
    assert len(scene.deltas[-2]["annotations"]) == 2


def test_a_tool_call_names_no_sources() -> None:
    scene = Scene()
    scene.say("Let me see", finish="tool_calls")

    assert scene.text == "Let me see"


def test_the_model_is_the_one_that_was_asked_for() -> None:
    named, unnamed = Scene(), Scene(model=None)
    named.say("x")
    unnamed.say("x")

    assert {(chunk_of(one) or {})["model"] for one in named.frames} == {"sage-default"}
    assert {(chunk_of(one) or {})["model"] for one in unnamed.frames} == {"m"}


def test_without_passages_the_text_stays() -> None:
    scene = Scene(NOTHING)
    scene.say("x[1]", " [7]")

    assert scene.text == "x[1] [7]"
    assert scene.deltas[0]["context"] == {"citations": [], "evidence": False, "reason": "there is no index"}
    assert scene.quoter.dropped == 0


def test_a_citation_without_source_is_dropped_and_counted() -> None:
    scene = Scene()
    scene.say("Blue [1], red [7].")

    assert (scene.text, scene.quoter.dropped) == ("Blue [1](a.md), red.", 1)


def test_each_choice_is_a_text_of_its_own() -> None:
    scene = Scene()
    scene.read(frame({"content": "A ["}), frame({"content": "B [2]"}, index=1), frame({"content": "1]"}))
    scene.read(frame(finish="stop"), frame(finish="stop", index=1))
    texts: dict[int, str] = {}
    for one in scene.frames:
        for choice in (chunk_of(one) or {})["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")

    assert texts == {0: "A [1](a.md)", 1: "B [2](b.md)"}


def test_text_beside_the_finish_reason_is_not_lost() -> None:
    scene = Scene()
    scene.read(frame({"content": "Blue [1]"}, finish="stop"))

    assert scene.text == "Blue [1](a.md)"
    assert scene.quoter.finished


def test_other_fields_stay() -> None:
    scene = Scene()
    calls = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]
    scene.read(frame({"content": None, "tool_calls": calls, "reasoning_content": "hm"}, system_fingerprint="fp"))

    assert scene.deltas[0]["tool_calls"] == calls
    assert scene.deltas[0]["reasoning_content"] == "hm"
    assert (chunk_of(scene.frames[0]) or {})["system_fingerprint"] == "fp"


def test_usage_and_what_is_no_chunk_pass() -> None:
    scene = Scene()
    last = sse.event({"choices": [], "usage": USAGE})

    assert scene.quoter.read(b": ping\n\n") == b": ping\n\n"
    assert scene.quoter.read(last) == last
    assert scene.quoter.usage() is not None


def test_an_error_passes_as_it_is() -> None:
    scene = Scene()
    error = sse.event({"error": {"message": "x"}})

    assert scene.quoter.read(error) == error
    assert scene.quoter.failed


def test_an_answer_without_finish_reason_is_told_to_its_end() -> None:
    scene = Scene()
    scene.read(frame({"content": "Blue [1"}))

    assert [one["delta"] for one in (chunk_of(scene.quoter.rest()) or {})["choices"]] == [{"content": " [1"}]
    assert Scene().quoter.rest() == b""


@pytest.mark.parametrize("choices", [None, [5], [{"index": 0}], [{"index": 0, "delta": 5}]])
def test_nonsense_of_an_engine_is_no_reason_to_fail(choices: object) -> None:
    chunk = msgspec.json.encode({"choices": choices})

    assert Scene().quoter.read(b"data: " + chunk + b"\n\n") == b"data: " + chunk + b"\n\n"


def test_a_whole_answer_is_rewritten_at_once() -> None:
    scene = Scene()
    answer = {
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "Blue [1]."}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    told = scene.quoter.rewrite_whole(answer)
    message = told["choices"][0]["message"]

    assert (told["model"], message["content"], scene.transcript.text) == ("sage-default", *["Blue [1](a.md)."] * 2)
    assert (message["context"]["evidence"], len(message["annotations"])) == (True, 1)


@pytest.mark.parametrize("grounds", [GROUNDS, NOTHING])
@pytest.mark.parametrize("said", ["delta", "message"])
def test_nothing_an_engine_may_say_breaks_its_reader(grounds: Grounds, said: str) -> None:
    for choices in spoiled([{"index": 0, said: SAID, "finish_reason": "stop"}]):
        scene, told = Scene(grounds), {"id": "x", "model": "m", "choices": choices}
        if said == "delta":
            scene.read(frame({"content": "a"}), sse.event(told), frame(finish="stop"))
            scene.quoter.rest()
        else:
            scene.quoter.rewrite_whole(told)

        assert isinstance(scene.transcript.text, str)


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_in_parts_is_known_by_its_texts(streams: bool) -> None:
    parts = [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "Blue"}, {"text": "."}]
    scene = Scene(model=None)
    if streams:
        scene.read(frame({"content": parts}, finish="stop"))
    else:
        scene.quoter.rewrite_whole({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]})

    assert (scene.transcript.text, scene.quoter.finished) == ("Blue.", True)
