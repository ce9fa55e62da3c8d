"""All services over a Redis Cluster, and behind Sentinels while the master goes away."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

import chat_gateway.app
import chat_gateway.settings
import session_store.app
import session_store.settings
from tests.control_plane.stack import ControlPlane, control_plane
from tests.fakes.cluster import serve
from tests.fakes.engine import FakeEngine, fake_engine
from tests.fakes.redis_server import redis_cluster, redis_sentinels
from tests.system.conftest import until

HINTED_SECONDS = 20.0
"""A fleet is fetched every half minute without a hint: what is known this soon was told."""


@dataclass(frozen=True)
class Whole:
    gateways: tuple[str, str]
    plane: ControlPlane
    http: aiohttp.ClientSession
    engine: FakeEngine

    async def chat(self, text: str, number: int = 0, **fields: Any) -> tuple[int, Any]:
        body = {"model": self.engine.model, "messages": [{"role": "user", "content": text}], **fields}
        async with self.http.post(f"{self.gateways[number]}/v1/chat/completions", json=body) as response:
            return response.status, await response.json()

    async def said(self, text: str, number: int = 0) -> bool:
        status, _ = await self.chat(text, number, session_id="s1")
        return status == 200

    def told(self) -> list[str]:
        return [one["content"] for one in self.engine.seen[-1].body["messages"]]

    async def known(self) -> bool:
        """To both gateways."""
        found = []
        for url in self.gateways:
            async with self.http.get(f"{url}/v1/models") as response:
                found.append(self.engine.model in await response.text())
        return all(found)


@asynccontextmanager
async def whole(redis_url: str, folder: Path) -> AsyncGenerator[Whole]:
    """A control-plane, a session-store, two gateways and an engine that both know."""
    kept = CollectorRegistry()
    store = session_store.app.create_app(
        session_store.app.assemble(session_store.settings.Settings(redis_url=redis_url), kept), kept
    )
    async with (
        control_plane(redis_url, folder) as plane,
        serve(store) as store_url,
        gateway(redis_url, plane.url, store_url) as first,
        gateway(redis_url, plane.url, store_url) as second,
        fake_engine("tiny") as engine,
        aiohttp.ClientSession() as http,
    ):
        found = Whole((first, second), plane, http, engine)
        await until(lambda: registered(plane, engine))
        await until(found.known, seconds=HINTED_SECONDS)
        yield found


async def registered(plane: ControlPlane, engine: FakeEngine) -> bool:
    status, _ = await plane.ask(
        "POST", "/v1/management/engines/register", json={"host": "127.0.0.1", "port": engine.port}
    )
    return status == 200


@asynccontextmanager
async def gateway(redis_url: str, control_plane_url: str, session_store_url: str) -> AsyncGenerator[str]:
    registry = CollectorRegistry()
    config = chat_gateway.settings.Settings(
        redis_url=redis_url, control_plane_url=control_plane_url, session_store_url=session_store_url
    )
    async with serve(chat_gateway.app.create_app(chat_gateway.app.assemble(config, registry), registry)) as url:
        yield url


async def test_engines_turns_and_hints_work_on_a_cluster(tmp_path: Path) -> None:
    with redis_cluster() as servers:
        async with whole(servers.url, tmp_path) as services:
            for number in range(6):
                status, _ = await services.chat(f"question {number}", number % 2, session_id="s1")
                assert status == 200
            in_flight = [asyncio.create_task(services.chat("slowly", number)) for number in range(2)]
            await asyncio.gather(*in_flight)
            state = (await services.plane.engines())[0].state

    assert services.told() == ["slowly"]
    assert [len(seen.body["messages"]) for seen in services.engine.seen if seen.path.endswith("completions")] == [
        1,
        3,
        5,
        7,
        9,
        11,
        1,
        1,
    ]
    assert state == "READY"


async def test_a_failover_is_over_by_itself_and_the_conversation_goes_on(tmp_path: Path) -> None:
    with redis_sentinels() as servers:
        async with whole(servers.url, tmp_path) as services:
            assert await services.said("before")
            with servers.master.client() as master:
                master.wait(1, 1_000)
            servers.master.kill()
            await until(lambda: services.said("after", 1))
            told = services.told()

            async def engine_is_ready() -> bool:
                status, answer = await services.plane.ask("GET", "/v1/management/engines")
                return status == 200 and [one["state"] for one in answer["engines"]] == ["READY"]

            await until(engine_is_ready)

    assert told == ["before", "You said: before", "after"]
