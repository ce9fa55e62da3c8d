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
    """What the first choice of an answer has said so far."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self._text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}

    def read(self, chunk: Chunk) -> None:
        self.usage = usage_from(chunk.get("usage")) or self.usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and choice.get("index", 0) == 0:
                self._read_choice(choice)

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        return [self._calls[index] for index in sorted(self._calls)]

    def _read_choice(self, choice: dict[str, Any]) -> None:
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, dict):
            return
        if isinstance(content := said.get("content"), str):
            self._text.append(content)
        calls = said.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict):
                index = call.get("index")
                self._add_call(index if isinstance(index, int) else position, call)

    def _add_call(self, index: int, call: dict[str, Any]) -> None:
        """A call comes in pieces: its id and name first, its arguments as text to be joined."""
        known = self._calls.setdefault(index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        known["id"] = call.get("id") or known["id"]
        known["type"] = call.get("type") or known["type"]
        function = call.get("function")
        if isinstance(function, dict):
            known["function"]["name"] += _as_text(function.get("name"))
            known["function"]["arguments"] += _as_text(function.get("arguments"))


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
