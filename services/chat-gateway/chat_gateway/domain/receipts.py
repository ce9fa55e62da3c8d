"""What was considered, chosen and tried for one request, so that it can be told."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET

from chat_gateway.domain.balancing import Candidate
from chat_gateway.domain.ports import Outcome
from sage_contracts.chat import Attempt, Considered, PromptReceipt, Receipt

SHOWN = 12
"""So many candidates are listed at most: a header must stay small."""

HEADER_BYTES = 3_000
"""Proxies refuse an answer whose headers do not fit in one page of memory, 4,096 bytes, all of them together."""


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
    prompt: PromptReceipt | None = None

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
            prompt=UNSET if self.prompt is None else self.prompt,
        )

    def header(self) -> str:
        """As compact JSON, in ASCII as a header must be; what does not fit is only counted."""
        told = msgspec.to_builtins(self.receipt())
        while len(text := json.dumps(told, separators=(",", ":"))) > HEADER_BYTES:
            if memory := told.get("prompt", {}).get("memory"):
                memory.pop()
                told["prompt"]["more_memory"] += 1
            elif told["candidates"]:
                told["candidates"].pop()
                told["more_candidates"] += 1
            else:
                break
        return text
