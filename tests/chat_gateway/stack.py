"""A chat-gateway on a real socket, with fake services and fake engines around it."""

import asyncio
import io
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import msgspec
from msgspec import structs
from redis.asyncio import Redis

from chat_gateway.app import assemble, create_app
from chat_gateway.settings import Settings
from sage_contracts import fleet as fleet_wire
from sage_contracts import names, sse
from tests.fakes.apps import served
from tests.fakes.engine import FakeEngine
from tests.fakes.redis_server import RedisServer
from tests.fakes.services import FakeServices, fake_services

CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: Any
    raw: bytes

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.raw)

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def frames(self) -> list[bytes]:
        return sse.Frames().feed(self.raw)

    @property
    def chunks(self) -> list[Any]:
        """The JSON of every frame that has one."""
        told = [sse.data(frame) for frame in self.frames]
        return [msgspec.json.decode(one) for one in told if one is not None and one.startswith(b"{")]

    @property
    def text(self) -> str:
        """What the first choice says, streamed or not."""
        if not self.raw.startswith((b"data:", b":")):
            return str(self.body["choices"][0]["message"]["content"])
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices", [])]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def done(self) -> bool:
        return self.raw.endswith(sse.DONE)


class Gateway:
    def __init__(self, url: str, http: aiohttp.ClientSession, services: FakeServices, redis: Redis) -> None:
        self.url = url
        self.http = http
        self.services = services
        self.redis = redis

    async def get(self, path: str) -> Answered:
        async with self.http.get(self.url + path) as response:
            return Answered(response.status, response.headers, await response.read())

    async def post(self, path: str, body: object, **headers: str) -> Answered:
        async with self.opened(path, body, **headers) as response:
            return Answered(response.status, response.headers, await response.read())

    async def send(self, method: str, path: str, body: object = None) -> Answered:
        data = None if body is None else msgspec.json.encode(body)
        async with self.http.request(method, self.url + path, data=data) as response:
            return Answered(response.status, response.headers, await response.read())

    async def chat(self, text: str = "hello", *, model: str | None = "tiny", **fields: Any) -> Answered:
        headers = fields.pop("headers", {})
        return await self.post(CHAT, chat_body(text, model=model, **fields), **headers)

    async def hint(self) -> None:
        """What control-plane does when the fleet has changed."""
        await self.redis.publish(names.FLEET_CHANNEL, str(self.services.fleet.version))

    async def loses_engines(self, *left: fleet_wire.State) -> None:
        """Return when it knows a fleet whose first engines are in these states, none of them READY, and no others."""
        known = self.services.fleet
        engines = [structs.replace(one, state=state) for one, state in zip(known.engines, left, strict=False)]
        self.services.fleet = fleet_wire.Fleet(version=known.version + 1, engines=engines)
        async with asyncio.timeout(30):
            while len((await self.get("/v1/models")).body["data"]) > 1:
                await self.hint()

    async def tells_load(self, load: dict[str, int]) -> None:
        """Return when the gateway has told Redis that this is in flight."""
        async with asyncio.timeout(30):
            while await self._told_load() != load:
                await asyncio.sleep(0.05)

    async def waits(self, model: str, requests: int) -> None:
        """Return when so many requests of the model wait in line."""
        await self._measures(f'sage_chat_gateway_waiting_requests{{gen_ai_request_model="{model}"}} {requests}.0')

    async def answers(self, requests: int) -> None:
        """Return when so many requests are being answered, beside this question."""
        await self._measures(f'sage_http_requests_in_flight{{service="chat-gateway"}} {requests + 1}.0')

    async def _measures(self, line: str) -> None:
        async with asyncio.timeout(30):
            while line not in (await self.get("/metrics")).raw.decode().splitlines():
                await asyncio.sleep(0.005)

    async def _told_load(self) -> dict[str, int]:
        told: dict[str, int] = {}
        for key in await self.redis.keys(names.LOAD_KEY + "*"):
            counts = await self.redis.hgetall(key)
            told |= {engine.decode(): int(count) for engine, count in counts.items() if isinstance(engine, bytes)}
        return told

    def opened(self, path: str, body: object, **headers: str) -> Any:
        """The answer as a context manager: leaving it early is a client that leaves."""
        data: Any = body if isinstance(body, bytes) else msgspec.json.encode(body)
        if len(data) > 1_000_000:
            data = io.BytesIO(data)  # as aiohttp wants it
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(self.url + path, data=data, headers={"content-type": "application/json", **named})


def chat_body(text: str = "hello", *, model: str | None = "tiny", **fields: Any) -> dict[str, Any]:
    named = {} if model is None else {"model": model}
    return {**named, "messages": [{"role": "user", "content": text}], **fields}


@asynccontextmanager
async def gateway(
    redis: RedisServer,
    *engines: FakeEngine,
    embedders: Sequence[FakeEngine] = (),
    known: Mapping[str, Any] | None = None,
    beside: Gateway | None = None,
    **settings: Any,
) -> AsyncGenerator[Gateway]:
    """
    The engines are started, READY, and stopped at the end; one with an address is there already. `beside` is another
    gateway with the same services.
    """
    async with AsyncExitStack() as stack:
        services = beside.services if beside else await stack.enter_async_context(fake_services())
        client = await stack.enter_async_context(Redis.from_url(redis.url))
        if beside is None and (left := await client.keys(names.LOAD_KEY + "*")):
            await client.delete(*left)  # by gateways that were killed
        for engine in [*engines, *embedders]:
            if engine.url:
                continue
            await engine.start()
            stack.push_async_callback(engine.stop)
        services.serves(*engines, **(known or {}))
        services.serves(*embedders, kind="embedding")
        urls = dict.fromkeys(("session_store_url", "rag_indexer_url", "control_plane_url"), services.url)
        config = Settings(**{"redis_url": redis.url, **urls, **settings})
        url = await stack.enter_async_context(served(create_app, partial(assemble, config)))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        )
        yield Gateway(url, http, services, client)


async def within(event: asyncio.Event, seconds: float = 30.0) -> None:
    """Return when `event` is set; TimeoutError if it is not in time."""
    async with asyncio.timeout(seconds):
        await event.wait()


async def first_frames(response: aiohttp.ClientResponse, count: int) -> list[bytes]:
    """The stream's first frames, once they have come; the rest stays unread."""
    cutter, found = sse.Frames(), list[bytes]()
    async with asyncio.timeout(30):
        while len(found) < count:
            found += cutter.feed(await response.content.readany())
    return found
