"""Which engines may be chosen for a request, and which one is. Pure: no I/O, no clock, no globals."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any, Literal

import msgspec

from sage_contracts.fleet import EngineKind, FleetEngine

PolicyName = Literal["round_robin", "least_busy", "power_of_two", "session_affinity", "prefix_affinity", "weighted"]
Reason = Literal["kind", "model", "state", "tried", "ejected", "full", "suspected"]

BOUND = 1.25
"""How much more than the mean an engine may have in flight before its sessions or prefixes spill to the next one."""
HOT_FROM = 16
"""With fewer than so many in flight no engine is hot, whatever the mean."""
CLEARLY = 3.0
"""How much longer an engine's answers must have taken lately to count against it: answers differ in length, too."""
PREFIX_BYTES = 1024
"""How much of the prompt's beginning tells where its prefix is cached: about 16 blocks of 16 tokens."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    An engine of the model, its requests in flight from all gateways, and why it may not be chosen, if so.

    `seconds` is how long its answers took lately, where that is known.
    """

    engine: FleetEngine
    in_flight: int = 0
    excluded: Reason | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a policy may know of a request. `text` stands for the prompt where there are no messages."""

    session: str | None = None
    messages: Sequence[Mapping[str, Any]] = ()
    text: bytes = b""
    turn: int = 0
    """How many requests of the model came before."""
    homes: Collection[str] = ()
    """Engines that were lately sent prompts which begin alike."""


NO_WISH = Wish()

Policy = Callable[[Sequence[Candidate], Wish, Random], Candidate]
"""Chooses among at least one candidate, all of them available."""


def unavailable(
    engine: FleetEngine, kind: EngineKind, model: str, in_flight: int, *, tried: Collection[str], out: Collection[str]
) -> Reason | None:
    """Why the engine may not be sent a request for the model; None when it may. `out` are the ejected ones."""
    if engine.engine_kind != kind:
        return "kind"
    if model != engine.model_id and model not in engine.aliases:
        return "model"
    if engine.state != "READY":
        return "state"
    if engine.engine_id in tried:
        return "tried"
    if engine.engine_id in out:
        return "ejected"
    return "full" if in_flight >= engine.max_concurrent_requests else None


def round_robin(candidates: Sequence[Candidate], wish: Wish, _: Random) -> Candidate:
    return candidates[wish.turn % len(candidates)]


def least_busy(candidates: Sequence[Candidate], _: Wish, rng: Random) -> Candidate:
    """The one with the fewest requests in flight, by lot among equals."""
    lowest = min(candidate.in_flight for candidate in candidates)
    return rng.choice([one for one in candidates if one.in_flight == lowest])


def power_of_two(candidates: Sequence[Candidate], _: Wish, rng: Random) -> Candidate:
    """
    Of two drawn by lot the one that would answer sooner: fewer in flight, or much quicker lately where that is known.

    A slow engine gets little; and gateways that do not yet know of each other's last requests do not all run to the
    same engine. Engines that are about as quick as each other share alike, whichever had the last long answer.
    """
    if len(candidates) == 1:
        return candidates[0]
    one, other = rng.sample(candidates, 2)
    pace, other_pace = (one.seconds or 0.0, other.seconds or 0.0)
    if min(pace, other_pace) <= 0 or max(pace, other_pace) < CLEARLY * min(pace, other_pace):
        return one if one.in_flight <= other.in_flight else other
    return one if (one.in_flight + 1) * pace <= (other.in_flight + 1) * other_pace else other


def session_affinity(candidates: Sequence[Candidate], wish: Wish, rng: Random) -> Candidate:
    """Where the session was before, unless that engine is hot; without a session as `power_of_two`."""
    if wish.session is None:
        return power_of_two(candidates, wish, rng)
    return _bounded(_ranked(candidates, wish.session.encode("utf-8", "replace")))


def prefix_affinity(candidates: Sequence[Candidate], wish: Wish, rng: Random) -> Candidate:
    """
    Where prompts that begin alike went, unless those engines are hot: their caches have the prefix.

    A prefix that has outgrown its engines spills to the least busy one, which is then one of them. A new one goes to
    the less busy of two that are the same for every gateway.
    """
    prefix = prefix_of(wish)
    if not prefix:
        return power_of_two(candidates, wish, rng)
    ranked = _ranked(candidates, prefix)
    homes = [candidate for candidate in ranked if candidate.engine.engine_id in wish.homes]
    limit = _hot(ranked)
    calm = (candidate for candidate in homes or sorted(ranked[:2], key=_in_flight) if candidate.in_flight < limit)
    return next(calm, None) or min(ranked, key=_in_flight)


def weighted(candidates: Sequence[Candidate], _: Wish, rng: Random) -> Candidate:
    """By lot, each engine as often as its weight says."""
    return rng.choices(candidates, [candidate.engine.weight for candidate in candidates])[0]


POLICIES: Mapping[PolicyName, Policy] = {
    "round_robin": round_robin,
    "least_busy": least_busy,
    "power_of_two": power_of_two,
    "session_affinity": session_affinity,
    "prefix_affinity": prefix_affinity,
    "weighted": weighted,
}


def prefix_of(wish: Wish) -> bytes:
    """
    The prompt's first blocks, as far as the first message of the user.

    What comes later in a conversation must not change it, or each turn would be another prefix.
    """
    if not wish.messages:
        return wish.text[:PREFIX_BYTES]
    said = bytearray()
    for message in wish.messages:
        content = message.get("content")
        said += f"{message.get('role')}:".encode("utf-8", "replace")
        said += content.encode("utf-8", "replace") if isinstance(content, str) else msgspec.json.encode(content)
        if message.get("role") == "user" or len(said) >= PREFIX_BYTES:
            break
    return bytes(said[:PREFIX_BYTES])


def _ranked(candidates: Sequence[Candidate], key: bytes) -> list[Candidate]:
    """
    Rendezvous hashing: each key has an order of its own among the engines, the same in every gateway.

    An engine that comes or goes moves only the keys that are first, or next, on it.
    """

    def score(candidate: Candidate) -> bytes:
        return blake2b(key + b"\0" + candidate.engine.engine_id.encode(), digest_size=8).digest()

    return sorted(candidates, key=score, reverse=True)


def _bounded(ranked: Sequence[Candidate]) -> Candidate:
    """The first that is not hot; the least busy where all are."""
    limit = _hot(ranked)
    calm = (candidate for candidate in ranked if candidate.in_flight < limit)
    return next(calm, None) or min(ranked, key=_in_flight)


def _hot(candidates: Sequence[Candidate]) -> int:
    """From how many requests in flight an engine is hot: with one more it would be over the bound."""
    total = sum(candidate.in_flight for candidate in candidates) + 1
    return max(HOT_FROM, int(BOUND * total / len(candidates)))


def _in_flight(candidate: Candidate) -> int:
    return candidate.in_flight
