"""The engines as last heard of, and how many requests each is answering for this gateway."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from random import Random

from chat_gateway.domain.balancing import Candidate, Policy, least_busy
from chat_gateway.domain.ports import Target
from sage_contracts import fleet as wire
from sage_contracts.fleet import EngineKind, FleetEngine

SUSPECT_SECONDS = 2.0
"""How long an engine that refused a connection is asked last: about as long as the control-plane takes to see it."""


class Fleet:
    """The last good snapshot is kept for as long as no other comes."""

    def __init__(
        self,
        policy: Policy = least_busy,
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._rng = rng or Random()  # noqa: S311 - breaks ties, guards nothing
        self._clock = clock
        self._engines: list[FleetEngine] = []
        self._ready: dict[tuple[EngineKind, str], list[FleetEngine]] = {}
        self._in_flight: Counter[str] = Counter()
        self._suspected_until: dict[str, float] = {}
        self.version: int | None = None
        self.fetch_failed = False
        """Whether the last attempt to hear of the fleet failed; the snapshot is then an old one."""

    def replace(self, snapshot: wire.Fleet) -> None:
        """
        Take over what the control-plane says.

        A lower version is taken too: it comes when the registry has been lost and begun again.
        """
        ready: dict[tuple[EngineKind, str], list[FleetEngine]] = {}
        for engine in snapshot.engines:
            if engine.state == "READY":
                ready.setdefault((engine.engine_kind, engine.model_id), []).append(engine)
        self._engines, self._ready, self.version = snapshot.engines, ready, snapshot.version
        self.fetch_failed = False

    @property
    def known(self) -> bool:
        """Whether a snapshot has ever come."""
        return self.version is not None

    def ready(self, kind: EngineKind, model: str) -> list[FleetEngine]:
        return self._ready.get((kind, model), [])

    def ready_models(self, kind: EngineKind) -> list[str]:
        """In the order of the snapshot."""
        return [model for of_kind, model in self._ready if of_kind == kind]

    def ready_engines(self) -> Iterator[FleetEngine]:
        return (engine for engines in self._ready.values() for engine in engines)

    def models(self, kind: EngineKind) -> list[str]:
        """Of all engines of the kind, whatever their state, each once."""
        return list(dict.fromkeys(one.model_id for one in self._engines if one.engine_kind == kind))

    def choose(self, kind: EngineKind, model: str, *, excluded: Collection[str] = ()) -> Target | None:
        """A READY engine of the model; None when every one is excluded or there is none."""
        candidates = [self._candidate(one) for one in self.ready(kind, model) if one.engine_id not in excluded]
        if not candidates:
            return None
        engine = self._policy(candidates, self._rng).engine
        return Target(engine_id=engine.engine_id, url=engine.base_url.rstrip("/") + "/v1")

    def suspect(self, engine_id: str) -> None:
        self._suspected_until[engine_id] = self._clock() + SUSPECT_SECONDS

    def take(self, engine_id: str) -> Callable[[], None]:
        """Count one more request in flight, until the returned function is called; calling it again does nothing."""
        self._in_flight[engine_id] += 1
        taken = True

        def free() -> None:
            nonlocal taken
            if taken:
                taken = False
                self._in_flight[engine_id] -= 1
                if not self._in_flight[engine_id]:
                    del self._in_flight[engine_id]

        return free

    def load(self) -> dict[str, int]:
        """Requests in flight by engine; engines without any are left out."""
        return dict(self._in_flight)

    def _candidate(self, engine: FleetEngine) -> Candidate:
        until = self._suspected_until.get(engine.engine_id, 0.0)
        return Candidate(engine, self._in_flight[engine.engine_id], suspected=until > self._clock())


def smallest_window(engines: Iterable[FleetEngine]) -> int | None:
    """What every one of the engines can take, in tokens; None where none told."""
    return min((one.context_tokens for one in engines if one.context_tokens), default=None)
