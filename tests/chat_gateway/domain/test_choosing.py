from collections.abc import Collection

import pytest

from chat_gateway.domain.balancing import PolicyName, Reason, Wish
from chat_gateway.domain.choosing import SUSPECT_SECONDS, Chooser
from chat_gateway.domain.ejecting import FAILURES_IN_A_ROW, STEP_SECONDS
from chat_gateway.domain.loads import Loads
from sage_contracts import fleet as wire
from sage_contracts.fleet import FleetEngine
from tests.chat_gateway.domain.test_fleet import engine, fleet_of


class Scene:
    def __init__(self, *engines: FleetEngine, policy: PolicyName = "power_of_two") -> None:
        self.now = 100.0
        self.fleet = fleet_of(*engines)
        self.loads = Loads()
        self.chooser = Chooser(self.fleet, self.loads, policy, clock=lambda: self.now)

    def chosen(self, *tried: str, model: str = "m") -> str | None:
        chosen = self.chooser.choose("llm", model, tried=tried).engine
        return chosen.engine_id if chosen else None

    def reasons(self, tried: Collection[str] = ()) -> dict[str, Reason | None]:
        candidates = self.chooser.choose("llm", "m", tried=tried).candidates
        return {one.engine.engine_id: one.excluded for one in candidates}

    def ejects(self, *names: str) -> None:
        for name in names:
            for _ in range(FAILURES_IN_A_ROW):
                self.chooser.failed(name)


def test_only_a_ready_engine_of_the_model_and_kind_is_chosen() -> None:
    scene = Scene(engine("a", state="DRAINING"), engine("b", kind="embedding"), engine("c", "other"), engine("d"))

    assert {scene.chosen() for _ in range(20)} == {"d"}


def test_why_an_engine_is_not_chosen_is_told() -> None:
    names = ("tried", "out", "full", "shy", "one", "two")
    scene = Scene(*(engine(name, limit=1 if name == "full" else 9) for name in names), engine("gone", state="ERROR"))
    scene.loads.take("full")
    scene.ejects("out")
    scene.chooser.suspect("shy")

    assert scene.reasons(tried={"tried"}) == {
        "tried": "tried",
        "out": "ejected",
        "full": "full",
        "shy": "suspected",
        "one": None,
        "two": None,
        "gone": "state",
    }


def test_with_all_tried_there_is_none_and_nothing_to_wait_for() -> None:
    choice = Scene(engine("a")).chooser.choose("llm", "m", tried={"a"})

    assert (choice.engine, choice.is_worth_waiting) == (None, False)


def test_with_all_full_it_is_worth_waiting() -> None:
    scene = Scene(engine("a", limit=1))
    scene.loads.take("a")
    choice = scene.chooser.choose("llm", "m")

    assert (choice.engine, choice.is_worth_waiting) == (None, True)


def test_requests_of_other_gateways_fill_an_engine_too() -> None:
    scene = Scene(engine("a", limit=3), engine("b"))
    scene.loads.heard({"a": 3})

    assert {scene.chosen() for _ in range(20)} == {"b"}


def test_an_alias_is_answered_by_any_engine_that_has_it() -> None:
    scene = Scene(engine("a", "x", aliases=("chat",)), engine("b", "y", aliases=("chat",)), policy="round_robin")

    assert {scene.chosen(model="chat") for _ in range(2)} == {"a", "b"}


def test_a_suspected_engine_is_asked_last_for_a_while() -> None:
    scene = Scene(engine("a"), engine("b"))
    scene.chooser.suspect("a")
    first = {scene.chosen() for _ in range(20)}
    alone = scene.chosen("b")
    scene.now += SUSPECT_SECONDS

    assert (first, alone) == ({"b"}, "a")
    assert {scene.chosen() for _ in range(50)} == {"a", "b"}


def test_an_engine_that_keeps_failing_is_left_alone_for_a_while() -> None:
    scene = Scene(engine("a"), engine("b"))
    scene.ejects("a")
    first = {scene.chosen() for _ in range(20)}
    scene.now += STEP_SECONDS

    assert first == {"b"}
    assert {scene.chosen() for _ in range(50)} == {"a", "b"}


def test_a_success_in_between_breaks_the_row() -> None:
    scene = Scene(engine("a"), engine("b"))
    for _ in range(FAILURES_IN_A_ROW):
        scene.chooser.failed("a")
        scene.chooser.succeeded("a")

    assert {scene.chosen() for _ in range(50)} == {"a", "b"}


def test_when_most_of_them_fail_all_are_used() -> None:
    scene = Scene(engine("a"), engine("b"), engine("c"))
    scene.ejects("a", "b")

    assert {scene.chosen() for _ in range(100)} == {"a", "b", "c"}


def test_an_engine_that_was_probed_and_found_well_is_back_at_once() -> None:
    scene = Scene(engine("a"), engine("b"))
    scene.ejects("a")
    scene.chooser.suspect("a")
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine("a", state="ERROR"), engine("b")]))
    scene.fleet.replace(wire.Fleet(version=3, engines=[engine("a"), engine("b")]))

    assert {scene.chosen() for _ in range(50)} == {"a", "b"}


def test_an_engine_that_only_stays_ready_is_not_pardoned() -> None:
    scene = Scene(engine("a"), engine("b"))
    scene.ejects("a")
    scene.fleet.replace(wire.Fleet(version=2, engines=[engine("a"), engine("b")]))

    assert {scene.chosen() for _ in range(20)} == {"b"}


@pytest.mark.parametrize("policy", ["session_affinity", "prefix_affinity"])
def test_who_has_a_home_finds_it_again(policy: PolicyName) -> None:
    scene = Scene(*(engine(name) for name in "abcd"), policy=policy)
    wish = Wish("s1", [{"role": "user", "content": "hello"}])

    assert len({str(scene.chooser.choose("llm", "m", wish).engine) for _ in range(20)}) == 1
