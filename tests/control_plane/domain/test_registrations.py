import pytest
from msgspec import structs

from control_plane.domain.discoveries import Admissions, Discoveries
from control_plane.domain.ports import Model
from control_plane.domain.registrations import Registrations
from sage_contracts.errors import EngineIdTaken
from sage_contracts.management import RegisterEngine
from tests.control_plane.domain.fakes import FakeAddresses, FakeProber, FlakyRegistry, Time, record

GPU = RegisterEngine(host="gpu", port=1)


class World:
    def __init__(self) -> None:
        self.registry = FlakyRegistry()
        self.prober = FakeProber(alive={1}, served={1: [Model("m")]})
        self.addresses = FakeAddresses()
        self.registrations = Registrations(
            registry=self.registry,
            addresses=self.addresses,
            prober=self.prober,
            clock=Time(),
            start_seconds=60.0,
        )

    def discoveries(self, *, static: list[tuple[str, int]], well_known: list[tuple[str, int]]) -> Discoveries:
        return Discoveries(
            registry=self.registry,
            admissions=Admissions(registry=self.registry, registrations=self.registrations, prober=self.prober),
            static=static,
            well_known=well_known,
        )

    async def models(self) -> dict[str, str]:
        return {one.model_id: one.source for one in (await self.registry.snapshot()).records.values()}


@pytest.fixture
def world() -> World:
    return World()


async def test_two_registrations_at_once_are_one_engine(world: World) -> None:
    other = record("m-gpu-1", port=1)
    world.registry.before_swap = [lambda: world.registry.put(other)]
    kept = await world.registrations.register(GPU)

    assert kept.created_at == other.created_at
    assert len((await world.registry.snapshot()).records) == 1


async def test_an_id_taken_meanwhile_at_another_address_is_still_a_conflict(world: World) -> None:
    world.registry.before_swap = [lambda: world.registry.put(record("e1", port=2))]

    with pytest.raises(EngineIdTaken):
        await world.registrations.register(RegisterEngine(host="gpu", port=1, engine_id="e1"))


async def test_an_engine_that_is_away_may_be_described_anew(world: World) -> None:
    world.registry.put(record("e1", port=9, state="ERROR", context_tokens=77))
    request = RegisterEngine(host="gpu", port=9, engine_id="e1", model_id="new", metadata={"a": 1})
    kept = await world.registrations.register(request)
    again = await world.registrations.register(request)

    assert (kept.state, kept.model_id, kept.metadata, kept.context_tokens) == ("ERROR", "new", {"a": 1}, 77)
    assert again == kept


async def test_an_answer_heals_an_error_at_registration(world: World) -> None:
    world.registry.put(record("e1", port=1, state="ERROR"))

    assert (await world.registrations.register(RegisterEngine(host="gpu", port=1, engine_id="e1"))).state == "READY"


async def test_well_known_ports_are_looked_at_once(world: World) -> None:
    discoveries = world.discoveries(static=[], well_known=[("gpu", 1), ("gpu", 2)])
    await discoveries.look()
    world.prober.alive, world.prober.served = {1, 2}, {2: [Model("late")]}
    await discoveries.look()

    assert await world.models() == {"m": "discovered"}


async def test_a_gateway_found_on_this_machine_is_no_engine(world: World) -> None:
    world.prober.served = {1: [Model("m"), Model("sage-default")]}
    await world.discoveries(static=[], well_known=[("gpu", 1)]).look()

    assert await world.models() == {}


async def test_a_model_that_a_static_engine_no_longer_serves_is_forgotten(world: World) -> None:
    await world.discoveries(static=[("gpu", 1)], well_known=[]).look()
    world.prober.served = {1: [Model("other")]}
    await world.discoveries(static=[("gpu", 1)], well_known=[]).look()

    assert await world.models() == {"other": "static"}


async def test_static_engines_come_back_when_the_registry_was_lost(world: World) -> None:
    discoveries = world.discoveries(static=[("gpu", 1)], well_known=[])
    for _ in range(2):
        await discoveries.look()
    world.registry._records.clear()
    world.registry._version = 0
    await discoveries.look()

    assert await world.models() == {"m": "static"}


async def test_a_static_engine_pruned_while_it_was_away_is_found_again_when_it_answers(world: World) -> None:
    discoveries = world.discoveries(static=[("gpu", 1)], well_known=[])
    await discoveries.look()
    world.prober.alive = set()
    [known] = (await world.registry.snapshot()).records.values()
    world.registry.put(structs.replace(known, state="ERROR"))
    await discoveries.look()
    world.registry.drop(known.engine_id)
    await discoveries.look()
    away = await world.models()
    world.prober.alive = {1}
    await discoveries.look()

    assert (away, await world.models()) == ({}, {"m": "static"})


async def test_a_static_engine_that_was_removed_while_it_was_well_stays_away(world: World) -> None:
    discoveries = world.discoveries(static=[("gpu", 1)], well_known=[])
    await discoveries.look()
    await discoveries.look()
    [known] = (await world.registry.snapshot()).records.values()
    world.registry.drop(known.engine_id)
    await discoveries.look()

    assert await world.models() == {}


async def test_an_address_that_is_refused_is_logged_and_not_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.addresses.refused = {"gpu"}
    discoveries = world.discoveries(static=[("gpu", 1)], well_known=[])
    for _ in range(3):
        await discoveries.look()

    assert caplog.text.count("engine not registered") == 1
    assert await world.models() == {}


async def test_nothing_is_looked_for_while_the_registry_is_away(world: World) -> None:
    discoveries = world.discoveries(static=[("gpu", 1)], well_known=[])
    world.registry.away = True
    await discoveries.look()
    world.registry.away = False
    await discoveries.look()

    assert await world.models() == {"m": "static"}
