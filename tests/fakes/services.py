"""The services beside chat-gateway, as far as it calls them, on one real socket: made from the contracts."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from sage_chassis import errors
from sage_chassis.bodies import StrictRequest
from sage_contracts import fleet as fleet_wire
from sage_contracts import index as index_wire
from sage_contracts import service as service_wire
from sage_contracts import sessions as wire
from sage_contracts.errors import SageError, SessionNotFound
from sage_contracts.fleet import Fleet, FleetEngine
from sage_contracts.index import Found, Passage, SearchRequest, Source
from sage_contracts.service import Alive, Readiness
from sage_contracts.sessions import Message, NewMessage, Session, Stats, Summary
from tests.fakes import turns
from tests.fakes.cluster import serve
from tests.fakes.engine import FakeEngine
from tests.fakes.turns import NOW, FakeTurns


class FakeServices:
    """
    `failing` holds, by service (`store`, `indexer`, `control`), the error its routes answer now; `turns` is how
    session-store takes them, and `sessions` what it holds of the branch that each began with. `failed` counts by service.
    """

    def __init__(self) -> None:
        self.url = ""
        self.failing: dict[str, SageError] = {}
        self.failed: Counter[str] = Counter()
        self.fleet = Fleet(version=1, engines=[])
        self.found = Found(passages=[], evidence=False, reason="there is no index")
        self.searches: list[SearchRequest] = []
        self.sessions: dict[str, list[NewMessage]] = {}
        self.titles: dict[str, str] = {}
        self.turns = FakeTurns(self.sessions)
        self.search_gate = asyncio.Event()
        self.search_gate.set()
        self.alive_gate = asyncio.Event()
        self.alive_gate.set()
        self.alive_asked = 0
        self.readiness: service_wire.ReadinessStatus = "ready"

    def serves(
        self,
        *engines: FakeEngine,
        kind: fleet_wire.EngineKind = "llm",
        state: fleet_wire.State = "READY",
        **known: Any,
    ) -> None:
        """Add the engines to the fleet, as a new version of it; `known` is what else is known of each."""
        added = [
            FleetEngine(
                engine_id=f"e{len(self.fleet.engines) + number}",
                model_id=engine.model,
                base_url=engine.url,
                state=state,
                engine_kind=kind,
                context_tokens=engine.max_model_len,
                created=1700000000 + number,
                **known,
            )
            for number, engine in enumerate(engines)
        ]
        self.fleet = Fleet(version=self.fleet.version + 1, engines=[*self.fleet.engines, *added])

    def finds(self, *texts: str) -> None:
        """Every search finds these passages."""
        self.found = Found(passages=[passage(text, number) for number, text in enumerate(texts, 1)], evidence=True)

    def fail(self, service: str) -> None:
        if (error := self.failing.get(service)) is not None:
            self.failed[service] += 1
            raise error

    def messages(self, session_id: str) -> list[Message]:
        return turns.told(self.sessions.get(session_id, []))

    def session(self, session_id: str) -> Session:
        if session_id not in self.sessions:
            raise SessionNotFound(f"no session {session_id}")
        title = self.titles.get(session_id, "")
        return Session(
            id=session_id,
            messages=self.messages(session_id),
            created_at=NOW,
            last_active=NOW,
            metadata={"title": title},
        )

    def summary(self, session_id: str) -> Summary:
        return Summary(
            id=session_id,
            title=self.titles.get(session_id, ""),
            created_at=NOW,
            last_active=NOW,
            message_count=len(self.sessions[session_id]),
        )


def passage(text: str, number: int) -> Passage:
    source = Source(
        path=f"guide{number}.md", title=f"Guide {number}", heading="Use", anchor=f"use-{number}", lines=(1, 9)
    )
    return Passage(id=f"p{number}", text=text, score=1.0 / number, source=source)


@asynccontextmanager
async def fake_services() -> AsyncGenerator[FakeServices]:
    fakes = FakeServices()
    async with serve(_app(fakes)) as fakes.url:
        yield fakes


def _app(fakes: FakeServices) -> Litestar:
    routes: list[Any] = [*_store(fakes), *_store_for_clients(fakes), *_others(fakes)]
    return Litestar(routes, exception_handlers=errors.HANDLERS, request_class=StrictRequest, openapi_config=None)


def _store(fakes: FakeServices) -> list[Any]:
    @get(wire.STATS.route)
    async def stats() -> Stats:
        fakes.fail("store")
        return Stats(total_sessions=len(fakes.sessions), total_messages=sum(map(len, fakes.sessions.values())))

    return [stats, *turns.routes(fakes.turns, lambda: fakes.fail("store"))]


def _store_for_clients(fakes: FakeServices) -> list[Any]:
    @get(wire.LIST.route)
    async def listed() -> wire.Listed:
        fakes.fail("store")
        stats = Stats(total_sessions=len(fakes.sessions), total_messages=0)
        return wire.Listed(sessions=[fakes.summary(one) for one in fakes.sessions], stats=stats)

    @post(wire.CREATE.route, status_code=200)
    async def create(data: JSONBody[wire.NewSession]) -> Session:
        fakes.fail("store")
        name = f"s{len(fakes.sessions)}"
        fakes.sessions[name], fakes.titles[name] = [], data.title or ""
        return fakes.session(name)

    @get(wire.READ.route)
    async def read(session_id: FromPath[str]) -> Session:
        fakes.fail("store")
        return fakes.session(session_id)

    @delete(wire.DELETE.route, status_code=200)
    async def remove(session_id: FromPath[str]) -> wire.SessionDeleted:
        fakes.session(session_id)
        del fakes.sessions[session_id]
        return wire.SessionDeleted(session_id=session_id)

    @post(wire.CLEAR.route, status_code=200)
    async def clear(session_id: FromPath[str]) -> wire.SessionCleared:
        fakes.session(session_id)
        fakes.sessions[session_id] = []
        return wire.SessionCleared(session_id=session_id)

    @patch(wire.RETITLE.route)
    async def retitle(session_id: FromPath[str], data: JSONBody[wire.Retitle]) -> wire.Retitled:
        fakes.session(session_id)
        fakes.titles[session_id] = data.title
        return wire.Retitled(session_id=session_id, title=data.title)

    return [listed, create, read, remove, clear, retitle]


def _others(fakes: FakeServices) -> list[Any]:
    @get(fleet_wire.FLEET.route)
    async def fleet() -> Fleet:
        fakes.fail("control")
        return fakes.fleet

    @post(index_wire.INTERNAL_SEARCH.route, status_code=200)
    async def search(data: JSONBody[SearchRequest]) -> Found:
        fakes.searches.append(data)
        await fakes.search_gate.wait()
        fakes.fail("indexer")
        return fakes.found

    @get(service_wire.READYZ.route)
    async def readyz() -> Readiness:
        return Readiness(service="fake", version="0", status=fakes.readiness, checks={})

    @get(service_wire.LIVEZ.route)
    async def livez() -> Alive:
        fakes.alive_asked += 1
        await fakes.alive_gate.wait()
        return Alive(service="fake", version="0")

    return [fleet, search, readyz, livez]
