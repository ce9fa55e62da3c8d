"""Know a wish for a workflow when one is said, and say in one sentence that those are coming: nothing is built yet."""

import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from chat_gateway.domain.grounding import question_of
from chat_gateway.domain.joining import PromptMessage
from chat_gateway.domain.ports import Flow, Whole
from chat_gateway.domain.refusing import JSON
from sage_contracts import sse
from sage_contracts.chat import Usage

COMING = "Making a workflow from a description is coming to SAGE Gateway; it is not there yet, so nothing was created."
COMING_IN_CHINESE = "SAGE Gateway 即将支持根据描述创建工作流\uff1b该功能目前尚未提供\uff0c因此没有创建任何内容。"

_READ = 2_000
"""Characters: a wish stands at the beginning of a message, not behind pages of text."""

_SENTENCE = re.compile(r"[^.!?:;\n\u3002\uff01\uff1f\uff1b\uff1a]+")

_ENGLISH = re.compile(
    r"\W*(?:(?:hi|hello|hey|ok|okay|now|so|then|please|kindly)\b\W*){0,4}"
    r"(?:(?:can|could|would|will) you |i(?:'d| would)(?: really)? like (?:you )?to |i (?:want|need) (?:you )?to "
    r"|let's |let us |help me (?:to )?)?(?:please )?"
    r"(?:create|build|make|generate|design|compose|draft|define|assemble|set up|put together|write|give"
    r"|i (?:want|need)|i(?:'d| would) like) (?:me |us )?"
    r"(?:an?|one|some|the|this|my|our|new) "
    r"(?P<kind>(?:(?!(?:that|which|who|to|for|of|with|in|on|about|from)\b)[\w'/-]{1,30} ){0,5}?)"
    r"(?:work-?flow|pipeline)s?\b",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"\W*(?:(?:你好|您好|请|麻烦|帮我|帮忙|给我|为我|我想|我要|我需要|想要|能不能|能否|可以|可否|现在|你|您)\W*){0,6}"
    r"(?:(?:创建|新建|建立|构建|搭建|生成|设计|制作|编排|定义|做|建|写|搞|来)(?:一?[个条套份])?|(?:要|需要)?一[个条套份])"
    r"(?P<kind>[^\u3002\uff1f\uff0c,\n]{0,24}?)(?:工作流|流水线|管道|管线|work-?flow|pipeline)",
    re.IGNORECASE,
)
_SOMEBODY_ELSES = re.compile(
    r"\b(?:ci|cd|ci[/-]cd|jenkins|gitlab|github|azure|bitbucket|circleci|sklearn|scikit|scikit-learn|spark|kafka"
    r"|gstreamer|graphics|rendering|shader|cpu|gas|oil|water|sales|hiring|airflow|argo|existing)\b",
    re.IGNORECASE,
)
_CJK = re.compile(r"[\u3400-\u9fff]")


def hint_for(messages: Sequence[PromptMessage]) -> str | None:
    """
    The sentence in the wish's own language, where the last user message tells to make a workflow or a pipeline.

    A question about how to make one is none, nor is a pipeline of somebody else's, like that of a CI.
    """
    said = question_of(messages)[:_READ]
    if not any(_wishes(sentence) for sentence in _SENTENCE.findall(said)):
        return None
    return COMING_IN_CHINESE if _CJK.search(said) else COMING


def _wishes(sentence: str) -> bool:
    text = " ".join(sentence.split())
    found = _ENGLISH.match(text) or _CHINESE.match(text)
    return found is not None and not _SOMEBODY_ELSES.search(found["kind"])


def said(sentence: str, *, model: str, streamed: bool, with_usage: bool = False) -> Whole | Flow:
    """
    The sentence in the form in which an engine would have answered it. Its usage is none: no engine was asked.

    `with_usage` tells it in a stream too.
    """
    head: dict[str, Any] = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
    if streamed:
        return _Sentence(head | {"object": "chat.completion.chunk"}, sentence, with_usage=with_usage)
    message = {"role": "assistant", "content": sentence}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Whole(
        200, JSON, msgspec.json.encode(head | {"object": "chat.completion", "choices": [choice], "usage": Usage()})
    )


class _Sentence(Flow):
    def __init__(self, head: dict[str, Any], sentence: str, *, with_usage: bool) -> None:
        self._head = head
        self._sentence = sentence
        self._with_usage = with_usage

    async def pieces(self) -> AsyncIterator[bytes]:
        delta = {"role": "assistant", "content": self._sentence}
        yield self._frame(delta, None) + self._frame({}, "stop")
        if self._with_usage:
            yield sse.event({**self._head, "choices": [], "usage": Usage()})
        yield sse.DONE

    async def finish(self) -> None:
        """There is no connection behind it."""

    def close(self) -> None:
        """Nor anything to leave."""

    def _frame(self, delta: dict[str, Any], reason: str | None) -> bytes:
        return sse.event({**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
