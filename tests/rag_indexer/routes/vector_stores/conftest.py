from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from tests.rag_indexer.parts import Desk, edge_desk
from tests.rag_indexer.routes.vector_stores.scene import sdk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    async with edge_desk(tmp_path, encoder=WordllamaEncoder()) as found:
        yield found


@pytest.fixture
async def client(desk: Desk) -> AsyncGenerator[AsyncOpenAI]:
    async with sdk(desk) as found:
        yield found
