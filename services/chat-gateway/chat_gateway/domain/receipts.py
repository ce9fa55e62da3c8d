"""What was considered, chosen and tried for one request, so that it can be told."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from chat_gateway.domain.balancing import Candidate
from chat_gateway.domain.ports import Outcome
from sage_contracts.chat import Attempt, Considered, Receipt

SHOWN = 12
"""So many candidates are listed at most: a header must stay small."""


@dataclass(slots=True)
class Trail:
    """Filled in while a request is dispatched."""

    model: str
    policy: str
    fleet_version: int | None
    candidates: Sequence[Candidate] = ()
    attempts: list[tuple[str, Outcome, float]] = field(default_factory=list)
    waited_seconds: float = 0.0
    engine_id: str | None = None

    def receipt(self) -> Receipt:
        return Receipt(
            model=self.model,
            policy=self.policy,
            fleet_version=self.fleet_version,
            engine_id=self.engine_id,
            candidates=[
                Considered(engine_id=one.engine.engine_id, in_flight=one.in_flight, excluded=one.excluded)
                for one in self.candidates[:SHOWN]
            ],
            more_candidates=max(0, len(self.candidates) - SHOWN),
            attempts=[
                Attempt(engine_id=name, outcome=outcome, seconds=round(seconds, 4))
                for name, outcome, seconds in self.attempts
            ],
            waited_seconds=round(self.waited_seconds, 4),
        )

    def header(self) -> str:
        """As compact JSON, in ASCII as a header must be."""
        return json.dumps(msgspec.to_builtins(self.receipt()), separators=(",", ":"))
