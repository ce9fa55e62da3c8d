import pytest

from control_plane.domain import placing
from control_plane.domain.presets import Preset, line
from sage_contracts.errors import InvalidRequest
from sage_contracts.management import GPU
from tests.control_plane.domain.fakes import launched, record


def gpu(index: int, free: float) -> GPU:
    return GPU(
        index=index,
        name="g",
        memory_used_gb=80 - free,
        memory_total_gb=80,
        memory_free_gb=free,
        utilization=0,
        engines=[],
    )


@pytest.mark.parametrize(
    ("free", "count", "memory", "reserved", "given"),
    [
        ([10], 1, 5, {}, (0,)),
        ([10, 20], 1, 5, {}, (1,)),
        ([20, 20], 1, 5, {}, (0,)),
        ([10, 20, 30], 2, 5, {}, (1, 2)),
        ([10, 20], 1, 5, {1: 15}, (0,)),
        ([10, 20], 2, 10, {}, (0, 1)),
        ([0], 1, 0, {}, (0,)),
        ([10, 20], 1, 25, {}, None),
        ([10, 20], 2, 15, {}, None),
        ([10], 2, 0, {}, None),
        ([10], 1, 6, {0: 5}, None),
        ([], 1, 0, {}, None),
    ],
)
def test_the_emptiest_gpus_are_given(
    free: list[float], count: int, memory: float, reserved: dict[int, float], given: tuple[int, ...] | None
) -> None:
    gpus = [gpu(index, room) for index, room in enumerate(free)]
    if given is None:
        with pytest.raises(InvalidRequest):
            placing.emptiest(gpus, count=count, memory_gb=memory, reserved=reserved)
    else:
        assert placing.emptiest(gpus, count=count, memory_gb=memory, reserved=reserved) == given


def test_only_engines_of_this_node_that_still_start_hold_memory_back() -> None:
    there = launched("e1", state="STARTING", gpu_ids=(0, 1), gpu_memory_gb=7.0)
    records = [
        there,
        launched("e2", state="READY", gpu_ids=(0,), gpu_memory_gb=7.0),
        launched("e3", node="there", state="STARTING", gpu_ids=(0,), gpu_memory_gb=7.0),
        record("e4"),
    ]

    assert placing.reserved(records, "here") == {0: 7.0, 1: 7.0}
    assert placing.engines(records, "here", 0) == ["e1", "e2"]
    assert placing.engines(records, "here", 2) == []


def test_a_process_sees_its_gpus_alone_and_a_container_is_given_them() -> None:
    process = Preset(name="p", command=("run", "{host}"), model="m")
    container = Preset(name="c", kind="docker", image="vllm", command=("--host", "{host}"), model="m")

    assert line(process, host="h", port=1, gpu_ids=(0, 2)).env == {"CUDA_VISIBLE_DEVICES": "0,2"}
    assert line(process, host="h", port=1).env == {}
    boxed = line(container, host="h", port=1, gpu_ids=(0, 2))
    assert (boxed.env, boxed.gpu_ids, boxed.command) == ({}, (0, 2), ("--host", "0.0.0.0"))
