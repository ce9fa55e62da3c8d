"""Get a request answered: ask engines, one after the other, until one begins."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from chat_gateway.domain.balancing import NO_WISH, Wish
from chat_gateway.domain.choosing import Chooser
from chat_gateway.domain.fleet import Fleet
from chat_gateway.domain.loads import Loads
from chat_gateway.domain.ports import (
    Breaker,
    EngineDropped,
    EngineRefused,
    Engines,
    Flow,
    Meter,
    Outcome,
    Target,
    Whole,
)
from chat_gateway.domain.receipts import Trail
from chat_gateway.domain.requests import with_fields
from chat_gateway.domain.resolving import Route
from chat_gateway.domain.retrying import RetryBudget
from chat_gateway.domain.waiting import LineFull, Lines, WaitedTooLong
from sage_contracts.errors import (
    AnswerTooLarge,
    ConnectTimeout,
    EnginesBusy,
    FirstByteTimeout,
    NoEngineAvailable,
    SageError,
    UpstreamError,
    UpstreamTimeout,
)

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3

_ANOTHER_MAY = frozenset({429, 502, 503, 504})
"""Answers after which another engine is asked: this one did no work, or could not finish it."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A request as an engine gets it, and what a policy may know of it."""

    path: str
    body: bytes
    streamed: bool
    wish: Wish = NO_WISH


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun. Whoever holds it must call `close` or `over`, which free the engine's place."""

    answer: Whole | Flow
    engine_id: str
    trail: Trail
    over: Callable[[Breaker | None], None]
    """Tells who broke the answer off, if anyone did."""

    def close(self) -> None:
        """Leave the engine at once."""
        if not isinstance(self.answer, Whole):
            self.answer.close()
        self.over("client")


@dataclass(frozen=True, slots=True)
class _Place:
    """What was chosen, and taken at once: `target` is None when no engine is left."""

    target: Target | None
    free: Callable[[], None]


