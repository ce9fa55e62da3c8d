import asyncio

import pytest
from msgspec import structs

from control_plane.domain.changes import Changes
from control_plane.domain.launches import Launches
from control_plane.domain.leaving import Farewell
from control_plane.domain.ports import Process
from control_plane.domain.presets import Preset, Presets
from control_plane.domain.restarting import Patience
from sage_contracts.errors import AddressRefused, Conflict, InvalidRequest, StoreUnavailable, Unavailable
from sage_contracts.management import GPU, StartEngine
from tests.control_plane.domain.fakes import (
    FakeAddresses,
    FakeCounts,
    FakeGPUs,
    FakeLauncher,
    FakeLoad,
    FakePorts,
    FlakyRegistry,
    Time,
    launched,
    record,
)

TINY = Preset(name="tiny", command=("run", "{port}"), model="m", ports=(100, 102))
ANYWHERE = Preset(name="anywhere", command=("run", "{port}"), model="m")
BOXED = Preset(name="boxed", kind="docker", image="vllm", command=("--port", "{port}"), model="b", ports=(200, 202))
FREE_10_GB = GPU(index=0, name="g", memory_used_gb=70, memory_total_gb=80, memory_free_gb=10, utilization=0, engines=[])


class World:
    def __init__(self) -> None:
        self.clock = Time()
        self.registry = FlakyRegistry()
        self.launcher = FakeLauncher()
        self.docker = FakeLauncher()
        self.addresses = FakeAddresses()
        self.ports = FakePorts()
        self.gpus = FakeGPUs()
        self.counts = FakeCounts()
        self.load = FakeLoad()
        self.launches = Launches(
            registry=self.registry,
            changes=Changes(self.registry, self.clock),
            launchers={"process": self.launcher, "docker": self.docker},
            presets=Presets([TINY, ANYWHERE, BOXED]),
            addresses=self.addresses,
            ports=self.ports,
            gpus=self.gpus,
            counts=self.counts,
            clock=self.clock,
            node="here",
            engine_host="gpu",
            patience=Patience(max_restarts=1, pause_seconds=4.0),
            load=self.load,
            farewell=Farewell(most_seconds=0.3),
        )


@pytest.fixture
def world() -> World:
    return World()


async def test_a_free_port_of_the_preset_is_chosen(world: World) -> None:
    world.ports.busy = {100}
    world.registry.put(record("other", port=101))
    started = await world.launches.start(StartEngine(preset="tiny"))

    assert started.port == 102
    assert world.launcher.started == [("tiny-gpu-102", "run", "102")]
    assert started.launch is not None
    assert started.launch.pid == 101


async def test_no_free_port_is_a_conflict(world: World) -> None:
    world.ports.busy = {100, 101, 102}

    with pytest.raises(Conflict, match="100 to 102"):
        await world.launches.start(StartEngine(preset="tiny"))


async def test_two_starts_at_once_get_two_ports(world: World) -> None:
    both = await asyncio.gather(*(world.launches.start(StartEngine(preset="tiny")) for _ in range(2)))

    assert {one.port for one in both} == {100, 101}


async def test_any_free_port_is_none_that_an_engine_has_which_does_not_listen_yet(world: World) -> None:
    first, second = [await world.launches.start(StartEngine(preset="anywhere")) for _ in range(2)]

    assert first.port != second.port
    assert set(world.launcher.alive) == {first.engine_id, second.engine_id}


async def test_a_start_that_another_control_plane_made_first_is_a_conflict(world: World) -> None:
    world.registry.before_swap = [lambda: world.registry.put(launched("tiny-gpu-100", node="there", port=100))]

    with pytest.raises(Conflict):
        await world.launches.start(StartEngine(preset="tiny"))
    assert world.launcher.started == []


async def test_a_host_that_may_not_be_connected_to_starts_nothing(world: World) -> None:
    world.addresses.refused = {"gpu"}

    with pytest.raises(AddressRefused):
        await world.launches.start(StartEngine(preset="tiny"))
    assert world.launcher.started == []


async def test_a_command_that_cannot_be_run_leaves_no_record(world: World) -> None:
    world.launcher.fails = True

    with pytest.raises(InvalidRequest, match="no such file"):
        await world.launches.start(StartEngine(preset="tiny"))
    assert (await world.registry.snapshot()).records == {}


@pytest.mark.parametrize("request_", [StartEngine(preset="tiny", use_gpu=True, required_memory_gb=20.0)])
async def test_a_gpu_must_have_room(world: World, request_: StartEngine) -> None:
    with pytest.raises(InvalidRequest, match="no GPU here"):
        await world.launches.start(request_)
    world.gpus.gpus = [FREE_10_GB]
    with pytest.raises(InvalidRequest, match=r"10\.0 GB free"):
        await world.launches.start(request_)

    assert await world.launches.start(StartEngine(preset="tiny", use_gpu=True, required_memory_gb=5.0))


async def test_nothing_is_started_while_the_registry_is_away(world: World) -> None:
    world.registry.away = True

    with pytest.raises(StoreUnavailable):
        await world.launches.start(StartEngine(preset="tiny"))
    await world.launches.supervise()
    await world.launches.end_all()
    assert world.launcher.started == []


