from collections.abc import Collection

from chat_gateway.domain.fleet import Fleet, smallest_window
from sage_contracts import fleet as wire
from sage_contracts.fleet import EngineKind, FleetEngine, State


def engine(
    name: str,
    model: str = "m",
    state: State = "READY",
    kind: EngineKind = "llm",
    *,
    aliases: tuple[str, ...] = (),
    limit: int = 256,
    weight: float = 1.0,
) -> FleetEngine:
    return FleetEngine(
        engine_id=name,
        model_id=model,
        base_url=f"http://{name}:1/",
        state=state,
        engine_kind=kind,
        aliases=aliases,
        max_concurrent_requests=limit,
        weight=weight,
    )


def fleet_of(*engines: FleetEngine) -> Fleet:
    fleet = Fleet()
    fleet.replace(wire.Fleet(version=1, engines=list(engines)))
    return fleet


def test_an_alias_is_served_by_engines_of_several_models() -> None:
    fleet = fleet_of(engine("a", "x", aliases=("chat",)), engine("b", "y", aliases=("chat", "x")))

    assert [one.engine_id for one in fleet.ready("llm", "chat")] == ["a", "b"]
    assert [one.engine_id for one in fleet.ready("llm", "x")] == ["a", "b"]
    assert fleet.ready_models("llm") == ["x", "y", "chat"]


def test_an_alias_of_the_models_own_name_counts_once() -> None:
    assert len(fleet_of(engine("a", "x", aliases=("x", "y", "y"))).ready("llm", "x")) == 1
    assert len(fleet_of(engine("a", "x", aliases=("x", "y", "y"))).ready("llm", "y")) == 1


def test_engines_of_any_state_are_known_but_only_ready_ones_ready() -> None:
    fleet = fleet_of(engine("a", state="DRAINING"), engine("b"))

    assert [one.engine_id for one in fleet.serving("llm", "m")] == ["a", "b"]
    assert [one.engine_id for one in fleet.ready("llm", "m")] == ["b"]


def test_who_listens_is_told_of_the_engines_that_became_ready() -> None:
    told: list[Collection[str]] = []
    fleet = fleet_of(engine("a"), engine("b", state="ERROR"))
    fleet.when_changed(told.append)
    fleet.replace(wire.Fleet(version=2, engines=[engine("a"), engine("b"), engine("c")]))
    fleet.replace(wire.Fleet(version=3, engines=[engine("a")]))

    assert told == [{"b", "c"}, set()]


def test_a_lower_version_is_taken_too() -> None:
    fleet = fleet_of(engine("a"))
    fleet.replace(wire.Fleet(version=0, engines=[]))

    assert (fleet.version, fleet.ready_models("llm")) == (0, [])


def test_the_smallest_window_counts() -> None:
    small = FleetEngine(engine_id="s", model_id="m", base_url="http://s:1", state="READY", context_tokens=2048)
    large = FleetEngine(engine_id="l", model_id="m", base_url="http://l:1", state="READY", context_tokens=8192)

    assert (smallest_window([large, engine("a"), small]), smallest_window([engine("a")])) == (2048, None)
