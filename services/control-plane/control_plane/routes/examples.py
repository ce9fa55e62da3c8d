"""What each management route takes and answers, as its OpenAPI document shows it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from msgspec import Struct

from sage_contracts import management as wire
from sage_contracts.errors import EngineNotFound

STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

ENGINE = wire.Engine(
    engine_id="qwen-a1",
    model_id="Qwen/Qwen3-8B",
    host="10.0.0.7",
    port=8001,
    state="READY",
    engine_kind="llm",
    created_at=STARTED_AT,
    last_heartbeat=STARTED_AT,
    consecutive_failures=0,
    active_requests=2,
    metadata={"source": "registered"},
    status="READY",
    runtime="llm",
    pid=4711,
    gpu_ids=[],
    uptime_seconds=61.0,
    base_url="http://10.0.0.7:8001",
    load=wire.EngineLoad(source="vllm", running=2, waiting=0, kv_cache_usage=0.25),
)
BACKEND = wire.BackendView(
    instance_id=ENGINE.engine_id,
    host=ENGINE.host,
    port=ENGINE.port,
    model_name=ENGINE.model_id,
    base_url=ENGINE.base_url,
    is_healthy=True,
    is_available=True,
    active_requests=2,
    max_concurrent_requests=256,
    metadata={},
)
GPU = wire.GPU(
    index=0,
    name="NVIDIA H200",
    memory_used_gb=70.5,
    memory_total_gb=139.8,
    memory_free_gb=69.3,
    utilization=42.0,
    engines=[ENGINE.engine_id],
)
REFUSED = OpenAPIResponse(
    description="Any error; match on its code",
    content={
        "application/json": OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.OBJECT),
            example=msgspec.to_builtins(EngineNotFound("no engine 'qwen-a2'", param="engine_id").body()),
        )
    },
)
_FIELDS = msgspec.structs.asdict(ENGINE)


def shown(answer: Struct, body: Struct | None = None) -> type[Operation]:
    """
    For a handler's `operation_class`: its operation with `answer`, and `body` where it takes one, as examples.

    The errors are ours in place of Litestar's, which no client ever sees.
    """

    @dataclass
    class Shown(Operation):
        def __post_init__(self) -> None:
            succeeded = {status: one for status, one in (self.responses or {}).items() if status.startswith("2")}
            if isinstance(self.request_body, RequestBody) and body is not None:
                _put(self.request_body, body)
            for response in succeeded.values():
                if isinstance(response, OpenAPIResponse):
                    _put(response, answer)
            self.responses = {**succeeded, "default": REFUSED}

    return Shown


def _put(documented: OpenAPIResponse | RequestBody, example: Struct) -> None:
    for media in (documented.content or {}).values():
        if isinstance(media, OpenAPIMediaType):
            media.example = msgspec.to_builtins(example)


INFO = shown(wire.Info(service="control-plane", status="running", endpoints={"engines": wire.LIST.path}))
LIST = shown(wire.Engines(engines=[ENGINE], count=1))
ONE = shown(ENGINE)
LOGS = shown(wire.Logs(engine_id=ENGINE.engine_id, lines=["loading weights", "listening on 0.0.0.0:8001"]))
START = shown(wire.StartedEngine(**_FIELDS, engine=ENGINE, id=ENGINE.engine_id), wire.StartEngine(preset="qwen"))
REGISTER = shown(ENGINE, wire.RegisterEngine(host=ENGINE.host, port=ENGINE.port, engine_id=ENGINE.engine_id))
STOP = shown(
    wire.Stopped(engine_id=ENGINE.engine_id, stopped=False, drained=False, status="DRAINING"),
    wire.StopEngine(engine_id=ENGINE.engine_id, drain=True, deadline_seconds=300),
)
PRUNE = shown(wire.Pruned(pruned_count=1))
BACKENDS = shown(
    wire.Backends(
        llm_backends=[BACKEND],
        embedding_backends=[],
        total_llm_backends=1,
        total_embedding_backends=0,
        healthy_llm_backends=1,
        healthy_embedding_backends=0,
        timestamp=STARTED_AT,
    )
)
STATUS = shown(
    wire.ManagementStatus(
        control_plane=wire.ControlPlaneStatus(
            running=True,
            scheduling_policy="power_of_two",
            pending_requests=0,
            running_requests=2,
            registered_instances=1,
        ),
        gpu=[GPU],
        engines=[ENGINE],
        managed_instances=[],
    )
)
GPU_LIST = shown(wire.GPUs(gpus=[GPU]))
