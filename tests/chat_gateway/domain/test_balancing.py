"""Each policy as a table or over many draws, and the one predicate of who may be chosen."""

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.domain.balancing import (
    BOUND,
    HOT_FROM,
    POLICIES,
    PREFIX_BYTES,
    Candidate,
    Policy,
    PolicyName,
    Reason,
    Wish,
    least_busy,
    power_of_two,
    prefix_affinity,
    prefix_of,
    round_robin,
    session_affinity,
    unavailable,
    weighted,
)
from sage_contracts.fleet import EngineKind, FleetEngine
from tests.chat_gateway.domain.test_fleet import engine

SYSTEM = {"role": "system", "content": "You are terse."}


def candidate(name: str, in_flight: int = 0, weight: float = 1.0) -> Candidate:
    return Candidate(engine(name, weight=weight), in_flight)


def drawn(policy: Policy, candidates: list[Candidate], wish: Wish = Wish(), times: int = 300) -> Counter[str]:  # noqa: B008
    rng = Random(1)
    return Counter(policy(candidates, wish, rng).engine.engine_id for _ in range(times))


@pytest.mark.parametrize(
    ("one", "kind", "model", "in_flight", "reason"),
    [
        (engine("a"), "llm", "m", 0, None),
        (engine("a", kind="embedding"), "llm", "m", 0, "kind"),
        (engine("a", "other"), "llm", "m", 0, "model"),
        (engine("a", "other", aliases=("m",)), "llm", "m", 0, None),
        (engine("a", state="STARTING"), "llm", "m", 0, "state"),
        (engine("a", state="DRAINING"), "llm", "m", 0, "state"),
        (engine("tried"), "llm", "m", 0, "tried"),
        (engine("out"), "llm", "m", 0, "ejected"),
        (engine("a", limit=2), "llm", "m", 1, None),
        (engine("a", limit=2), "llm", "m", 2, "full"),
        (engine("a", limit=2), "llm", "m", 9, "full"),
    ],
)
def test_who_may_be_chosen(
    one: FleetEngine, kind: EngineKind, model: str, in_flight: int, reason: Reason | None
) -> None:
    assert unavailable(one, kind, model, in_flight, tried={"tried"}, out={"out"}) == reason


