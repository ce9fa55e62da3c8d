"""The control-plane's ports in memory, each as slow, strange or broken as a test wants."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from control_plane.adapters.memory_registry import MemoryRegistry
from control_plane.domain.ports import LaunchFailed, Model, Process
from control_plane.domain.presets import Line
from control_plane.domain.records import Launch, Record, Sighting, Snapshot
from sage_contracts.errors import AddressRefused, StoreUnavailable, Unavailable
from sage_contracts.management import GPU, EngineLoad


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def nobody(_: int) -> None:
    """Hears of a new version, and does nothing."""


class FlakyRegistry(MemoryRegistry):
    """`before_swap` runs once before the next change, as another writer would; `away` makes every call fail."""

    def __init__(self) -> None:
        super().__init__(nobody, lambda: self.leader)
        self.leader: str | None = "me"
        self.away = False
        self.before_swap: list[Callable[[], None]] = []

    async def snapshot(self) -> Snapshot:
        if self.away:
            raise StoreUnavailable("away", retry_after=2)
        return await super().snapshot()

    async def swap(self, *, old: Record | None, new: Record | None, fence: str | None = None) -> Record | None:
        if self.before_swap:
            self.before_swap.pop()()
        return await super().swap(old=old, new=new, fence=fence)

    def put(self, record: Record) -> None:
        """Keep `record` as another control-plane would have done meanwhile."""
        self._records[record.engine_id] = structs.replace(record, tag=f"other-{next(self._tags)}")
        self._version += 1

    def forget_version(self) -> None:
        self._version = 0

    def drop(self, engine_id: str) -> None:
        del self._records[engine_id]

    def read(self, engine_id: str) -> Record:
        return self._records[engine_id]

    def seen(self, engine_id: str) -> Sighting:
        return self._seen[engine_id]


@dataclass
class FakeProber:
    """Which ports answer, and with which models."""

    alive: set[int] = field(default_factory=set)
    served: dict[int, list[Model]] = field(default_factory=dict)
    loads: dict[int, EngineLoad] = field(default_factory=dict)
    asked: int = 0

    async def answers(self, host: str, port: int) -> bool:
        self.asked += 1
        return port in self.alive

    async def models(self, host: str, port: int) -> Sequence[Model]:
        return self.served.get(port, []) if port in self.alive else []

    async def load(self, host: str, port: int) -> EngineLoad | None:
        return self.loads.get(port)


@dataclass
class FakeAddresses:
    refused: set[str] = field(default_factory=set)

    async def check(self, host: str) -> None:
        if host in self.refused:
            raise AddressRefused(f"{host} is refused", param="host")


@dataclass
class FakeLauncher:
    alive: dict[str, Process] = field(default_factory=dict)
    fails: bool = False
    away: bool = False
    forgotten: list[str] = field(default_factory=list)
    started: list[tuple[str, ...]] = field(default_factory=list)

    async def start(self, engine_id: str, line: Line) -> Process:
        if self.away:
            raise Unavailable("no Docker engine answers")
        if self.fails:
            raise LaunchFailed("no such file")
        if engine_id not in self.alive:
            self.started.append((engine_id, *line.command))
            self.alive[engine_id] = Process(100 + len(self.started), 1_000.0)
        return self.alive[engine_id]

    async def find(self, engine_id: str) -> Process | None:
        if self.away:
            raise Unavailable("no Docker engine answers")
        return self.alive.get(engine_id)

    async def stop(self, engine_id: str) -> None:
        self.alive.pop(engine_id, None)

    async def forget(self, engine_id: str) -> None:
        self.forgotten.append(engine_id)

    async def last_lines(self, engine_id: str, *, count: int = 10, most_bytes: int = 2_000) -> list[str]:
        return []

    async def running(self) -> Sequence[str]:
        return list(self.alive)


@dataclass
class FakePorts:
    busy: set[int] = field(default_factory=set)

    def is_free(self, host: str, port: int) -> bool:
        return port not in self.busy

    def any_free(self, host: str, *, but: Collection[int]) -> int:
        return next(port for port in itertools.count(5_000) if port not in self.busy and port not in but)


@dataclass
class FakeGPUs:
    gpus: list[GPU] = field(default_factory=list)

    async def read(self) -> tuple[list[GPU], str | None]:
        return self.gpus, None if self.gpus else "none"


@dataclass
class FakeCounts:
    answered: int = 0
    missed: int = 0
    restarts: int = 0

    def probed(self, *, answered: bool) -> None:
        self.answered += answered
        self.missed += not answered

    def fleet(self, by_state: Mapping[str, int]) -> None:
        """Not counted."""

    def restarted(self) -> None:
        self.restarts += 1

    def leading(self, *, leads: bool) -> None:
        """Not counted."""


@dataclass
class FakeLease:
    token: str | None = "me"
    next_token: str | None = "me"

    async def renew(self) -> None:
        self.token = self.next_token

    async def release(self) -> None:
        self.token = None


@dataclass
class FakeLoad:
    counts: dict[str, int] = field(default_factory=dict)

    async def active(self) -> Mapping[str, int]:
        return self.counts


def record(engine_id: str = "e1", *, port: int = 1, **fields: object) -> Record:
    known = Record(
        engine_id=engine_id,
        model_id="m",
        host="gpu",
        port=port,
        state="READY",
        source="registered",
        created_at=900.0,
    )
    return structs.replace(known, **fields)


def launched(
    engine_id: str = "e1",
    *,
    node: str = "here",
    pid: int | None = None,
    gpu_ids: tuple[int, ...] = (),
    gpu_memory_gb: float = 0.0,
    **fields: Any,
) -> Record:
    launch = Launch(preset="tiny", node=node, pid=pid, started_at=990.0, gpu_ids=gpu_ids, gpu_memory_gb=gpu_memory_gb)
    return record(engine_id, source="started", launch=launch, **fields)
