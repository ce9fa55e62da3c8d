"""Documents about machines, and the OpenAI SDK on an indexer that serves them."""

import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from openai import AsyncOpenAI

from tests.rag_indexer.parts import Desk

PUMP = b"# Pumps\n\nA pump that rattles has air in its line: open the bleed valve until water comes.\n"
VALVE = b"# Valves\n\nThe bleed valve is closed by turning it to the right, by hand and without a wrench.\n"
LAMP = b"# Lamps\n\nThe signal lamp blinks amber while the battery is being charged.\n"


@asynccontextmanager
async def sdk(desk: Desk) -> AsyncGenerator[AsyncOpenAI]:
    async with desk.served() as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def named(name: str, data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = name
    return file


async def filled(client: AsyncOpenAI, **files: bytes) -> tuple[str, list[str]]:
    """A store with these files, all of them indexed; its id and theirs."""
    store = await client.vector_stores.create(name="manuals")
    ids = []
    for name, data in files.items():
        file = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named(f"{name}.md", data), poll_interval_ms=20
        )
        assert file.status == "completed", file
        ids.append(file.id)
    return store.id, ids
