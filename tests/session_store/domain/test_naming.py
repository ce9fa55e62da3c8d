"""Titles by an engine: after the first turn, beside the requests, never over a person's own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import pytest

from sage_chassis import background
from sage_chassis.settings import SettingsError
from sage_contracts import sessions as wire
from sage_contracts import turns
from sage_contracts.errors import SageError, ServiceUnavailable, UpstreamError
from session_store.adapters.gateway_scribe import GatewayScribe
from session_store.domain.naming import READ_CHARS, WAITING_AT_MOST, Naming
from session_store.domain.titles import clean_title
from session_store.settings import read as settings_from
from tests.fakes.engine import FakeEngine, Script, fake_engine
from tests.session_store.parts import Clock, Desk, Store, append, desk_over, exchange, key, turn_of


@dataclass
class ScriptedScribe:
    """Says the same each time, once `gate` is open."""

    says: str | SageError = "A fine title"
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, instructions: str, text: str, *, max_tokens: int) -> str:
        assert "title" in instructions
        assert max_tokens < 100
        self.asked.append(text)
        await self.gate.wait()
        if isinstance(self.says, SageError):
            raise self.says
        return self.says


@pytest.fixture
def scribe() -> ScriptedScribe:
    return ScriptedScribe()


@pytest.fixture
async def desk(place: Store, clock: Clock, scribe: ScriptedScribe) -> AsyncIterator[Desk]:
    naming = Naming(place.sessions, scribe)
    async with background.running(naming.run):
        yield desk_over(place, clock, naming=naming)


async def turn(desk: Desk, number: int, question: str = "What is a quay?", name: str = "s1") -> None:
    asked = turns.OpenTurn(turn_id=f"t{number}", messages=[wire.NewMessage(role="user", content=question)])
    opened = await desk.turns.open("local", name, asked)
    messages = exchange(question, "A place where ships are tied up.")
    held = turns.CommitTurn(turn_id=opened.turn_id, token=opened.token, branch=opened.branch, messages=messages)
    await desk.turns.commit("local", name, held)


async def title(desk: Desk, name: str = "s1") -> object:
    return (await desk.sessions.read("local", name)).metadata["title"]


async def comes(desk: Desk, expected: str) -> None:
    async with asyncio.timeout(30):
        while await title(desk) != expected:
            await asyncio.sleep(0.005)


async def asked(scribe: ScriptedScribe, times: int = 1) -> None:
    async with asyncio.timeout(30):
        while len(scribe.asked) < times:
            await asyncio.sleep(0.005)


async def test_the_first_turn_gives_the_title_and_waits_for_none(desk: Desk, scribe: ScriptedScribe) -> None:
    await turn(desk, 1)
    at_first = await title(desk)
    scribe.gate.set()

    await comes(desk, "A fine title")
    await turn(desk, 2, "And a mole?")
    assert (at_first, scribe.asked) == (
        "What is a quay?",
        ["user: What is a quay?\n\nassistant: A place where ships are tied up."],
    )


async def test_a_persons_title_stays(desk: Desk, scribe: ScriptedScribe) -> None:
    await turn(desk, 1)
    await asked(scribe)
    await desk.sessions.retitle("local", "s1", wire.Retitle(title="Mine"))
    scribe.gate.set()
    await turn(desk, 1, "Another one?", name="s2")
    await asked(scribe, 2)

    assert await title(desk) == "Mine"


async def test_who_has_titled_it_already_is_not_helped(desk: Desk, scribe: ScriptedScribe) -> None:
    scribe.gate.set()
    made = await desk.sessions.create("local", wire.NewSession(title="Mine"))
    await turn(desk, 1, name=made.id)
    await turn(desk, 1, name="s1")
    await comes(desk, "A fine title")

    assert (await title(desk, made.id), len(scribe.asked)) == ("Mine", 1)


@pytest.mark.parametrize("change", ["clear", "begin anew"])
async def test_a_title_that_comes_too_late_names_nothing_else(
    desk: Desk, scribe: ScriptedScribe, clock: Clock, change: str
) -> None:
    await turn(desk, 1)
    await asked(scribe)
    if change == "clear":
        await desk.sessions.clear("local", "s1")
    else:
        await desk.sessions.delete("local", "s1")
        clock.now += 1
        await append(desk.store, key("s1"), turn_of("x", "Else?", title="Else?"))
    scribe.gate.set()
    await turn(desk, 1, name="s2")
    async with asyncio.timeout(30):
        while await title(desk, "s2") != "A fine title":
            await asyncio.sleep(0.005)

    assert await title(desk) == ("New chat" if change == "clear" else "Else?")


async def test_an_engine_that_is_away_leaves_the_first_question(
    desk: Desk, scribe: ScriptedScribe, caplog: pytest.LogCaptureFixture
) -> None:
    scribe.says = ServiceUnavailable("away")
    scribe.gate.set()
    await turn(desk, 1)
    await asked(scribe)
    scribe.says = "Later"
    await turn(desk, 1, name="s2")
    await asked(scribe, 2)

    assert await title(desk) == "What is a quay?"
    assert "session not titled" in caplog.messages


async def test_a_long_beginning_is_told_in_part_and_one_without_words_not_at_all(
    desk: Desk, scribe: ScriptedScribe
) -> None:
    scribe.gate.set()
    await turn(desk, 1, " ")
    await turn(desk, 1, "x" * 5_000, name="s2")
    await asked(scribe)

    assert scribe.asked == [f"user: {'x' * READ_CHARS}\n\nassistant: A place where ships are tied up."]


def test_more_than_can_wait_are_not_named(
    place: Store, scribe: ScriptedScribe, caplog: pytest.LogCaptureFixture
) -> None:
    naming = Naming(place.sessions, scribe)
    message = wire.Message(id="m", role="user", timestamp=datetime(2026, 1, 2, tzinfo=UTC), content="x")
    for _ in range(WAITING_AT_MOST + 1):
        naming.begun(key(), [message])

    assert caplog.messages == ["session not titled"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('"Quays and moles."', "Quays and moles"),
        ("**Title: Quays**", "Quays"),
        ("\n\n# Quays\nA place where", "Quays"),
        ("标题:码头", "码头"),
        ("「码头与防波堤」", "码头与防波堤"),
        ("<think>hm\nso</think>\nQuays", "Quays"),
        ("a\x00b\tc", "a b c"),
        ("word " * 40, "word " * 11 + "word…"),
        ("  \n", ""),
        ('""', ""),
    ],
)
def test_what_engines_put_around_a_title_is_taken_off(written: str, shown: str) -> None:
    assert clean_title(written) == shown


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine() as running:
        yield running


@pytest.fixture
async def gateway(engine: FakeEngine) -> AsyncIterator[GatewayScribe]:
    """An engine speaks as chat-gateway does."""
    async with aiohttp.ClientSession() as http:
        yield GatewayScribe(http, engine.url.removesuffix("/v1"), model="tiny")


async def test_the_scribe_asks_as_anybody_asks(engine: FakeEngine, gateway: GatewayScribe) -> None:
    engine.script = Script(words=("Quays",))

    written = await gateway.write("Be short.", "user: hi", max_tokens=9)

    (seen,) = [one for one in engine.seen if one.path.endswith("/chat/completions")]
    assert written == "Quays"
    assert seen.body == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "user: hi"}],
        "max_tokens": 9,
        "temperature": 0,
    }


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(status=503, refusal={"error": {"message": "no"}}), UpstreamError),
        (Script(cut_at_once=True), ServiceUnavailable),
        (Script(words=()), UpstreamError),
        (Script(status=200, refusal="not JSON"), UpstreamError),
    ],
)
async def test_an_engine_that_does_not_write_is_an_error(
    engine: FakeEngine, gateway: GatewayScribe, script: Script, kind: type[SageError]
) -> None:
    engine.script = script

    with pytest.raises(kind):
        await gateway.write("x", "y", max_tokens=9)


def test_titles_by_a_model_need_a_model() -> None:
    with pytest.raises(SettingsError, match="SAGE_SESSION_STORE_TITLES=model needs SAGE_SESSION_MODEL"):
        settings_from({"SAGE_SESSION_STORE_TITLES": "model"})
    assert settings_from({"SAGE_SESSION_STORE_TITLES": "model", "SAGE_SESSION_MODEL": "m"}).model == "m"
