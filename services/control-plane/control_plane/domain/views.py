"""Records as the management API shows them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from control_plane.domain import addressing
from control_plane.domain.records import Record, Sighting, Snapshot
from sage_contracts import management as wire

_UNSEEN = Sighting()


def engine(record: Record, snapshot: Snapshot, active: Mapping[str, int], now: float) -> wire.Engine:
    """`consecutive_failures` and `last_heartbeat` are those of the last round of probes."""
    sighting = snapshot.sightings.get(record.engine_id, _UNSEEN)
    launch = record.launch
    began = launch.started_at if launch and launch.pid else record.created_at
    return wire.Engine(
        engine_id=record.engine_id,
        model_id=record.model_id,
        host=record.host,
        port=record.port,
        state=record.state,
        engine_kind=record.engine_kind,
        created_at=_time(record.created_at),
        last_heartbeat=None if sighting.last_answer is None else _time(sighting.last_answer),
        consecutive_failures=sighting.misses,
        active_requests=active.get(record.engine_id, 0),
        metadata=metadata(record),
        status=record.state,
        runtime=record.engine_kind,
        pid=launch.pid if launch else None,
        gpu_ids=list(launch.gpu_ids) if launch else [],
        uptime_seconds=0.0 if record.state == "STOPPED" else round(max(0.0, now - began), 3),
        base_url=addressing.base_url(record.host, record.port),
        load=load(record, sighting, active.get(record.engine_id, 0)),
    )


def load(record: Record, sighting: Sighting, active: int) -> wire.EngineLoad | None:
    """The engine's own figures; where it has none, how many requests the gateways have there."""
    if record.state == "STOPPED":
        return None
    if sighting.load is None:
        return wire.EngineLoad(source="gateways", running=active)
    return structs.replace(sighting.load, running=active) if sighting.load.source == "ollama" else sighting.load


def metadata(record: Record) -> dict[str, Any]:
    """The operator's own, and what we know beside the wire's fields; ours wins where both use a name."""
    launch = record.launch
    ours: dict[str, Any] = {
        "source": record.source,
        "origin": record.origin,
        "context_tokens": record.context_tokens,
        "drain_deadline": None if record.drain_until is None else _time(record.drain_until).isoformat(),
        "last_error": record.last_error,
        "preset": launch.preset if launch else None,
        "launcher": launch.kind if launch else None,
        "node": launch.node if launch else None,
        "restarts": launch.restarts if launch else None,
    }
    return {**record.metadata, **{name: value for name, value in ours.items() if value is not None}}


def backend(record: Record, active: Mapping[str, int]) -> wire.BackendView:
    """`is_available` says that a new request may go there now: READY, and not full."""
    running = active.get(record.engine_id, 0)
    ready = record.state == "READY"
    return wire.BackendView(
        instance_id=record.engine_id,
        host=record.host,
        port=record.port,
        model_name=record.model_id,
        base_url=addressing.base_url(record.host, record.port),
        is_healthy=ready,
        is_available=ready and running < record.max_concurrent_requests,
        active_requests=running,
        max_concurrent_requests=record.max_concurrent_requests,
        metadata=metadata(record),
    )


def backends(records: Iterable[Record], active: Mapping[str, int], now: float) -> wire.Backends:
    kept = [record for record in records if record.state != "STOPPED"]
    llm = [backend(record, active) for record in kept if record.engine_kind == "llm"]
    embedding = [backend(record, active) for record in kept if record.engine_kind == "embedding"]
    return wire.Backends(
        llm_backends=llm,
        embedding_backends=embedding,
        total_llm_backends=len(llm),
        total_embedding_backends=len(embedding),
        healthy_llm_backends=sum(view.is_healthy for view in llm),
        healthy_embedding_backends=sum(view.is_healthy for view in embedding),
        timestamp=_time(now),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
