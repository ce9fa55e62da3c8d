from collections.abc import Mapping

import pytest
from msgspec import structs

from control_plane.domain.changes import Changes
from control_plane.domain.discoveries import Address, Admissions
from control_plane.domain.ports import Model
from control_plane.domain.records import Record, Source
from control_plane.domain.registrations import Registrations
from control_plane.domain.rosters import ROUNDS_TO_RETRY, ROUNDS_TO_VANISH, Rosters
from sage_contracts.errors import Unavailable
from tests.control_plane.domain.fakes import FakeAddresses, FakeProber, FlakyRegistry, Time, record


class FakeRoster:
    source: Source = "dns"

    def __init__(self, port: int = 80) -> None:
        self.name = f"dns vllm:{port}"
        self.port = port
        self.hosts: list[str] = []
        self.away = False

    async def listed(self) -> Mapping[Address, str]:
        if self.away:
            raise Unavailable("no answer")
        return {(host, self.port): self.name for host in self.hosts}


class World:
    def __init__(self) -> None:
        self.clock = Time()
        self.registry = FlakyRegistry()
        self.prober = FakeProber(alive={80}, served={80: [Model("m")]})
        self.addresses = FakeAddresses()
        self.roster = FakeRoster()
        self.rosters = self.reading(self.roster)

    def reading(self, *rosters: FakeRoster) -> Rosters:
        registrations = Registrations(
            registry=self.registry, addresses=self.addresses, prober=self.prober, clock=self.clock, start_seconds=60
        )
        return Rosters(
            rosters,
            registry=self.registry,
            changes=Changes(self.registry, self.clock),
            admissions=Admissions(registry=self.registry, registrations=registrations, prober=self.prober),
            clock=self.clock,
            drain_seconds=300,
        )

    async def rounds(self, count: int = 1) -> dict[str, str]:
        for _ in range(count):
            await self.rosters.look()
        return {one.host: one.state for one in await self.records()}

    async def records(self) -> list[Record]:
        return list((await self.registry.snapshot()).records.values())


@pytest.fixture
def world() -> World:
    return World()


async def test_every_address_of_a_list_is_an_engine_that_says_where_it_was_found(world: World) -> None:
    world.roster.hosts = ["10.0.0.1", "10.0.0.2"]

    assert await world.rounds() == {"10.0.0.1": "READY", "10.0.0.2": "READY"}
    assert {(one.source, one.origin) for one in await world.records()} == {("dns", "dns vllm:80")}
    version = (await world.registry.snapshot()).version
    await world.rounds(10)
    assert (await world.registry.snapshot()).version == version


async def test_what_vanishes_is_drained_after_some_rounds_and_forgotten_when_it_stopped(world: World) -> None:
    world.roster.hosts = ["10.0.0.1", "10.0.0.2"]
    await world.rounds()
    world.roster.hosts = ["10.0.0.2"]
    patient = await world.rounds(ROUNDS_TO_VANISH - 1)
    drained = await world.rounds()
    [gone] = [one for one in await world.records() if one.host == "10.0.0.1"]
    world.registry.put(structs.replace(gone, state="STOPPED"))

    assert patient["10.0.0.1"] == "READY"
    assert drained == {"10.0.0.1": "DRAINING", "10.0.0.2": "READY"}
    assert gone.drain_until == world.clock.now + 300
    assert await world.rounds() == {"10.0.0.2": "READY"}


async def test_what_is_listed_again_while_it_drains_comes_back(world: World) -> None:
    world.roster.hosts = ["10.0.0.1", "10.0.0.2"]
    await world.rounds()
    world.roster.hosts = ["10.0.0.2"]
    await world.rounds(ROUNDS_TO_VANISH)
    world.roster.hosts = ["10.0.0.1", "10.0.0.2"]

    assert (await world.rounds(2))["10.0.0.1"] in {"STARTING", "READY"}
    assert not any(one.vanished for one in await world.records())


async def test_what_is_listed_again_when_it_has_stopped_is_admitted_anew(world: World) -> None:
    world.roster.hosts = ["10.0.0.1", "10.0.0.2"]
    await world.rounds()
    world.roster.hosts = ["10.0.0.2"]
    await world.rounds(ROUNDS_TO_VANISH)
    [gone] = [one for one in await world.records() if one.host == "10.0.0.1"]
    world.registry.put(structs.replace(gone, state="STOPPED"))
    world.roster.hosts = ["10.0.0.1", "10.0.0.2"]

    assert await world.rounds(2) == {"10.0.0.1": "READY", "10.0.0.2": "READY"}


async def test_what_was_pruned_while_it_was_away_is_found_again(world: World) -> None:
    world.roster.hosts = ["10.0.0.1"]
    await world.rounds()
    [known] = await world.records()
    world.prober.alive = set()
    world.registry.put(structs.replace(known, state="ERROR"))
    await world.rounds()
    world.registry.drop(known.engine_id)
    away = await world.rounds()
    world.prober.alive = {80}

    assert (away, await world.rounds(ROUNDS_TO_RETRY + 1)) == ({}, {"10.0.0.1": "READY"})


async def test_lists_whose_names_begin_alike_leave_each_other_s_engines_alone(world: World) -> None:
    world.prober.alive, world.prober.served = {80, 8000}, {80: [Model("m")], 8000: [Model("m")]}
    long = FakeRoster(8000)
    world.rosters = world.reading(world.roster, long)
    world.roster.hosts = long.hosts = ["10.0.0.1"]
    await world.rounds()
    long.away = True

    await world.rounds(ROUNDS_TO_VANISH + 1)
    assert {(one.port, one.state) for one in await world.records()} == {(80, "READY"), (8000, "READY")}


async def test_what_an_operator_drained_or_stopped_stays_so_while_it_is_listed(world: World) -> None:
    world.roster.hosts = ["10.0.0.1"]
    await world.rounds()
    [known] = await world.records()
    for state in ("DRAINING", "STOPPED"):
        world.registry.put(structs.replace(known, state=state))

        assert await world.rounds(5) == {"10.0.0.1": state}


async def test_a_list_that_cannot_be_read_or_is_empty_drains_nobody(world: World) -> None:
    world.roster.hosts = ["10.0.0.1"]
    await world.rounds()
    world.roster.away = True
    assert await world.rounds(10) == {"10.0.0.1": "READY"}
    world.roster.away, world.roster.hosts = False, []

    assert await world.rounds(10) == {"10.0.0.1": "READY"}


async def test_an_engine_that_does_not_answer_yet_is_tried_again_now_and_then(world: World) -> None:
    world.roster.hosts = ["10.0.0.1"]
    world.prober.alive = set()
    assert await world.rounds() == {}
    world.prober.alive = {80}

    assert await world.rounds(ROUNDS_TO_RETRY) == {}
    assert await world.rounds() == {"10.0.0.1": "READY"}


async def test_engines_of_a_list_that_is_no_longer_named_are_forgotten_and_others_are_not(world: World) -> None:
    world.roster.hosts = ["10.0.0.1"]
    await world.rounds()
    world.registry.put(record("mine", port=9))
    world.rosters = world.reading()

    assert await world.rounds() == {"gpu": "READY"}


async def test_a_registry_that_lost_its_data_is_filled_again(world: World) -> None:
    world.roster.hosts = ["10.0.0.1"]
    await world.rounds(2)
    [known] = await world.records()
    world.registry.drop(known.engine_id)
    world.registry.forget_version()

    assert await world.rounds() == {"10.0.0.1": "READY"}


async def test_a_registry_that_is_away_changes_nothing(world: World) -> None:
    world.registry.away = True
    await world.rosters.look()
