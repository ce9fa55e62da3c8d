"""Pick the engine for a request. Pure: no I/O, no clock, no globals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sage_contracts.fleet import FleetEngine


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that serves the model. `suspected`: it refused a connection a moment ago."""

    engine: FleetEngine
    in_flight: int = 0
    suspected: bool = False


Policy = Callable[[Sequence[Candidate], Random], Candidate]
"""Chooses among at least one candidate."""


def least_busy(candidates: Sequence[Candidate], rng: Random) -> Candidate:
    """The one with the fewest requests in flight, by lot among equals; a suspected one only when all are."""
    lowest = min((candidate.suspected, candidate.in_flight) for candidate in candidates)
    return rng.choice([one for one in candidates if (one.suspected, one.in_flight) == lowest])
