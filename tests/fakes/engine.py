"""
A scripted OpenAI server on a real socket: slow, cut off, refusing, calling tools.

In a test's own loop: `async with fake_engine() as engine`. As a process: `python -m tests.fakes.engine --port N`; there
`POST /_script` sets the fields of `Script` and `GET /_seen` tells what it was asked.
"""

import argparse
import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from tests.fakes.cluster import free_port, stopped

OVERTAKEN_SECONDS = 0.1
"""How long what was said has to arrive before the connection is reset: a reset overtakes it."""

OUT_OF_MEMORY = b'data: {"error": {"message": "out of memory", "type": "server_error", "code": 500}}'


@dataclass(frozen=True)
class Script:
    """How to answer. `words` absent: the last user message is said back, so that an answer shows what was asked."""

    words: tuple[str, ...] | None = None
    delay: float = 0.0
    """Seconds before each word."""
    status: int = 200
    refusal: Any = None
    """The body in place of an answer, which every status other than 200 has: an object, or text."""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at_once: bool = False
    """Close the connection without an answer."""
    cut_before_body: bool = False
    """Close it after the head of the answer."""
    cut_after: int | None = None
    """Close it after so many words."""
    stop_after: int | None = None
    """End the stream in good order after so many words, without finish_reason and without `[DONE]`."""
    error_after: int | None = None
    """Tell an error in the stream after so many words, as vLLM does."""
    silent_after: int | None = None
    """Say no more after so many words, and hold the connection."""
    without_done: bool = False
    """Leave out `[DONE]`, but not the finish_reason."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments of functions to call, in place of words."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields no one knows, put in each delta and message."""
    padding: int = 0
    """Bytes of an unknown field in each frame, to make frames huge."""
    piece_bytes: int | None = None
    """Write frames in pieces of this size, wherever that cuts them."""
    newline: str = "\n"


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class FakeEngine:
    """`gate`: while it is cleared no further word is said. `left` is set when a client's leaving stopped an answer."""

    def __init__(self, model: str = "tiny", *, script: Script | None = None, max_model_len: int | None = None) -> None:
        self.model = model
        self.url = ""
        self.script = script or Script()
        self.next_scripts: list[Script] = []
        """Used up one a request, before `script`."""
        self.max_model_len = max_model_len
        self.seen: list[Seen] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._free_words = 0
        self.left = asyncio.Event()
        self.finished = 0
        self._transports: set[int] = set()
        self._runner: web.AppRunner | None = None
        self._answers = 0

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def connections(self) -> int:
        """How many have asked something."""
        return len(self._transports)

    def then(self, **changes: Any) -> None:
        """Answer the request after those already scripted differently."""
        self.next_scripts.append(replace(self.script, **changes))

    def let(self, words: int) -> None:
        """Let so many of the next words pass a cleared gate."""
        self._free_words = words
        self.gate.set()
        self.gate.clear()

    async def start(self, port: int | None = None) -> None:
        port = port or free_port()
        self._runner = web.AppRunner(self.app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Its open connections are cut."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await stopped(runner)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/_script", self._set_script)
        app.router.add_get("/_seen", self._tell_seen)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, _: web.Request) -> web.Response:
        model: dict[str, Any] = {"id": self.model, "object": "model", "created": 1, "owned_by": "fake"}
        if self.max_model_len is not None:
            model["max_model_len"] = self.max_model_len
        return web.json_response({"object": "list", "data": [model]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answered(request, "chat.completion")

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._answered(request, "text_completion")

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        script, seen = await self._noted(request)
        if (refused := self._refused(request, script)) is not None:
            return refused
        await self._turn(script, 0)
        given = seen.body["input"]
        texts = given if isinstance(given, list) else [given]
        rows = [{"object": "embedding", "index": n, "embedding": vector(text)} for n, text in enumerate(texts)]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return web.json_response({"object": "list", "data": rows, "model": self.model, "usage": usage})

    async def _set_script(self, request: web.Request) -> web.Response:
        fields = await request.json()
        for name in ("words", "tool_calls"):
            if isinstance(fields.get(name), list):
                fields[name] = tuple(tuple(one) if isinstance(one, list) else one for one in fields[name])
        self.script = Script(**fields)
        return web.json_response({})

    async def _tell_seen(self, _: web.Request) -> web.Response:
        seen = [{"path": one.path, "headers": one.headers, "body": one.raw.decode()} for one in self.seen]
        return web.json_response({"seen": seen, "left": self.left.is_set(), "finished": self.finished})

    async def _noted(self, request: web.Request) -> tuple[Script, Seen]:
        seen = Seen(
            request.path, {name.lower(): value for name, value in request.headers.items()}, await request.read()
        )
        self.seen.append(seen)
        self._transports.add(id(request.protocol))
        self.asked.set()
        return (self.next_scripts.pop(0) if self.next_scripts else self.script), seen

    def _refused(self, request: web.Request, script: Script) -> web.Response | None:
        if script.cut_at_once:
            _cut(request)
            return web.Response()
        if script.status == 200 and script.refusal is None:
            return None
        if isinstance(script.refusal, str):
            return web.Response(status=script.status, text=script.refusal, headers=script.headers)
        return web.json_response(script.refusal or {}, status=script.status, headers=script.headers)

    async def _answered(self, request: web.Request, kind: str) -> web.StreamResponse:
        script, seen = await self._noted(request)
        if (refused := self._refused(request, script)) is not None:
            return refused
        self._answers += 1
        answer = _Answer(f"cmpl-{self._answers}", kind, self.model, seen.body, script)
        try:
            response = await (self._streamed(request, answer) if answer.streams else self._whole(request, answer))
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        self.finished += 1
        return response

    async def _whole(self, request: web.Request, answer: "_Answer") -> web.Response:
        for number, _ in enumerate(answer.words()):
            await self._turn(answer.script, number)
            if answer.script.cut_after == number:
                _cut(request)
        return web.json_response(answer.whole(), headers=answer.script.headers)

    async def _streamed(self, request: web.Request, answer: "_Answer") -> web.StreamResponse:
        script = answer.script
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **script.headers})
        await response.prepare(request)
        if script.cut_before_body:
            _cut(request)
            return response
        for number, frame in enumerate(answer.frames()):
            await self._turn(script, number)
            if script.cut_after == number:
                await asyncio.sleep(OVERTAKEN_SECONDS)
                _cut(request)
                return response
            if script.stop_after == number:
                await response.write_eof()
                return response
            if script.error_after == number:
                await self._write(response, script, OUT_OF_MEMORY)
                break
            await self._write(response, script, b"data: " + json.dumps(frame).encode())
        if not script.without_done:
            await self._write(response, script, b"data: [DONE]")
        await response.write_eof()
        return response

    async def _turn(self, script: Script, number: int) -> None:
        if script.delay:
            await asyncio.sleep(script.delay)
        if script.silent_after == number:
            await asyncio.Event().wait()
        while not self.gate.is_set():
            if self._free_words:
                self._free_words -= 1
                return
            await self.gate.wait()

    async def _write(self, response: web.StreamResponse, script: Script, frame: bytes) -> None:
        frame += (script.newline * 2).encode()
        size = script.piece_bytes or len(frame)
        for start in range(0, len(frame), size):
            await response.write(frame[start : start + size])
            if script.piece_bytes:
                await asyncio.sleep(0)


