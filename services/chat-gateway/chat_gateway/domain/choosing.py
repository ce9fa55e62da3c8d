"""Choose an engine: what is known of each of them, put before the policy."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from chat_gateway.domain import ejecting
from chat_gateway.domain.balancing import NO_WISH, POLICIES, Candidate, PolicyName, Wish, prefix_of, unavailable
from chat_gateway.domain.ejecting import Standing
from chat_gateway.domain.fleet import Fleet
from chat_gateway.domain.homes import Homes
from chat_gateway.domain.loads import Loads
from sage_contracts.fleet import EngineKind, FleetEngine

SUSPECT_SECONDS = 2.0
"""How long an engine that refused a connection is asked last: about as long as the control-plane takes to see it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`engine` is None when none is available; it is worth waiting when one is only full."""

    candidates: Sequence[Candidate]
    engine: FleetEngine | None

    @property
    def is_worth_waiting(self) -> bool:
        return self.engine is None and any(candidate.excluded == "full" for candidate in self.candidates)


class Chooser:
    def __init__(
        self,
        fleet: Fleet,
        loads: Loads,
        policy: PolicyName = "power_of_two",
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._fleet = fleet
        self._loads = loads
        self._choose = POLICIES[policy]
        self._rng = rng or Random()  # noqa: S311 - breaks ties, guards nothing
        self._clock = clock
        self._turns: Counter[tuple[EngineKind, str]] = Counter()
        self._suspected_until: dict[str, float] = {}
        self._homes = Homes() if policy == "prefix_affinity" else None
        self._standings: dict[str, Standing] = {}
        fleet.when_changed(self._pardon)

    def choose(self, kind: EngineKind, model: str, wish: Wish = NO_WISH, *, tried: Collection[str] = ()) -> Choice:
        """One of the engines that are available; a suspected one only when all are."""
        candidates = self._candidates(kind, model, tried)
        free = [candidate for candidate in candidates if candidate.excluded is None]
        if not free:
            return Choice(candidates, None)
        turn = self._turns[kind, model]
        self._turns[kind, model] += 1
        if self._homes is None:
            return Choice(candidates, self._choose(free, replace(wish, turn=turn), self._rng).engine)
        prefix = prefix_of(wish)
        chosen = self._choose(free, replace(wish, turn=turn, homes=self._homes.of(prefix)), self._rng).engine
        self._homes.sent(prefix, chosen.engine_id)
        return Choice(candidates, chosen)

    def suspect(self, engine_id: str) -> None:
        """It could not be reached a moment ago."""
        self._suspected_until[engine_id] = self._clock() + SUSPECT_SECONDS

    def failed(self, engine_id: str) -> None:
        known = self._standings.get(engine_id, Standing())
        self._standings[engine_id] = ejecting.failed(known, self._clock())

    def succeeded(self, engine_id: str) -> None:
        if (known := self._standings.get(engine_id)) is not None and known.failures:
            self._standings[engine_id] = ejecting.succeeded(known)

    def _candidates(self, kind: EngineKind, model: str, tried: Collection[str]) -> list[Candidate]:
        now = self._clock()
        out = self._out(kind, model, now)
        candidates: list[Candidate] = []
        for engine in self._fleet.serving(kind, model):
            in_flight = self._loads.of(engine.engine_id)
            reason = unavailable(engine, kind, model, in_flight, tried=tried, out=out)
            candidates.append(Candidate(engine, in_flight, reason, self._loads.seconds(engine.engine_id)))
        return self._suspected_last(candidates, now) if self._suspected_until else candidates

    def _out(self, kind: EngineKind, model: str, now: float) -> frozenset[str]:
        if not self._standings:
            return frozenset()
        return ejecting.out(self._standings, [one.engine_id for one in self._fleet.ready(kind, model)], now)

    def _suspected_last(self, candidates: list[Candidate], now: float) -> list[Candidate]:
        self._suspected_until = {name: until for name, until in self._suspected_until.items() if now < until}
        if not any(one.excluded is None and one.engine.engine_id not in self._suspected_until for one in candidates):
            return candidates
        return [
            replace(one, excluded="suspected")
            if one.excluded is None and one.engine.engine_id in self._suspected_until
            else one
            for one in candidates
        ]

    def _pardon(self, returned: Collection[str]) -> None:
        """The control-plane has probed these and found them well: that is newer than what we know of them."""
        now = self._clock()
        for name in returned:
            self._suspected_until.pop(name, None)
            if (known := self._standings.get(name)) is not None:
                self._standings[name] = ejecting.pardoned(known, now)
