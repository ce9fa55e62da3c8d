"""An engine of the benchmarks made known to a stack."""

import asyncio

import aiohttp

from tests.bench.engine import Bare
from tests.fakes.stack import Stack


async def register(stack: Stack, kind: Bare) -> None:
    port = int(kind.engine.rpartition(":")[2])
    async with aiohttp.ClientSession(stack.url) as http, asyncio.timeout(30):
        async with http.post("/v1/management/engines/register", json={"host": "127.0.0.1", "port": port}) as answer:
            assert answer.status == 200, await answer.text()
        while True:
            async with http.get("/v1/models") as answer:
                if kind.model in await answer.text():
                    return
            await asyncio.sleep(0.1)
