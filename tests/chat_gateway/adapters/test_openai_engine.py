"""Engines over real sockets, and addresses where there is none."""

import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from chat_gateway.adapters.openai_engine import OpenAIEngines, Patience, engine_session
from chat_gateway.domain.ports import EngineDropped, EngineRefused, Target, Whole
from sage_contracts.errors import ConnectTimeout, FirstByteTimeout, IdleTimeout, RequestTimeout, SageError
from tests.chat_gateway.stack import chat_body, within
from tests.fakes.cluster import free_port
from tests.fakes.engine import FakeEngine, Script, fake_engine

BODY = msgspec.json.encode(chat_body(stream=True))
QUICK = Patience(connect=0.2, first_byte=0.5, idle=0.4, answer=0.5, ping=0.1)


@pytest.fixture
async def engines() -> AsyncIterator[OpenAIEngines]:
    async with engine_session() as http:
        yield OpenAIEngines(http, Patience())


@pytest.fixture
async def impatient() -> AsyncIterator[OpenAIEngines]:
    async with engine_session() as http:
        yield OpenAIEngines(http, QUICK)


def target(url: str) -> Target:
    return Target("e", url + "/v1")


async def opened(engines: OpenAIEngines, engine: FakeEngine) -> Whole | list[bytes]:
    answer = await engines.open(target(engine.url), "/chat/completions", BODY, streamed=True)
    return answer if isinstance(answer, Whole) else [piece async for piece in answer.pieces()]


async def test_a_stream_is_read_to_its_end(engines: OpenAIEngines) -> None:
    async with fake_engine() as engine:
        pieces = await opened(engines, engine)

    assert isinstance(pieces, list)
    assert b"".join(pieces).endswith(b"data: [DONE]\n\n")


async def test_silence_is_told_as_empty_pieces_and_then_as_an_error(impatient: OpenAIEngines) -> None:
    async with fake_engine(script=Script(silent_after=1)) as engine:
        answer = await impatient.open(target(engine.url), "/chat/completions", BODY, streamed=True)
        assert not isinstance(answer, Whole)
        pieces: list[bytes] = []
        with pytest.raises(IdleTimeout, match="silent for"):
            async for piece in answer.pieces():
                pieces.append(piece)  # noqa: PERF401 - those before the error count
        answer.close()
        await within(engine.left)

    assert pieces[1:] == [b"", b"", b""]


async def test_a_port_nobody_listens_on_refuses(engines: OpenAIEngines) -> None:
    with pytest.raises(EngineRefused):
        await engines.open(target(f"http://127.0.0.1:{free_port()}"), "/chat/completions", BODY, streamed=True)


@pytest.mark.parametrize("url", ["http://no-such-host.invalid:1", "http://", "nonsense"])
async def test_an_address_that_is_none_refuses(engines: OpenAIEngines, url: str) -> None:
    with pytest.raises(EngineRefused):
        await engines.open(target(url), "/chat/completions", BODY, streamed=True)


async def test_a_host_that_never_accepts_is_given_up_soon(impatient: OpenAIEngines) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        with pytest.raises(ConnectTimeout, match="no connection"):
            await impatient.open(target(f"http://127.0.0.1:{address[1]}"), "/chat/completions", BODY, streamed=True)
        for one in waiting:
            one.close()


async def test_what_is_no_http_is_a_dropped_request(engines: OpenAIEngines) -> None:
    async with fake_engine(script=Script(cut_at_once=True)) as engine:
        with pytest.raises(EngineDropped):
            await opened(engines, engine)


async def test_an_engine_that_was_restarted_is_reached_again(engines: OpenAIEngines) -> None:
    engine = FakeEngine()
    await engine.start()
    port = engine.port
    await opened(engines, engine)
    await engine.stop()
    await engine.start(port)
    pieces = await opened(engines, engine)
    await engine.stop()

    assert isinstance(pieces, list)


async def test_a_connection_is_used_again(engines: OpenAIEngines) -> None:
    async with fake_engine() as engine:
        for _ in range(3):
            answer = await engines.open(target(engine.url), "/chat/completions", BODY, streamed=True)
            assert not isinstance(answer, Whole)
            await anext(aiter(answer.pieces()))
            await answer.finish()
            answer.close()

        assert engine.connections == 1


async def test_html_is_not_passed_off_as_ours(engines: OpenAIEngines) -> None:
    page = Script(status=400, refusal="<script>", headers={"Content-Type": "text/html"})
    async with fake_engine(script=page) as engine:
        answer = await opened(engines, engine)

    assert isinstance(answer, Whole)
    assert answer.content_type == "application/octet-stream"


async def test_a_whole_answer_in_time(engines: OpenAIEngines) -> None:
    body = msgspec.json.encode(chat_body())
    async with fake_engine() as engine:
        answer = await engines.open(target(engine.url), "/chat/completions", body, streamed=False)

    assert isinstance(answer, Whole)
    assert answer.status == 200


@pytest.mark.parametrize(("streamed", "error"), [(True, FirstByteTimeout), (False, RequestTimeout)])
@pytest.mark.slow
async def test_an_engine_that_says_nothing_is_given_up(
    impatient: OpenAIEngines, streamed: bool, error: type[SageError]
) -> None:
    async with fake_engine(script=Script(silent_after=0)) as engine:
        with pytest.raises(error, match=r"within 0\.5 s"):
            await impatient.open(target(engine.url), "/chat/completions", BODY, streamed=streamed)
        await within(engine.left)


async def test_a_stream_that_never_ends_is_ended() -> None:
    async with engine_session() as http, fake_engine(script=Script(words=("x",) * 500, delay=0.02)) as engine:
        endless = OpenAIEngines(http, Patience(stream=0.2))
        answer = await endless.open(target(engine.url), "/chat/completions", BODY, streamed=True)
        assert not isinstance(answer, Whole)
        with pytest.raises(RequestTimeout, match=r"not over after 0\.2 s"):
            async for _ in answer.pieces():
                pass
        answer.close()
        await within(engine.left)
