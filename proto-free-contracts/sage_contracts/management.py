"""The control-plane's interface: engines registered, started, drained and stopped."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sage_contracts.call import Call, Empty
from sage_contracts.fleet import EngineKind, State

Port = Annotated[int, Meta(ge=1, le=65535)]


class EngineLoad(Struct, frozen=True, kw_only=True):
    """
    What an engine does now, and who says so: the engine's own figures, or the gateways' counts where it tells none.

    `waiting` are requests in the engine's own queue; `kv_cache_usage` is from 0 to 1. Null is "not told".
    """

    source: Literal["vllm", "llama.cpp", "ollama", "gateways"]
    running: int
    waiting: int | None = None
    kv_cache_usage: float | None = None
    loaded_models: list[str] = []


class Engine(Struct, frozen=True, kw_only=True):
    """
    One engine as operators see it. `load` is that of the last probe.

    `status`, `runtime`, `pid`, `gpu_ids`, `uptime_seconds` and `base_url` are what clients of the earlier gateway read.
    """

    engine_id: str
    model_id: str
    host: str
    port: int
    state: State
    engine_kind: EngineKind
    created_at: datetime
    last_heartbeat: datetime | None
    consecutive_failures: int
    active_requests: int
    metadata: dict[str, Any]
    status: State
    runtime: EngineKind
    pid: int | None
    gpu_ids: list[int]
    uptime_seconds: float
    base_url: str
    load: EngineLoad | None = None


class Info(Struct, frozen=True, kw_only=True):
    service: str
    status: str
    endpoints: dict[str, str]


class EnginesQuery(Struct, frozen=True, kw_only=True):
    state: State | None = None
    model: str | None = None


class Engines(Struct, frozen=True, kw_only=True):
    engines: list[Engine]
    count: int


class StartEngine(Struct, frozen=True, kw_only=True):
    """
    Start a managed engine from a preset the operator wrote: `preset`, or the one whose model is `model_id`.

    `extra_args` is accepted only where the preset allows it; no request carries a command line.
    """

    model_id: str | None = None
    engine_kind: EngineKind | None = None
    preset: str | None = None
    port: Port | None = None
    host: str | None = None
    tensor_parallel_size: Annotated[int, Meta(ge=1)] | None = None
    pipeline_parallel_size: Annotated[int, Meta(ge=1)] | None = None
    max_concurrent_requests: Annotated[int, Meta(ge=1)] | None = None
    required_memory_gb: float | None = None
    use_gpu: bool | None = None
    engine_label: str | None = None
    extra_args: list[str] | None = None
    metadata: dict[str, Any] = {}


class StartedEngine(Engine, frozen=True, kw_only=True):
    """The engine twice: as `engine`, and its fields beside it with `id`, as two generations of clients read it."""

    engine: Engine
    id: str


class RegisterEngine(Struct, frozen=True, kw_only=True):
    """An engine that already runs. `model_id` is read from its `/v1/models` when absent."""

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Port
    engine_id: str | None = None
    model_id: str | None = None
    engine_kind: EngineKind = "llm"
    max_concurrent_requests: Annotated[int, Meta(ge=1)] | None = None
    metadata: dict[str, Any] = {}


class StopQuery(Struct, frozen=True, kw_only=True):
    drain: bool = False


class StopEngine(Struct, frozen=True, kw_only=True):
    engine_id: str
    drain: bool = False
    deadline_seconds: Annotated[float, Meta(ge=0, le=86400)] | None = None


class Stopped(Struct, frozen=True, kw_only=True):
    """`drained` is false while requests are still being finished: the engine is then DRAINING."""

    engine_id: str
    stopped: bool
    drained: bool
    status: State


class LogsQuery(Struct, frozen=True, kw_only=True):
    lines: Annotated[int, Meta(ge=1, le=1000)] = 100


class Logs(Struct, frozen=True, kw_only=True):
    """The end of what a managed engine printed, oldest line first; very long lines and much older ones are left out."""

    engine_id: str
    lines: list[str]


class Pruned(Struct, frozen=True, kw_only=True):
    pruned_count: int
    status: Literal["success"] = "success"


class BackendView(Struct, frozen=True, kw_only=True):
    instance_id: str
    host: str
    port: int
    model_name: str
    base_url: str
    is_healthy: bool
    is_available: bool
    active_requests: int
    max_concurrent_requests: int
    metadata: dict[str, Any]


class Backends(Struct, frozen=True, kw_only=True):
    llm_backends: list[BackendView]
    embedding_backends: list[BackendView]
    total_llm_backends: int
    total_embedding_backends: int
    healthy_llm_backends: int
    healthy_embedding_backends: int
    timestamp: datetime


class GPU(Struct, frozen=True, kw_only=True):
    index: int
    name: str
    memory_used_gb: float
    memory_total_gb: float
    memory_free_gb: float
    utilization: float
    engines: list[str]


class GPUs(Struct, frozen=True, kw_only=True, omit_defaults=True):
    gpus: list[GPU]
    message: str | None = None


class ControlPlaneStatus(Struct, frozen=True, kw_only=True):
    running: bool
    scheduling_policy: str
    pending_requests: int
    running_requests: int
    registered_instances: int


class ManagementStatus(Struct, frozen=True, kw_only=True):
    control_plane: ControlPlaneStatus
    gpu: list[GPU]
    engines: list[Engine]
    managed_instances: list[Engine]


INFO = Call("GET", "/v1/management", Empty, Info)
LIST = Call("GET", "/v1/management/engines", EnginesQuery, Engines)
READ = Call("GET", "/v1/management/engines/{engine_id}", Empty, Engine)
CREATE = Call("POST", "/v1/management/engines", StartEngine, StartedEngine, status=201)
START = Call("POST", "/v1/management/engines/start", StartEngine, StartedEngine, status=201)
REGISTER = Call("POST", "/v1/management/engines/register", RegisterEngine, Engine)
LOGS = Call("GET", "/v1/management/engines/{engine_id}/logs", LogsQuery, Logs)
REMOVE = Call("DELETE", "/v1/management/engines/{engine_id}", StopQuery, Stopped)
STOP = Call("POST", "/v1/management/engines/stop", StopEngine, Stopped)
DRAIN = Call("POST", "/v1/management/engines/{engine_id}/drain", Empty, Engine)
RESUME = Call("POST", "/v1/management/engines/{engine_id}/resume", Empty, Engine)
PRUNE = Call("POST", "/v1/management/engines/prune", Empty, Pruned)
BACKENDS = Call("GET", "/v1/management/backends", Empty, Backends)
STATUS = Call("GET", "/v1/management/status", Empty, ManagementStatus)
GPU_LIST = Call("GET", "/v1/management/gpu", Empty, GPUs)