async def test_a_crash_takes_an_engine_out_of_the_choice_at_once_and_starts_it_after_a_pause(world: World) -> None:
    world.registry.put(launched(pid=7, port=100))
    await world.launches.supervise()
    crashed = world.registry.read("e1")
    await world.launches.supervise()
    paused = list(world.launcher.started)
    world.clock.now += 4.0
    await world.launches.supervise()
    restarted = world.registry.read("e1")

    assert crashed.state == "STARTING"
    assert crashed.launch is not None
    assert (crashed.launch.pid, crashed.launch.restarts, crashed.launch.restart_at) == (None, 1, 1_004.0)
    assert paused == []
    assert world.launcher.started == [("e1", "run", "100")]
    assert restarted.ready_by == 1_124.0
    assert world.counts.restarts == 1


async def test_a_crash_ends_a_drain(world: World) -> None:
    world.registry.put(launched(pid=7, state="DRAINING", draining_since=1.0, drain_until=9_999.0))
    await world.launches.supervise()
    world.clock.now += 100
    await world.launches.supervise()

    assert world.registry.read("e1").state == "STOPPED"
    assert world.launcher.started == []


async def test_an_engine_given_up_is_left_alone(world: World) -> None:
    one = launched(state="ERROR")
    assert one.launch is not None
    world.registry.put(structs.replace(one, launch=structs.replace(one.launch, gave_up=True)))
    await world.launches.supervise()

    assert world.launcher.started == []


async def test_a_restart_that_fails_is_given_up(world: World) -> None:
    world.registry.put(launched(state="STARTING"))
    world.launcher.fails = True
    await world.launches.supervise()
    kept = world.registry.read("e1")

    assert (kept.state, kept.last_error) == ("ERROR", "no such file")
    assert kept.launch is not None
    assert kept.launch.gave_up


async def test_a_process_started_just_before_we_died_is_taken_over(world: World) -> None:
    world.registry.put(launched(state="STARTING"))
    world.launcher.alive = {"e1": Process(55, 999.0)}
    await world.launches.supervise()
    kept = world.registry.read("e1")

    assert kept.launch is not None
    assert (kept.launch.pid, kept.launch.started_at) == (55, 999.0)
    assert world.launcher.started == []


async def test_what_is_stopped_is_ended_and_what_is_another_s_is_not(world: World) -> None:
    world.registry.put(launched("mine", pid=1, state="STOPPED"))
    world.registry.put(launched("theirs", node="there", pid=2, state="STOPPED"))
    world.launcher.alive = {"mine": Process(1, 990.0), "theirs": Process(2, 990.0)}
    await world.launches.supervise()

    assert list(world.launcher.alive) == ["theirs"]
    mine = world.registry.read("mine").launch
    assert mine is not None
    assert mine.pid is None


async def test_a_process_nobody_knows_is_left_alone(world: World) -> None:
    world.launcher.alive = {"unknown": Process(1, 990.0)}
    await world.launches.supervise()

    assert list(world.launcher.alive) == ["unknown"]


@pytest.mark.parametrize(("pid", "state", "over"), [(5, "STOPPED", False), (None, "STOPPED", True), (5, "ERROR", True)])
async def test_another_node_s_engine_is_over_when_it_says_so_or_does_not_answer(
    world: World, pid: int | None, state: str, over: bool
) -> None:
    assert await world.launches.end(launched(node="there", pid=pid, state=state)) is over


async def test_a_registered_engine_has_no_process_to_end(world: World) -> None:
    assert await world.launches.end(record()) is True


async def test_an_engine_stopped_while_its_restart_waited_is_not_started(world: World) -> None:
    waiting = launched(state="STARTING")
    world.registry.put(waiting)
    snapshot = await world.registry.snapshot()
    world.registry.put(launched(state="STOPPED"))
    await world.launches._restart(snapshot.records["e1"])

    assert world.launcher.started == []


async def test_one_engine_that_vanishes_does_not_stop_the_supervision_of_others(world: World) -> None:
    world.registry.put(launched("a", pid=7))
    world.registry.put(launched("b", pid=8))
    world.registry.before_swap = [lambda: world.registry.drop("b")]
    await world.launches.supervise()
    await world.launches.supervise()

    assert world.registry.read("a").state == "STARTING"


async def test_engines_that_start_one_after_the_other_do_not_count_on_the_same_memory(world: World) -> None:
    world.gpus.gpus = [FREE_10_GB, structs.replace(FREE_10_GB, index=1, memory_free_gb=9)]
    wanted = StartEngine(preset="tiny", use_gpu=True, required_memory_gb=6.0)
    given = []
    for _ in range(2):
        launch = (await world.launches.start(wanted)).launch
        assert launch is not None
        given.append((launch.gpu_ids, launch.gpu_memory_gb))

    assert given == [((0,), 6.0), ((1,), 6.0)]
    with pytest.raises(InvalidRequest, match=r"GPU 0 has 4\.0 GB free, GPU 1 has 3\.0 GB free"):
        await world.launches.start(wanted)


async def test_a_docker_engine_that_is_away_says_so_and_leaves_no_record(world: World) -> None:
    world.docker.away = True

    with pytest.raises(Unavailable, match="no Docker engine answers"):
        await world.launches.start(StartEngine(preset="boxed"))
    assert (await world.registry.snapshot()).records == {}


async def test_while_its_docker_engine_is_away_an_engine_has_not_crashed(world: World) -> None:
    started = await world.launches.start(StartEngine(preset="boxed"))
    world.docker.away = True
    await world.launches.supervise()
    assert world.registry.read(started.engine_id).state == "STARTING"
    world.docker.away = False
    world.docker.alive.clear()
    await world.launches.supervise()

    left = world.registry.read(started.engine_id).launch
    assert left is not None
    assert (left.pid, left.restarts, left.restart_at) == (None, 1, world.clock.now + 4.0)
    assert world.launcher.started == []
