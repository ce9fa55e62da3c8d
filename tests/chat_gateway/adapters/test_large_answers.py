"""Engines that answer more than the gateway holds."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from chat_gateway.adapters.openai_engine import OpenAIEngines, Patience, engine_session
from chat_gateway.domain.ports import Flow, Target, Whole
from sage_contracts.errors import AnswerTooLarge
from tests.chat_gateway.stack import within
from tests.fakes.front_door import listening

LARGEST = 100_000
PIECE = b" " * 10_000


class Torrent:
    """
    An engine that answers with `head` and then with `pieces`, and with the last of them again and again where it is
    `endless`. `left` is set when a client closes the connection.
    """

    def __init__(
        self, *pieces: bytes, status: int = 200, endless: bool = False, head: dict[str, str] | None = None
    ) -> None:
        self._pieces = pieces
        self._status = status
        self._is_endless = endless
        self._head = head or {}
        self.left = asyncio.Event()
        self.connections: set[int] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.connections.add(id(request.transport))
        response = web.StreamResponse(status=self._status, headers=self._head)
        try:
            await response.prepare(request)
            for piece in self._pieces:
                await response.write(piece)
            while self._is_endless:
                await response.write(self._pieces[-1])
        except ConnectionError:
            self.left.set()
        return response


@asynccontextmanager
async def asked(engine: Torrent) -> AsyncGenerator[Target]:
    app = web.Application()
    app.router.add_post("/v1/embeddings", engine.answer)
    async with listening(app) as port:
        yield Target("e", f"http://127.0.0.1:{port}/v1")


@pytest.fixture
async def engines() -> AsyncIterator[OpenAIEngines]:
    async with engine_session() as http:
        yield OpenAIEngines(http, Patience(), answer_bytes=LARGEST)


async def opened(engines: OpenAIEngines, target: Target, *, streamed: bool = False) -> Whole | Flow:
    async with asyncio.timeout(30):
        return await engines.open(target, "/embeddings", b"{}", streamed=streamed)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_an_answer_without_end_is_left(engines: OpenAIEngines, status: int, streamed: bool) -> None:
    engine = Torrent(PIECE, status=status, endless=True)
    async with asked(engine) as target:
        with pytest.raises(AnswerTooLarge, match="larger than 100,000 bytes"):
            await opened(engines, target, streamed=streamed)
        await within(engine.left)


async def test_an_answer_that_is_told_to_be_too_large_is_not_read(engines: OpenAIEngines) -> None:
    engine = Torrent(b"{", head={"Content-Length": str(LARGEST + 1)})
    async with asked(engine) as target:
        with pytest.raises(AnswerTooLarge):
            await opened(engines, target)


async def test_what_unpacks_to_too_much_is_too_large(engines: OpenAIEngines) -> None:
    packed = gzip.compress(b" " * 50_000_000)
    assert len(packed) < LARGEST
    async with asked(Torrent(packed, head={"Content-Encoding": "gzip"})) as target:
        with pytest.raises(AnswerTooLarge):
            await opened(engines, target)


@pytest.mark.parametrize("head", [{}, {"Content-Length": str(LARGEST)}])
async def test_the_largest_answer_fits_and_the_connection_is_used_again(
    engines: OpenAIEngines, head: dict[str, str]
) -> None:
    engine = Torrent(*[PIECE] * 10, head=head)
    async with asked(engine) as target:
        answers = [await opened(engines, target) for _ in range(3)]

    assert [one.body for one in answers if isinstance(one, Whole)] == [PIECE * 10] * 3
    assert len(engine.connections) == 1


async def test_one_byte_more_does_not(engines: OpenAIEngines) -> None:
    async with asked(Torrent(*[PIECE] * 10, b" ")) as target:
        with pytest.raises(AnswerTooLarge):
            await opened(engines, target)


async def test_the_vectors_of_a_large_batch_fit() -> None:
    texts, dimensions, number = 1_000, 4_096, b"-0.01234567890123456,"
    engine = Torrent(*[number * dimensions] * texts)
    async with engine_session() as http, asked(engine) as target:
        answer = await opened(OpenAIEngines(http, Patience()), target)

    assert isinstance(answer, Whole)
    assert len(answer.body) == texts * dimensions * len(number)


@pytest.mark.slow
async def test_what_comes_behind_the_end_of_a_stream_is_not_kept(engines: OpenAIEngines) -> None:
    engine = Torrent(b"data: [DONE]\n\n", PIECE, endless=True, head={"Content-Type": "text/event-stream"})
    async with asked(engine) as target:
        answer = await opened(engines, target, streamed=True)
        assert not isinstance(answer, Whole)
        tracemalloc.start()
        with suppress(TimeoutError):
            await answer.finish()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        answer.close()
        await within(engine.left)

    assert peak < 10_000_000
