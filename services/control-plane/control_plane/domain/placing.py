"""Which GPUs a new engine gets."""

from collections.abc import Iterable, Mapping, Sequence

from control_plane.domain.records import Record
from sage_contracts.errors import InvalidRequest
from sage_contracts.management import GPU


def emptiest(gpus: Sequence[GPU], *, count: int, memory_gb: float, reserved: Mapping[int, float]) -> tuple[int, ...]:
    """
    The `count` GPUs with the most room, each with at least `memory_gb` of it; of equals those with the lower index.

    Room is the memory that is free now, without what is `reserved` for engines that have not taken theirs yet. Raises
    InvalidRequest that tells how much each GPU has.
    """
    room = {gpu.index: round(gpu.memory_free_gb - reserved.get(gpu.index, 0.0), 2) for gpu in gpus}
    fits = sorted((index for index, free in room.items() if free >= memory_gb), key=lambda index: (-room[index], index))
    if len(fits) < count:
        told = ", ".join(f"GPU {index} has {free} GB free" for index, free in sorted(room.items()))
        raise InvalidRequest(f"{count} x {memory_gb} GB are needed: {told}", param="required_memory_gb")
    return tuple(sorted(fits[:count]))


def reserved(records: Iterable[Record], node: str) -> dict[int, float]:
    """What the engines of this node that are still STARTING will take of each GPU."""
    kept: dict[int, float] = {}
    for record in records:
        launch = record.launch
        if launch is not None and launch.node == node and record.state == "STARTING":
            for index in launch.gpu_ids:
                kept[index] = kept.get(index, 0.0) + launch.gpu_memory_gb
    return kept


def engines(records: Iterable[Record], node: str, index: int) -> list[str]:
    """The engines of this node that were given this GPU."""
    return [
        record.engine_id
        for record in records
        if record.launch and record.launch.node == node and record.state != "STOPPED" and index in record.launch.gpu_ids
    ]