class Dispatch:
    def __init__(
        self,
        fleet: Fleet,
        engines: Engines,
        meter: Meter,
        *,
        loads: Loads,
        chooser: Chooser,
        lines: Lines,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._engines = engines
        self._meter = meter
        self._loads = loads
        self._chooser = chooser
        self._lines = lines
        self._clock = clock
        self._budget = RetryBudget(clock)
        loads.when_free(lines.wake)
        fleet.when_changed(lambda _: lines.wake())

    def trail(self, route: Route) -> Trail:
        """For a request that is about to be opened: whoever holds it can tell of it also when that fails."""
        return Trail(route.label, self._chooser.policy, self._fleet.version)

    async def open(self, route: Route, sending: Sending, trail: Trail | None = None) -> Opened:
        """
        The first engine's answer that is one: never the same engine twice, three at most, all before the first byte.

        Waits in line while every engine is at its limit. Raises what the last attempt failed with; an engine's own
        refusal of the request is returned as its answer.
        """
        trail = trail or self.trail(route)
        try:
            return await self._opened(route, sending, trail)
        finally:
            if log.isEnabledFor(logging.DEBUG):
                log.debug("engine chosen", extra={"receipt": msgspec.to_builtins(trail.receipt())})

    async def _opened(self, route: Route, sending: Sending, trail: Trail) -> Opened:
        self._budget.request()
        tried: set[str] = set()
        last: SageError | Opened | None = None
        while len(tried) < MAX_ATTEMPTS and (not tried or self._may_repeat(route, tried)):
            place = await self._place(route, sending.wish, tried, trail)
            if place.target is None:
                break
            tried.add(place.target.engine_id)
            last = await self._attempt(place.target, place.free, _for(place.target, route, sending), trail)
            if isinstance(last, Opened) and not _should_move_on(last.answer):
                trail.engine_id = last.engine_id
                return last
        match last:
            case Opened(answer=Whole() as answer):
                return _final(last, answer)
            case Opened():
                return last
            case None:
                raise NoEngineAvailable(f"no engine of the model '{route.model}' is READY now", retry_after=1)
        raise last

    def _may_repeat(self, route: Route, tried: set[str]) -> bool:
        """There is another engine to ask, and the budget allows it."""
        if route.upstream is not None:
            return False
        is_another = any(engine.engine_id not in tried for engine in self._fleet.ready(route.kind, route.model))
        return is_another and self._budget.retry()

    async def _place(self, route: Route, wish: Wish, tried: set[str], trail: Trail) -> _Place:
        """An engine chosen and counted as one; waits while all are full. Raises EnginesBusy."""
        if route.upstream is not None:
            return _Place(route.upstream, self._loads.take(route.upstream.engine_id))
        key = (route.kind, route.model)

        def taken() -> _Place | None:
            return self._taken(route, wish, tried, trail)

        place = None if self._lines.length(key) else taken()
        if place is None:
            began = self._clock()
            self._meter.waiting(route.label, 1)
            try:
                place = await self._lines.served(key, taken, is_choosy=bool(tried))
            except (LineFull, WaitedTooLong) as error:
                raise self._busy(route, error) from error
            finally:
                self._meter.waiting(route.label, -1)
                trail.waited_seconds += self._clock() - began
        return place

    def _taken(self, route: Route, wish: Wish, tried: set[str], trail: Trail) -> _Place | None:
        """None while it is worth waiting. Chosen and counted in one step, so that a place is not given twice."""
        choice = self._chooser.choose(route.kind, route.model, wish, tried=tried)
        trail.candidates = choice.candidates
        if choice.engine is None:
            return None if choice.is_worth_waiting else _Place(None, _nothing)
        engine = choice.engine
        model = None if engine.model_id == route.model else engine.model_id
        target = Target(engine.engine_id, engine.base_url.rstrip("/") + "/v1", model=model)
        return _Place(target, self._loads.take(engine.engine_id))

    def _busy(self, route: Route, error: Exception) -> EnginesBusy:
        waiting = self._lines.length((route.kind, route.model))
        seconds = self._loads.wait_seconds(self._fleet.ready(route.kind, route.model), waiting)
        told = f"{waiting} requests wait already" if isinstance(error, LineFull) else "none became free in time"
        return EnginesBusy(f"every engine of the model '{route.model}' is busy, and {told}", retry_after=seconds)

    async def _attempt(
        self, target: Target, free: Callable[[], None], sending: Sending, trail: Trail
    ) -> Opened | SageError:
        """The answer; or, as an error, a failure after which another engine may be asked. Others are raised."""
        began = self._clock()

        def ended(outcome: Outcome) -> None:
            self._meter.attempted(outcome)
            trail.attempts.append((target.engine_id, outcome, self._clock() - began))

        try:
            answer = await self._engines.open(target, sending.path, sending.body, streamed=sending.streamed)
        except BaseException as error:
            free()
            ended(_outcome(error))
            if (told := self._blamed(target.engine_id, error)) is not None:
                return told
            raise
        ended("rejected" if _should_move_on(answer) else "answered")
        if isinstance(answer, Whole):
            free()
            self._judge(target.engine_id, answer.status, self._clock() - began)
        return Opened(answer, target.engine_id, trail, self._ending(target.engine_id, free, began))

    def _ending(self, engine_id: str, free: Callable[[], None], began: float) -> Callable[[Breaker | None], None]:
        def over(broken_by: Breaker | None) -> None:
            free()
            if broken_by is None:
                self._chooser.succeeded(engine_id)
                self._loads.answered(engine_id, self._clock() - began)
            elif broken_by == "engine":
                self._chooser.failed(engine_id)

        return over

    def _judge(self, engine_id: str, status: int, seconds: float) -> None:
        """A 4xx is the client's fault, and 429 means busy, not broken."""
        if status < 400:
            self._loads.answered(engine_id, seconds)
        if status >= 500:
            self._chooser.failed(engine_id)
        elif status != 429:
            self._chooser.succeeded(engine_id)

    def _blamed(self, engine_id: str, error: BaseException) -> SageError | None:
        """The failure as it is told if no other engine answers; None for one that ends the request."""
        if not isinstance(error, EngineRefused | EngineDropped | UpstreamError):
            return None
        self._chooser.failed(engine_id)
        match error:
            case EngineRefused():
                self._chooser.suspect(engine_id)
                return NoEngineAvailable(f"engine {engine_id} cannot be reached: {error}", retry_after=1)
            case EngineDropped():
                return UpstreamError(f"engine {engine_id} closed the connection before it answered: {error}")
            case ConnectTimeout():
                self._chooser.suspect(engine_id)
                return error
            case FirstByteTimeout():
                return error
        return None


def _nothing() -> None:
    """There is nothing to free."""


def _for(target: Target, route: Route, sending: Sending) -> Sending:
    """Who asked by an alias means the model behind it."""
    if target.model is None or target.model == route.model:
        return sending
    body = with_fields(sending.body, model=target.model)
    return Sending(sending.path, body, sending.streamed, sending.wish)


def _outcome(error: BaseException) -> Outcome:
    match error:
        case EngineRefused():
            return "refused"
        case EngineDropped():
            return "dropped"
        case UpstreamTimeout():
            return "timeout"
        case AnswerTooLarge():
            return "oversized"
        case _:
            return "cancelled"


def _should_move_on(answer: Whole | Flow) -> bool:
    return isinstance(answer, Whole) and answer.status in _ANOTHER_MAY


def _final(opened: Opened, answer: Whole) -> Opened:
    """What the last engine said when none was left to ask: its 429 is the client's to know, the rest ours to tell."""
    match answer.status:
        case 429:
            return opened
        case 503:
            raise NoEngineAvailable(f"engine {opened.engine_id} is not able to answer now (503)", retry_after=1)
        case status:
            raise UpstreamError(f"engine {opened.engine_id} answered {status}")