class _Answer:
    def __init__(self, name: str, kind: str, model: str, body: dict[str, Any], script: Script) -> None:
        self.script = script
        self.streams = bool(body.get("stream"))
        self._head = {"id": name, "created": 1, "model": model}
        self._kind = kind
        self._body = body

    def words(self) -> tuple[str, ...]:
        if self.script.words is not None:
            return self.script.words
        said = self._body.get("prompt") or _last_user_text(self._body.get("messages") or [])
        words = f"You said: {said}".split(" ")
        return tuple(word if index == 0 else f" {word}" for index, word in enumerate(words))

    def usage(self) -> dict[str, int]:
        told, said = len(self._body.get("messages") or [1]), len(self.words())
        return {"prompt_tokens": told, "completion_tokens": said, "total_tokens": told + said}

    def whole(self) -> dict[str, Any]:
        text = "".join(self.words())
        if self._kind == "text_completion":
            choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
        elif self.script.tool_calls:
            calls = [_call(number, *call) for number, call in enumerate(self.script.tool_calls)]
            message = {"role": "assistant", "content": None, "tool_calls": calls, **self.script.extra}
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        else:
            message = {"role": "assistant", "content": text, **self.script.extra}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**self._head, "object": self._kind, "choices": [choice], "usage": self.usage()}

    def frames(self) -> Iterator[dict[str, Any]]:
        if self._kind == "text_completion":
            for word in self.words():
                yield self._frame({"text": word}, None)
            yield self._frame({"text": ""}, "stop")
        else:
            yield from self._chat_frames()
        if (self._body.get("stream_options") or {}).get("include_usage"):
            yield {**self._head, "object": f"{self._kind}.chunk", "choices": [], "usage": self.usage()}

    def _chat_frames(self) -> Iterator[dict[str, Any]]:
        if self.script.tool_calls:
            for number, (name, arguments) in enumerate(self.script.tool_calls):
                started = {**_call(number, name, ""), "index": number}
                yield self._frame({"delta": {"role": "assistant", "content": None, "tool_calls": [started]}}, None)
                for piece in (arguments[:3], arguments[3:]):
                    more = {"index": number, "function": {"arguments": piece}}
                    yield self._frame({"delta": {"tool_calls": [more]}}, None)
            yield self._frame({"delta": {}}, "tool_calls")
            return
        for number, word in enumerate(self.words()):
            role = {"role": "assistant"} if number == 0 else {}
            yield self._frame({"delta": {**role, "content": word, **self.script.extra}}, None)
        yield self._frame({"delta": {}}, "stop")

    def _frame(self, said: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._kind == "chat.completion" else self._kind
        frame = {**self._head, "object": kind, "choices": [{"index": 0, **said, "finish_reason": finish_reason}]}
        if self.script.padding:
            frame["padding"] = "x" * self.script.padding
        return frame


def vector(text: object) -> list[float]:
    """The same text has the same vector, of length 8."""
    return [(zlib.crc32(f"{text}/{axis}".encode()) % 2000 - 1000) / 1000 for axis in range(8)]


def _call(number: int, name: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content or [])
    return ""


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


@asynccontextmanager
async def fake_engine(
    model: str = "tiny", *, script: Script | None = None, max_model_len: int | None = None
) -> AsyncGenerator[FakeEngine]:
    engine = FakeEngine(model, script=script, max_model_len=max_model_len)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def _run(arguments: argparse.Namespace) -> None:
    words = tuple(arguments.words.split("|")) if arguments.words else None
    script = Script(words=words, delay=arguments.delay)
    engine = FakeEngine(arguments.model, script=script, max_model_len=arguments.max_model_len)
    await engine.start(arguments.port)
    print(engine.url, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--words", help="what to answer, with | between the pieces")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each piece")
    parser.add_argument("--max-model-len", type=int)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