@given(
    st.sampled_from(sorted(POLICIES)),
    st.lists(st.tuples(st.integers(0, 300), st.floats(0.01, 9)), min_size=1, max_size=12),
    st.one_of(st.none(), st.text()),
    st.lists(st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": st.text()}), max_size=4),
    st.integers(0, 10_000),
)
def test_every_policy_chooses_one_of_those_it_was_given(
    name: PolicyName, loads: list[tuple[int, float]], session: str | None, messages: list[dict[str, Any]], turn: int
) -> None:
    given_ones = [candidate(f"e{number}", *load) for number, load in enumerate(loads)]

    assert POLICIES[name](given_ones, Wish(session, messages, turn=turn), Random(1)) in given_ones


def test_in_turn_each_one_gets_the_same() -> None:
    ones = [candidate("a", 9), candidate("b"), candidate("c")]
    chosen = [round_robin(ones, Wish(turn=turn), Random(1)).engine.engine_id for turn in range(6)]

    assert chosen == ["a", "b", "c", "a", "b", "c"]


def test_the_least_busy_is_chosen_and_equals_share_the_work() -> None:
    assert drawn(least_busy, [candidate("a", 2), candidate("b", 1)]) == {"b": 300}
    assert all(
        60 < count < 140 for count in drawn(least_busy, [candidate("a"), candidate("b"), candidate("c")]).values()
    )


def test_of_two_drawn_by_lot_the_less_busy_is_chosen() -> None:
    chosen = drawn(power_of_two, [candidate("a", 5), candidate("b", 1), candidate("c", 2)])

    assert chosen["a"] == 0
    assert chosen["b"] > chosen["c"] > 60
    assert drawn(power_of_two, [candidate("alone", 99)]) == {"alone": 300}


def test_of_two_drawn_by_lot_the_quicker_is_chosen_where_that_is_known() -> None:
    slow, quick = Candidate(engine("slow"), 1, seconds=1.0), Candidate(engine("quick"), 5, seconds=0.1)
    unknown = Candidate(engine("unknown"), 2)

    assert drawn(power_of_two, [slow, quick]) == {"quick": 300}
    assert drawn(power_of_two, [unknown, quick]) == {"unknown": 300}


def test_one_long_answer_does_not_starve_an_engine() -> None:
    last_was_long = replace(candidate("a"), seconds=0.5)
    last_was_short = replace(candidate("b"), seconds=0.2)

    assert min(drawn(power_of_two, [last_was_long, last_was_short]).values()) > 100


def test_a_slow_engine_gets_little() -> None:
    """Twelve requests at a time, each answered in one step by two engines and in ten by the third."""
    rng, running, sent = Random(1), list[tuple[float, str]](), Counter[str]()
    now = 0.0
    for _ in range(3000):
        if len(running) == 12:
            running.sort()
            now, _ = running.pop(0)
        in_flight = Counter(name for _, name in running)
        chosen = power_of_two([candidate(name, in_flight[name]) for name in "abs"], Wish(), rng).engine.engine_id
        sent[chosen] += 1
        running.append((now + (10 if chosen == "s" else 1) * rng.uniform(0.8, 1.2), chosen))

    assert sent["s"] / 3000 < 0.1


def test_by_lot_each_gets_as_often_as_its_weight_says() -> None:
    chosen = drawn(weighted, [candidate("a", weight=1), candidate("b", weight=3)], times=2000)

    assert 1400 < chosen["b"] < 1600


def test_a_session_stays_where_it_is_when_another_engine_comes_or_goes() -> None:
    few, more = [candidate(name) for name in "abc"], [candidate(name) for name in "abcd"]
    homes = {n: [*drawn(session_affinity, few, Wish(f"s{n}"), 3)] for n in range(400)}
    now = {n: [*drawn(session_affinity, more, Wish(f"s{n}"), 3)] for n in range(400)}
    moved = [n for n in homes if now[n] != homes[n]]

    assert all(len(home) == 1 for home in homes.values())
    assert {now[n][0] for n in moved} == {"d"}
    assert 60 < len(moved) < 140


def test_without_a_session_the_less_busy_is_chosen() -> None:
    assert drawn(session_affinity, [candidate("a", 5), candidate("b", 1)]) == {"b": 300}
    assert drawn(prefix_affinity, [candidate("a", 5), candidate("b", 1)]) == {"b": 300}


def test_a_hot_home_spills_to_the_same_next_one() -> None:
    wish = Wish("s1")
    (home,) = drawn(session_affinity, [candidate(name, 10) for name in "abcd"], wish)
    loads = {name: 40 if name == home else 10 for name in "abcd"}
    spilled = drawn(session_affinity, [candidate(name, load) for name, load in loads.items()], wish)

    assert home not in spilled
    assert len(spilled) == 1


def test_a_home_with_little_to_do_is_not_hot() -> None:
    wish = Wish("s1")
    (home,) = drawn(session_affinity, [candidate(name) for name in "abcd"], wish)
    busy = [candidate(name, HOT_FROM - 1 if name == home else 0) for name in "abcd"]

    assert drawn(session_affinity, busy, wish) == {home: 300}


@given(st.integers(1, 40), st.integers(2, 6), st.randoms(use_true_random=False))
@pytest.mark.slow
def test_no_engine_is_over_the_bound(groups: int, engines: int, random: Random) -> None:
    """Two hundred sessions arrive, each with one of some prefixes; none leaves."""
    in_flight, missed = _arrive(groups, engines, random)
    limit = max(HOT_FROM, BOUND * 200 / engines)

    assert max(in_flight.values()) <= limit
    assert missed <= groups * (engines - 1)


@pytest.mark.parametrize("groups", [1, 4, 10, 20])
def test_most_sessions_land_where_their_prefix_is(groups: int) -> None:
    shares = [1 - _arrive(groups, 4, Random(seed))[1] / 200 for seed in range(20)]

    assert min(shares) >= 0.95


def _arrive(groups: int, engines: int, random: Random) -> tuple[Counter[str], int]:
    """What each engine has in flight in the end, and how many came to one that had not seen their prefix, but another had."""
    in_flight, seen, missed = Counter[str](), defaultdict[int, set[str]](set), 0
    salt = random.random()
    for _ in range(200):
        group = random.randrange(groups)
        ones = [candidate(f"e{number}", in_flight[f"e{number}"]) for number in range(engines)]
        prompt = [{"role": "system", "content": f"{salt} {group} " + "x" * PREFIX_BYTES}]
        wish = Wish(messages=prompt, homes=seen[group])
        chosen = prefix_affinity(ones, wish, random).engine.engine_id
        missed += bool(seen[group]) and chosen not in seen[group]
        seen[group].add(chosen)
        in_flight[chosen] += 1
    return in_flight, missed


def test_the_prefix_is_the_same_in_every_turn_of_a_conversation() -> None:
    first = [SYSTEM, {"role": "user", "content": "hi"}]
    second = [*first, {"role": "assistant", "content": "hello"}, {"role": "user", "content": "more"}]

    assert prefix_of(Wish(messages=first)) == prefix_of(Wish(messages=second)) == b"system:You are terse.user:hi"


def test_a_long_beginning_in_common_is_one_prefix_whatever_is_asked() -> None:
    long = {"role": "system", "content": "é" * PREFIX_BYTES}
    prefixes = {prefix_of(Wish(messages=[long, {"role": "user", "content": text}])) for text in "ab"}

    assert len(prefixes) == 1
    assert len(prefixes.pop()) == PREFIX_BYTES


def test_a_prompt_that_is_no_chat_goes_by_its_text() -> None:
    assert prefix_of(Wish(text=b'{"prompt": "' + b"x" * 9999)) == b'{"prompt": "' + b"x" * (PREFIX_BYTES - 12)


@pytest.mark.parametrize("content", [None, 7, "\ud800", [{"type": "text", "text": "hi"}]])
def test_odd_content_has_a_prefix_too(content: object) -> None:
    assert prefix_of(Wish(messages=[{"role": "user", "content": content}])).startswith(b"user:")
