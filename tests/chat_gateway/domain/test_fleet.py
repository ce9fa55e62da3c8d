from chat_gateway.domain.fleet import SUSPECT_SECONDS, Fleet, smallest_window
from sage_contracts import fleet as wire
from sage_contracts.fleet import EngineKind, FleetEngine, State


def engine(name: str, model: str = "m", state: State = "READY", kind: EngineKind = "llm") -> FleetEngine:
    return FleetEngine(engine_id=name, model_id=model, base_url=f"http://{name}:1/", state=state, engine_kind=kind)


def fleet_of(*engines: FleetEngine) -> Fleet:
    fleet = Fleet()
    fleet.replace(wire.Fleet(version=1, engines=list(engines)))
    return fleet


def chosen(fleet: Fleet, kind: EngineKind = "llm", model: str = "m", excluded: tuple[str, ...] = ()) -> str | None:
    target = fleet.choose(kind, model, excluded=excluded)
    return target.engine_id if target else None


def test_only_a_ready_engine_of_the_model_and_kind_is_chosen() -> None:
    fleet = fleet_of(engine("a", state="DRAINING"), engine("b", kind="embedding"), engine("c", "other"), engine("d"))

    assert {chosen(fleet) for _ in range(20)} == {"d"}


def test_the_target_has_the_engines_openai_base() -> None:
    target = fleet_of(engine("a")).choose("llm", "m")

    assert target is not None
    assert (target.url, target.api_key) == ("http://a:1/v1", None)


def test_an_excluded_engine_is_not_chosen_again() -> None:
    assert chosen(fleet_of(engine("a"), engine("b")), excluded=("a",)) == "b"


def test_with_all_excluded_there_is_none() -> None:
    assert chosen(fleet_of(engine("a")), excluded=("a",)) is None


def test_requests_in_flight_are_counted_until_they_are_freed() -> None:
    fleet = fleet_of(engine("a"), engine("b"))
    free = fleet.take("a")

    assert (fleet.load(), chosen(fleet)) == ({"a": 1}, "b")
    free()
    free()
    assert fleet.load() == {}


def test_a_suspected_engine_is_asked_last_for_a_while() -> None:
    now = 0.0
    fleet = Fleet(clock=lambda: now)
    fleet.replace(wire.Fleet(version=1, engines=[engine("a"), engine("b")]))
    fleet.suspect("a")
    first = {chosen(fleet) for _ in range(20)}
    now = SUSPECT_SECONDS + 0.1

    assert first == {"b"}
    assert {chosen(fleet) for _ in range(50)} == {"a", "b"}


def test_a_lower_version_is_taken_too() -> None:
    fleet = fleet_of(engine("a"))
    fleet.replace(wire.Fleet(version=0, engines=[]))

    assert (fleet.version, fleet.ready_models("llm")) == (0, [])


def test_the_smallest_window_counts() -> None:
    small = FleetEngine(engine_id="s", model_id="m", base_url="http://s:1", state="READY", context_tokens=2048)
    large = FleetEngine(engine_id="l", model_id="m", base_url="http://l:1", state="READY", context_tokens=8192)

    assert (smallest_window([large, engine("a"), small]), smallest_window([engine("a")])) == (2048, None)
