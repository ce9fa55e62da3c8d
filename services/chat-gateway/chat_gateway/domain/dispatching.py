"""Get a request answered: ask engines, one after the other, until one begins."""

from collections.abc import Callable
from dataclasses import dataclass

from chat_gateway.domain.fleet import Fleet
from chat_gateway.domain.ports import EngineDropped, EngineRefused, Engines, Flow, Meter, Outcome, Target, Whole
from chat_gateway.domain.resolving import Route
from sage_contracts.errors import NoEngineAvailable, SageError, UpstreamError, UpstreamTimeout

MAX_ATTEMPTS = 3

_ANOTHER_MAY = frozenset({429, 502, 503, 504})
"""Answers after which another engine is asked: this one did no work, or could not finish it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun. Whoever holds it must call `close`, which leaves the engine and frees its place."""

    answer: Whole | Flow
    engine_id: str
    free: Callable[[], None]

    def close(self) -> None:
        if not isinstance(self.answer, Whole):
            self.answer.close()
        self.free()


class Dispatch:
    def __init__(self, fleet: Fleet, engines: Engines, meter: Meter) -> None:
        self._fleet = fleet
        self._engines = engines
        self._meter = meter

    async def open(self, route: Route, path: str, body: bytes, *, streamed: bool) -> Opened:
        """
        The first engine's answer that is one: never the same engine twice, three at most, all before the first byte.

        Raises what the last attempt failed with; an engine's own refusal of the request is returned as its answer.
        """
        tried: set[str] = set()
        last: SageError | Opened | None = None
        while len(tried) < MAX_ATTEMPTS and (target := self._target(route, tried)) is not None:
            tried.add(target.engine_id)
            last = await self._attempt(target, path, body, streamed=streamed)
            if isinstance(last, Opened) and not _should_move_on(last.answer):
                return last
        match last:
            case Opened(answer=Whole() as answer):
                return _final(last, answer)
            case Opened():
                return last
            case None:
                raise NoEngineAvailable(f"no engine of the model '{route.model}' is READY now", retry_after=1)
        raise last

    def _target(self, route: Route, tried: set[str]) -> Target | None:
        if route.upstream is not None:
            return None if tried else route.upstream
        return self._fleet.choose(route.kind, route.model, excluded=tried)

    async def _attempt(self, target: Target, path: str, body: bytes, *, streamed: bool) -> Opened | SageError:
        free = self._fleet.take(target.engine_id)
        try:
            answer = await self._engines.open(target, path, body, streamed=streamed)
        except BaseException as error:
            free()
            self._meter.attempted(_outcome(error))
            match error:
                case EngineRefused():
                    self._fleet.suspect(target.engine_id)
                    return NoEngineAvailable(f"engine {target.engine_id} cannot be reached: {error}", retry_after=1)
                case EngineDropped():
                    return UpstreamError(f"engine {target.engine_id} closed the connection before it answered: {error}")
            raise
        self._meter.attempted("rejected" if _should_move_on(answer) else "answered")
        opened = Opened(answer, target.engine_id, free)
        if isinstance(answer, Whole):
            opened.close()
        return opened


def _outcome(error: BaseException) -> Outcome:
    match error:
        case EngineRefused():
            return "refused"
        case EngineDropped():
            return "dropped"
        case UpstreamTimeout():
            return "timeout"
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
