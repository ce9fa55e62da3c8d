"""What the registry keeps of an engine, and a snapshot of all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from sage_contracts.fleet import EngineKind, State
from sage_contracts.management import EngineLoad

Source = Literal["registered", "started", "static", "discovered", "dns", "docker"]
"""How an engine came into the registry."""


class Launch(Struct, frozen=True, kw_only=True):
    """
    The process behind an engine that was started here.

    `node` is the control-plane that started it and alone may start it again. `pid` is null while there is no process;
    the next one is then started at `restart_at`, unless `gave_up`. Times are unix seconds.
    """

    preset: str
    node: str
    pid: int | None = None
    started_at: float = 0.0
    restarts: int = 0
    restart_at: float = 0.0
    gave_up: bool = False
    ready_seconds: float = 120.0
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    extra_args: tuple[str, ...] = ()
    kind: Literal["process", "docker"] = "process"
    gpu_ids: tuple[int, ...] = ()
    gpu_memory_gb: float = 0.0


class Record(Struct, frozen=True, kw_only=True):
    """
    One engine. `tag` is new at every change and stands first: the store compares it without reading the rest.

    `origin` says where a `source` that is not an operator found it; `vanished`, that it is drained for that reason.
    What changes with every probe is not here but in Sighting: a record changes only when the fleet does.
    """

    tag: str = ""
    engine_id: str
    model_id: str
    host: str
    port: int
    state: State
    source: Source
    created_at: float
    engine_kind: EngineKind = "llm"
    max_concurrent_requests: int = 256
    context_tokens: int | None = None
    metadata: dict[str, Any] = {}
    ready_by: float | None = None
    draining_since: float | None = None
    drain_until: float | None = None
    last_error: str | None = None
    launch: Launch | None = None
    origin: str | None = None
    vanished: bool = False


class Sighting(Struct, frozen=True, kw_only=True):
    """
    What the last probe saw: when the engine last answered, in unix seconds, how many probes it missed since, and the
    load it told, if it tells one.
    """

    last_answer: float | None = None
    misses: int = 0
    load: EngineLoad | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All records as they were together; a larger `version` is newer, and 0 means that there never was one."""

    version: int = 0
    records: Mapping[str, Record] = field(default_factory=dict)
    sightings: Mapping[str, Sighting] = field(default_factory=dict)
