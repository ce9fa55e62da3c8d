"""Read an answer as it goes by: whether it is complete, what it used, and what it says."""

import re
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from sage_contracts import sse
from sage_contracts.chat import Usage

Chunk = dict[str, Any]

_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')
_HAS_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_READ_BY_NAME = frozenset({"role", "content", "tool_calls", "annotations", "context"})


class Reader(Protocol):
    """Sees every frame of a stream before the client does."""

    @property
    def finished(self) -> bool:
        """Whether the engine has told a finish_reason."""
        ...

    @property
    def failed(self) -> bool:
        """Whether the engine has told an error in its stream."""
        ...

    def read(self, *frames: bytes) -> bytes:
        """What the client gets in the place of frames that came together."""
        ...

    def rest(self) -> bytes:
        """What the client gets at the end of a complete answer, before `[DONE]`."""
        ...

    def usage(self) -> Usage | None: ...


class Skimmer:
    """For answers nobody keeps: decodes nothing but what holds the usage."""

    def __init__(self) -> None:
        self.finished = False
        self.failed = False
        self._last_usage: bytes | None = None

    def read(self, *frames: bytes) -> bytes:
        block = b"".join(frames)
        if not self.finished and _FINISHED.search(block):
            self.finished = True
        if _HAS_USAGE.search(block):
            self._last_usage = [frame for frame in frames if _HAS_USAGE.search(frame)][-1]
        if b'"error"' in block and any(is_error(chunk_of(frame)) for frame in frames):
            self.failed = True
        return block

    def rest(self) -> bytes:
        return b""

    def usage(self) -> Usage | None:
        return usage_of(sse.data(self._last_usage) or b"") if self._last_usage else None


class Transcript:
    """What the first choice of an answer has said so far, and what the answer is called."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.completion: dict[str, Any] = {}
        """Its `completion_id` and `created`, as far as the engine tells them."""
        self.annotations: list[Any] = []
        self._text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._extra = Pieces()

    def read(self, chunk: Chunk) -> None:
        self.usage = usage_from(chunk.get("usage")) or self.usage
        if not self.completion and isinstance(name := chunk.get("id"), str):
            created = chunk.get("created")
            self.completion = {"completion_id": name, **({"created": created} if isinstance(created, int) else {})}
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and index_of(choice) == 0:
                self._read_choice(choice)

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        return [self._calls[index] for index in sorted(self._calls)]

    @property
    def extra(self) -> dict[str, Any]:
        """Its fields that nobody here knows, such as `refusal` or `reasoning_content`."""
        return self._extra.joined()

    def _read_choice(self, choice: dict[str, Any]) -> None:
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, dict):
            return
        self._text.append(text_of(said.get("content")))
        if len(said) > 1 or "content" not in said:
            self._read_others(said)
        calls = said.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict):
                index = call.get("index")
                self._add_call(index if isinstance(index, int) else position, call)

    def _read_others(self, said: dict[str, Any]) -> None:
        if isinstance(annotations := said.get("annotations"), list):
            self.annotations += annotations
        self._extra.add({name: value for name, value in said.items() if name not in _READ_BY_NAME})

    def _add_call(self, index: int, call: dict[str, Any]) -> None:
        """A call comes in pieces: its id and name first, its arguments as text to be joined."""
        known = self._calls.setdefault(index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        known["id"] = call.get("id") or known["id"]
        known["type"] = call.get("type") or known["type"]
        function = call.get("function")
        if isinstance(function, dict):
            known["function"]["name"] += _as_text(function.get("name"))
            known["function"]["arguments"] += _as_text(function.get("arguments"))


class Pieces:
    """A JSON object that comes in pieces, as deltas do: texts, lists and objects grow, of all else the last counts."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._others: dict[str, Any] = {}

    def add(self, piece: dict[str, Any]) -> None:
        for name, value in piece.items():
            match value:
                case None:
                    continue
                case str() | list() | dict() if not value:
                    continue
                case str():
                    self._texts.setdefault(name, []).append(value)
                case dict():
                    known = self._others.get(name)
                    known = self._others[name] = known if isinstance(known, Pieces) else Pieces()
                    known.add(value)
                case list():
                    known = self._others.get(name)
                    self._others[name] = [*known, *value] if isinstance(known, list) else value
                case _:
                    self._others[name] = value

    def joined(self) -> dict[str, Any]:
        others = {name: one.joined() if isinstance(one, Pieces) else one for name, one in self._others.items()}
        return others | {name: "".join(texts) for name, texts in self._texts.items()}


class Recorder:
    """For answers that are kept: reads every frame, changes none."""

    def __init__(self, transcript: Transcript) -> None:
        self.failed = False
        self._transcript = transcript

    @property
    def finished(self) -> bool:
        return self._transcript.finish_reason is not None

    def read(self, *frames: bytes) -> bytes:
        for chunk in map(chunk_of, frames):
            if chunk is not None:
                self.failed = self.failed or is_error(chunk)
                self._transcript.read(chunk)
        return b"".join(frames)

    def rest(self) -> bytes:
        return b""

    def usage(self) -> Usage | None:
        return self._transcript.usage


class _UsagePeek(Struct):
    usage: Any = None


def text_of(content: object) -> str:
    """Of text and of parts: some servers answer in those, as where they tell what a model thought beside it."""
    match content:
        case str():
            return content
        case list():
            texts = [part.get("text") for part in content if isinstance(part, dict)]
            return "".join(text for text in texts if isinstance(text, str))
        case _:
            return ""


def index_of(choice: dict[str, Any]) -> int:
    """0 where it has none of its own."""
    return index if isinstance(index := choice.get("index"), int) else 0


def _as_text(told: object) -> str:
    """Some servers tell arguments as an object, where OpenAI has its JSON as text."""
    if told is None or isinstance(told, str):
        return told or ""
    return msgspec.json.encode(told).decode()


def chunk_of(frame: bytes) -> Chunk | None:
    """The JSON object a frame carries; None for anything else."""
    data = sse.data(frame)
    if data is None or not data.startswith(b"{"):
        return None
    try:
        chunk = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return chunk if isinstance(chunk, dict) else None


def is_error(chunk: Chunk | None) -> bool:
    return chunk is not None and bool(chunk.get("error"))


def is_done(frame: bytes) -> bool:
    return frame.startswith((b"data: [DONE]", b"data:[DONE]"))


def usage_of(body: bytes) -> Usage | None:
    """The `usage` of a whole answer, without building the rest of it."""
    try:
        return usage_from(msgspec.json.decode(body, type=_UsagePeek).usage)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def usage_from(told: object) -> Usage | None:
    if not isinstance(told, dict):
        return None
    counts = {name: told[name] for name in Usage.__struct_fields__ if isinstance(told.get(name), int)}
    return Usage(**counts) if counts else None
