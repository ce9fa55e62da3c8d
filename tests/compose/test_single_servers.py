"""One service each over the server it uses in production, started by itself in a container."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from testcontainers.community.qdrant import QdrantContainer
from testcontainers.community.redis import RedisContainer
from testcontainers.core.config import testcontainers_config

import rag_indexer.app
import rag_indexer.settings
import session_store.app
import session_store.settings
from sage_chassis.client import ServiceClient
from sage_contracts import index, sessions, turns
from tests.fakes.cluster import serve

pytestmark = pytest.mark.timeout(600)

# Its reaper is one more image from a registry; what is started here is ended here.
testcontainers_config.ryuk_disabled = True


def found(*images: str) -> str | None:
    """The first of them that this engine holds."""
    held = (subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False) for name in images)
    return next((name for name, answer in zip(images, held, strict=True) if answer.returncode == 0), None)


@pytest.fixture(scope="module")
def redis_url(docker_images: None) -> Iterator[str]:
    image = found(os.environ.get("SAGE_REDIS_IMAGE", "redis:8"), "sage-local/redis")
    assert image is not None
    with RedisContainer(image) as server:
        yield f"redis://{server.get_container_host_ip()}:{server.get_exposed_port(6379)}/0"


@pytest.fixture(scope="module")
def qdrant_url(docker_images: None) -> Iterator[str]:
    image = found(os.environ.get("SAGE_QDRANT_IMAGE", "qdrant/qdrant:v1.20.0"))
    if image is None:
        pytest.skip("no image of the Qdrant server can be had here: no image registry is in reach")
    with QdrantContainer(image) as server:
        yield f"http://{server.rest_host_address}"


async def talk(store: ServiceClient, turn: turns.OpenTurn, messages: list[sessions.NewMessage]) -> None:
    opened = await store.call(turns.OPEN, turn, session_id="single", timeout=60)
    if opened.answered is None:
        commit = turns.CommitTurn(turn_id=turn.turn_id, token=opened.token, branch=opened.branch, messages=messages)
        await store.call(turns.COMMIT, commit, session_id="single")


async def test_sessions_are_kept_once_each_by_a_redis_server(redis_url: str) -> None:
    registry = CollectorRegistry()
    config = session_store.settings.Settings(redis_url=redis_url)
    app = session_store.app.create_app(session_store.app.assemble(config, registry), registry)
    messages = [sessions.NewMessage(role="user", content="Hello"), sessions.NewMessage(role="assistant", content="Hi")]
    named = [turns.OpenTurn(turn_id=f"turn-{number}", messages=messages[:1], digest="d") for number in range(8)]
    async with serve(app) as url, aiohttp.ClientSession() as http:
        store = ServiceClient(http, url, name="session-store")
        # Each turn twice and all at once: the scripts, not their order, keep them single.
        await asyncio.gather(*(talk(store, turn, messages) for turn in named * 2))
        session = await store.call(sessions.READ, sessions.ReadQuery(), session_id="single")

    assert len(session.messages) == len(named) * len(messages)


async def test_documents_are_found_in_a_qdrant_server(qdrant_url: str, tmp_path: Path) -> None:
    (tmp_path / "bees.md").write_text("# Bees\n\nA queen bee lays two thousand eggs a day.\n")
    (tmp_path / "ants.md").write_text("# Ants\n\nLeafcutter ants grow a fungus and eat it.\n")
    registry = CollectorRegistry()
    config = rag_indexer.settings.Settings(store="server", qdrant_url=qdrant_url, source_dir=str(tmp_path))
    app = rag_indexer.app.create_app(rag_indexer.app.assemble(config, registry), registry)
    async with serve(app) as url, aiohttp.ClientSession() as http:
        indexer = ServiceClient(http, url, name="rag-indexer")
        await indexer.call(index.BUILD, index.BuildRequest())
        answer = await indexer.call(index.SEARCH, index.SearchRequest(query="How many eggs does a queen lay?"))

    assert answer.passages[0].source.path == "bees.md"
