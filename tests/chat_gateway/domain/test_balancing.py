from random import Random

import pytest

from chat_gateway.domain.balancing import Candidate, least_busy
from sage_contracts.fleet import FleetEngine


def candidate(name: str, in_flight: int = 0, *, suspected: bool = False) -> Candidate:
    engine = FleetEngine(engine_id=name, model_id="m", base_url="http://h:1", state="READY")
    return Candidate(engine, in_flight, suspected)


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        pytest.param([candidate("a", 2), candidate("b", 1)], "b", id="the fewest in flight"),
        pytest.param([candidate("a", suspected=True), candidate("b", 9)], "b", id="a suspected one only at last"),
        pytest.param([candidate("a", 1, suspected=True), candidate("b", 0, suspected=True)], "b", id="all suspected"),
    ],
)
def test_the_least_busy_is_chosen(candidates: list[Candidate], chosen: str) -> None:
    assert least_busy(candidates, Random(1)).engine.engine_id == chosen


def test_equals_share_the_work() -> None:
    rng = Random(1)
    equals = [candidate("a"), candidate("b"), candidate("c")]
    chosen = [least_busy(equals, rng).engine.engine_id for _ in range(300)]

    assert all(60 < chosen.count(name) < 140 for name in "abc")
