"""Any server that speaks the OpenAI API: vLLM, SGLang, llama.cpp, Ollama, TEI, OpenAI itself."""

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from chat_gateway.adapters.guarded_sockets import guarded_socket
from chat_gateway.domain.ports import ANSWER_BYTES, EngineDropped, EngineRefused, Flow, Target, Whole
from sage_chassis import logs
from sage_chassis.sse import PING_SECONDS
from sage_contracts.errors import (
    AnswerTooLarge,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    RequestTimeout,
    UpstreamTimeout,
)
from sage_contracts.names import REQUEST_ID_HEADER

READ_BUFFER_BYTES = 256 * 1024
KEEP_ALIVE_SECONDS = 4.0
"""Below the 5 s after which uvicorn and llama.cpp close an idle connection: a POST sent just then would be lost."""
FINISH_SECONDS = 1.0
LARGE_BODY_BYTES = 1024 * 1024
"""Beyond it aiohttp wants something to read from, so that one body does not hold up all other requests."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an engine may take, in seconds."""

    connect: float = 2.0
    first_byte: float = 120.0
    idle: float = 120.0
    answer: float = 600.0
    stream: float = 3600.0
    ping: float = PING_SECONDS


@asynccontextmanager
async def engine_session() -> AsyncGenerator[aiohttp.ClientSession]:
    """
    Connections to engines, without a limit on their number: how much an engine takes is not the pool's decision.

    Cookies of engines are not kept.
    """
    connector = aiohttp.TCPConnector(
        limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, ttl_dns_cache=5, socket_factory=guarded_socket
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BUFFER_BYTES,
        skip_auto_headers=("User-Agent",),
    ) as http:
        yield http


class OpenAIEngines:
    """`answer_bytes` is how large an answer in one piece may be."""

    def __init__(self, http: aiohttp.ClientSession, patience: Patience, *, answer_bytes: int = ANSWER_BYTES) -> None:
        self._http = http
        self._patience = patience
        self._answer_bytes = answer_bytes

    async def open(self, target: Target, path: str, body: bytes, *, streamed: bool) -> Whole | Flow:
        try:
            async with asyncio.timeout(self._patience.first_byte if streamed else self._patience.answer):
                return await self._opened(target, path, body)
        except TimeoutError as error:
            raise self._too_slow(streamed=streamed) from error

    async def _opened(self, target: Target, path: str, body: bytes) -> Whole | Flow:
        response = await self._sent(target, target.url + path, body)
        try:
            if response.status == 200 and response.content_type == "text/event-stream":
                return StreamedAnswer(response, await _first_piece(response), self._patience)
            return Whole(
                status=response.status,
                content_type=_content_type(response),
                body=await _body(response, self._answer_bytes),
                retry_after=response.headers.get("Retry-After"),
            )
        except BaseException as error:
            response.close()
            if isinstance(error, aiohttp.ClientError):
                raise EngineDropped(type(error).__name__) from error
            raise

    async def _sent(self, target: Target, url: str, body: bytes) -> aiohttp.ClientResponse:
        """The answer's head."""
        try:
            return await self._http.post(
                url,
                data=body if len(body) < LARGE_BODY_BYTES else io.BytesIO(body),
                headers=_headers(target),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect),
                allow_redirects=False,
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectTimeout(f"no connection to the engine within {self._patience.connect:g} s") from error
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise EngineRefused(_reason(error)) from error
        except aiohttp.ClientError as error:
            raise EngineDropped(type(error).__name__) from error

    def _too_slow(self, *, streamed: bool) -> UpstreamTimeout:
        """Only a streamed answer shows early that it has begun; the head of a whole one comes when all is generated."""
        if streamed:
            return FirstByteTimeout(f"the engine did not begin its answer within {self._patience.first_byte:g} s")
        return RequestTimeout(f"the engine did not answer within {self._patience.answer:g} s")


class StreamedAnswer:
    def __init__(self, response: aiohttp.ClientResponse, first: bytes, patience: Patience) -> None:
        self._response = response
        self._first = first
        self._patience = patience
        self._ends = asyncio.get_running_loop().time() + patience.stream

    async def pieces(self) -> AsyncGenerator[bytes]:
        yield self._first
        content, ping = self._response.content, self._patience.ping
        silent, now = 0.0, asyncio.get_running_loop().time
        while not content.at_eof():
            left = self._ends - now()
            if left <= 0:
                raise RequestTimeout(f"the answer was not over after {self._patience.stream:g} s")
            wait = min(ping, self._patience.idle - silent, left)
            try:
                async with asyncio.timeout(wait):
                    piece = await content.readany()
            except TimeoutError as error:
                silent += wait
                if silent >= self._patience.idle:
                    raise IdleTimeout(f"the engine was silent for {self._patience.idle:g} s") from error
                yield b""
                continue
            except aiohttp.ClientError as error:
                raise EngineDropped(type(error).__name__) from error
            silent = 0.0
            if piece:
                yield piece

    async def finish(self) -> None:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                while await self._response.content.readany():
                    pass

    def close(self) -> None:
        self._response.close()


async def _first_piece(response: aiohttp.ClientResponse) -> bytes:
    piece = await response.content.readany()
    if not piece:
        raise EngineDropped("an empty stream")
    return piece


async def _body(response: aiohttp.ClientResponse, largest: int) -> bytes:
    """Raises AnswerTooLarge as soon as that is known: told by the engine, or received."""
    body, told = bytearray(), response.content_length or 0
    while max(len(body), told) <= largest:
        piece = await response.content.readany()
        if not piece:
            return bytes(body)
        body += piece
    raise AnswerTooLarge(f"the engine's answer is larger than {largest:,} bytes")


def _headers(target: Target) -> dict[str, str]:
    """Nothing of the client's own headers: its key is for the gateway alone."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if target.api_key is not None:
        headers["Authorization"] = f"Bearer {target.api_key}"
    if (current := logs.request_id.get()) is not None:
        headers[REQUEST_ID_HEADER] = current
    return headers


def _content_type(response: aiohttp.ClientResponse) -> str:
    """Only what an API answers with: an engine must not make a browser of the client show HTML as ours."""
    kind = response.content_type
    return kind if kind in {"application/json", "text/event-stream", "text/plain"} else "application/octet-stream"


def _reason(error: Exception) -> str:
    cause = error.__cause__
    return (cause.strerror if isinstance(cause, OSError) else None) or type(error).__name__
