import pytest
from msgspec import structs

from control_plane.domain.changes import Changes
from control_plane.domain.fleets import Fleets
from control_plane.domain.ports import Model
from control_plane.domain.records import Sighting
from control_plane.domain.watching import Watch, phase
from tests.control_plane.domain.fakes import (
    FakeCounts,
    FakeLease,
    FakeLoad,
    FakeProber,
    FlakyRegistry,
    Time,
    record,
)


class World:
    def __init__(self) -> None:
        self.clock = Time()
        self.registry = FlakyRegistry()
        self.lease = FakeLease()
        self.load = FakeLoad()
        self.prober = FakeProber()
        self.counts = FakeCounts()
        self.watch = Watch(
            registry=self.registry,
            fleets=Fleets(self.registry, self.counts),
            changes=Changes(self.registry, self.clock),
            lease=self.lease,
            load=self.load,
            prober=self.prober,
            counts=self.counts,
            clock=self.clock,
            interval_seconds=0.0,
            drain_grace_seconds=3.0,
        )


@pytest.fixture
def world() -> World:
    return World()


async def test_three_rounds_without_an_answer_make_an_error(world: World) -> None:
    world.registry.put(record())
    states = []
    for _ in range(4):
        await world.watch.look()
        states.append((world.registry.read("e1").state, world.registry.seen("e1").misses))

    assert states == [("READY", 1), ("READY", 2), ("ERROR", 3), ("ERROR", 4)]


async def test_a_stopped_engine_is_not_probed(world: World) -> None:
    world.registry.put(record(state="STOPPED"))
    await world.watch.look()

    assert world.prober.asked == 0


async def test_who_does_not_lead_does_not_probe(world: World) -> None:
    world.registry.put(record())
    world.lease.token = None
    await world.watch.look()
    await world.watch.settle()

    assert world.prober.asked == 0


async def test_a_new_leader_counts_from_zero(world: World) -> None:
    world.registry.put(record())
    await world.watch.look()
    await world.watch.look()
    for token in (None, "me"):
        world.lease.next_token = token
        await world.watch.lead()
    await world.watch.look()

    assert (world.registry.read("e1").state, world.registry.seen("e1").misses) == ("READY", 1)


async def test_misses_before_an_outage_of_the_registry_do_not_count(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.registry.put(record())
    await world.watch.look()
    await world.watch.look()
    world.registry.away = True
    await world.watch.look()
    await world.watch.look()
    world.registry.away = False
    await world.watch.look()

    assert world.registry.read("e1").state == "READY"
    assert caplog.text.count("engines not watched") == 1


async def test_a_lost_lease_ends_the_round_without_a_change(world: World) -> None:
    world.registry.put(record())
    for _ in range(2):
        await world.watch.look()
    world.registry.leader = "another"
    await world.watch.look()

    assert world.registry.read("e1").state == "READY"


async def test_a_drain_that_came_first_is_not_undone_by_a_probe(world: World) -> None:
    world.registry.put(record(state="ERROR"))
    world.prober.alive = {1}
    world.registry.before_swap = [lambda: world.registry.put(record(state="DRAINING"))]
    await world.watch.look()

    assert world.registry.read("e1").state == "DRAINING"


async def test_an_engine_removed_in_mid_round_is_left_alone(world: World) -> None:
    world.registry.put(record(state="ERROR"))
    world.prober.alive = {1}
    world.registry.before_swap = [lambda: world.registry.drop("e1")]
    await world.watch.look()

    assert (await world.registry.snapshot()).records == {}


async def test_an_engine_registered_anew_begins_without_misses(world: World) -> None:
    world.registry.put(record())
    await world.watch.look()
    await world.watch.look()
    world.registry.put(record(created_at=999.0))
    await world.watch.look()

    assert world.registry.read("e1").state == "READY"


async def test_the_last_answer_is_remembered_from_before(world: World) -> None:
    world.registry.put(record())
    await world.registry.note({"e1": Sighting(last_answer=5.0, misses=2)})
    await world.watch.look()

    assert world.registry.seen("e1") == Sighting(last_answer=5.0, misses=1)


async def test_a_starting_engine_is_an_error_when_its_time_is_over(world: World) -> None:
    world.registry.put(record(state="STARTING", ready_by=1_010.0))
    for _ in range(5):
        await world.watch.look()
    waiting = world.registry.read("e1").state
    world.clock.now = 1_010.0
    await world.watch.look()

    assert (waiting, world.registry.read("e1").state) == ("STARTING", "ERROR")


async def test_the_window_is_read_at_the_first_answer(world: World) -> None:
    world.registry.put(record(state="STARTING", ready_by=1_010.0))
    world.prober.alive = {1}
    world.prober.served = {1: [Model("another name", 4096)]}
    await world.watch.look()
    kept = world.registry.read("e1")

    assert (kept.state, kept.context_tokens, kept.ready_by) == ("READY", 4096, None)


@pytest.mark.parametrize(
    ("since", "until", "active", "state"),
    [
        (0.0, 300.0, 0, "DRAINING"),
        (2.9, 300.0, 0, "DRAINING"),
        (3.0, 300.0, 0, "STOPPED"),
        (50.0, 300.0, 1, "DRAINING"),
        (50.0, 50.0, 1, "STOPPED"),
        (0.0, 0.0, 1, "STOPPED"),
    ],
)
async def test_a_drain_ends_when_empty_after_the_grace_or_at_the_deadline(
    world: World, since: float, until: float, active: int, state: str
) -> None:
    began = world.clock.now - since
    world.registry.put(record(state="DRAINING", draining_since=began, drain_until=began + until))
    world.load.counts = {"e1": active}
    await world.watch.settle()

    assert world.registry.read("e1").state == state


async def test_a_drain_is_not_ended_while_the_registry_is_away(world: World) -> None:
    world.registry.put(record(state="DRAINING", draining_since=0.0, drain_until=0.0))
    world.registry.away = True
    await world.watch.settle()

    assert world.registry.read("e1").state == "DRAINING"


def test_an_engine_has_its_own_place_in_a_round() -> None:
    phases = [phase(f"e{number}") for number in range(500)]

    assert phases == [phase(f"e{number}") for number in range(500)]
    assert all(0 <= one < 1 for one in phases)
    assert max(sum(1 for one in phases if lower <= one * 10 < lower + 1) for lower in range(10)) < 100


async def test_a_record_without_a_drain_clock_ends_at_once(world: World) -> None:
    world.registry.put(structs.replace(record(state="DRAINING"), draining_since=None, drain_until=None))
    await world.watch.settle()

    assert world.registry.read("e1").state == "STOPPED"
