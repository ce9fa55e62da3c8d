"""Rewrite a grounded answer on its way to the client: links for citations, the sources beside the text."""

from typing import Any

import msgspec

from chat_gateway.domain.citing import Citer
from chat_gateway.domain.grounding import Grounds
from chat_gateway.domain.reading import Chunk, Transcript, chunk_of, index_of, is_error
from sage_contracts.chat import Annotation, URLCitation, Usage
from sage_contracts.sse import event

_ENDS_WITH_SOURCES = ("stop", "length")
"""Where a line of sources makes sense behind the text; not behind a tool call."""


class Quotation:
    """One choice's text. Without passages, or where it is not `linked`, it stays as the engine wrote it."""

    def __init__(self, grounds: Grounds, *, linked: bool = True) -> None:
        self._grounds = grounds
        self._citer = Citer(grounds.urls) if grounds.passages and linked else None

    def feed(self, text: str) -> str:
        return self._citer.feed(text) if self._citer else text

    def finish(self, reason: object) -> str:
        return self._citer.finish(with_sources=reason in _ENDS_WITH_SOURCES) if self._citer else ""

    def annotations(self) -> list[dict[str, Any]]:
        spans = self._citer.spans if self._citer else []
        return [msgspec.to_builtins(self._annotation(span.number, span.start, span.end)) for span in spans]

    @property
    def dropped(self) -> int:
        return self._citer.dropped if self._citer else 0

    def _annotation(self, number: int, start: int, end: int) -> Annotation:
        return Annotation(
            url_citation=URLCitation(
                url=self._grounds.urls[number - 1],
                title=self._grounds.title(number),
                start_index=start,
                end_index=end,
            )
        )


class Quoter:
    """
    A Reader that rewrites. `model` is the name the client asked for, where the engine's must not show; without
    `grounds` that is all it changes. Not `linked`, the sources stand beside the text alone.
    """

    def __init__(
        self, grounds: Grounds | None, transcript: Transcript, model: str | None, *, linked: bool = True
    ) -> None:
        self.failed = False
        self._linked = linked
        self._grounds = grounds or Grounds()
        self._context = grounds.context() if grounds else None
        self._transcript = transcript
        self._model = model
        self._quotations: dict[int, Quotation] = {}
        self._open: dict[int, Quotation] = {}
        self._last: Chunk = {}

    @property
    def finished(self) -> bool:
        return self._transcript.finish_reason is not None

    @property
    def dropped(self) -> int:
        """Citations of sources there are not."""
        return sum(quotation.dropped for quotation in self._quotations.values())

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """Those of the first choice so far, told or not."""
        return self._quotations[0].annotations() if 0 in self._quotations else []

    def usage(self) -> Usage | None:
        return self._transcript.usage

    def read(self, *frames: bytes) -> bytes:
        return b"".join(map(self._read, frames))

    def _read(self, frame: bytes) -> bytes:
        chunk = chunk_of(frame)
        if chunk is None:
            return frame
        if is_error(chunk):
            self.failed = True
            return frame
        if self._model is not None and "model" in chunk:
            chunk["model"] = self._model
        self._last = chunk
        told = chunk.get("choices")
        choices = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        openings = [self._opening(one) for one in choices]
        tails = [self._rewrite(one) for one in choices]
        before = [[one for one in found if one is not None] for found in (openings, tails)]
        return self._told([*(self._chunk_with(found) for found in before if found), chunk])

    def rest(self) -> bytes:
        """The ends of choices that the engine never finished by name."""
        tails = [_tail(index, one, None) for index, one in self._open.items()]
        return self._told([self._chunk_with(found)]) if (found := [tail for tail in tails if tail]) else b""

    def rewrite_whole(self, answer: Chunk) -> Chunk:
        """The same for an answer in one piece."""
        if self._model is not None and "model" in answer:
            answer["model"] = self._model
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            message = choice.get("message") if isinstance(choice, dict) else None
            if isinstance(message, dict):
                self._rewrite_message(choice, message)
        self._transcript.read(answer)
        return answer

    def _opening(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """The sources, in the choice's first delta; in one of their own before it where it brings text already."""
        index, delta = index_of(choice), choice.get("delta")
        if not isinstance(delta, dict) or index in self._quotations:
            return None
        self._quotations[index] = self._open[index] = Quotation(self._grounds, linked=self._linked)
        if self._context is None:
            return None
        if not delta.get("content"):
            delta["context"] = self._context
            return None
        role = {"role": delta.pop("role")} if "role" in delta else {}
        return {"index": index, "delta": {**role, "content": "", "context": self._context}, "finish_reason": None}

    def _rewrite(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """Change the choice's delta in place; the choice that must come before it, where it is the last one."""
        index = index_of(choice)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return None
        quotation = self._quotations[index]
        content = delta.get("content")
        if isinstance(content, str):
            delta["content"] = quotation.feed(content)
        reason = choice.get("finish_reason")
        if not reason or self._open.pop(index, None) is None:
            return None
        before = delta.pop("content") if isinstance(content, str) else ""
        return _tail(index, quotation, reason, before)

    def _rewrite_message(self, choice: dict[str, Any], message: dict[str, Any]) -> None:
        quotation = self._quotations.setdefault(index_of(choice), Quotation(self._grounds, linked=self._linked))
        content = message.get("content")
        if isinstance(content, str):
            message["content"] = quotation.feed(content) + quotation.finish(choice.get("finish_reason"))
        if self._context is not None:
            message["annotations"] = quotation.annotations()
            message["context"] = self._context

    def _chunk_with(self, choices: list[dict[str, Any]]) -> Chunk:
        return {**{name: value for name, value in self._last.items() if name != "usage"}, "choices": choices}

    def _told(self, chunks: list[Chunk]) -> bytes:
        for chunk in chunks:
            self._transcript.read(chunk)
        return b"".join(event(chunk) for chunk in chunks)


def _tail(index: int, quotation: Quotation, reason: object, before: str = "") -> dict[str, Any] | None:
    """The last text of a choice with the places of its citations; None where there is neither."""
    content = before + quotation.finish(reason)
    annotations = quotation.annotations()
    if not content and not annotations:
        return None
    delta: dict[str, Any] = {"content": content}
    if annotations:
        delta["annotations"] = annotations
    return {"index": index, "delta": delta, "finish_reason": None}
