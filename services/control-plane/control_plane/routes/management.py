"""The management API, as sage_contracts.management declares it."""

from typing import Annotated, Any

from litestar import Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from control_plane.domain.engines import Engines
from control_plane.domain.launches import Launches
from control_plane.domain.registrations import Registrations
from control_plane.domain.reports import Reports
from control_plane.routes import examples
from sage_chassis.bodies import decode_object
from sage_contracts import management as wire
from sage_contracts.fleet import State

ENDPOINTS = {
    "engines": wire.LIST.path,
    "start": wire.START.path,
    "register": wire.REGISTER.path,
    "stop": wire.STOP.path,
    "prune": wire.PRUNE.path,
    "backends": wire.BACKENDS.path,
    "status": wire.STATUS.path,
    "gpu": wire.GPU_LIST.path,
}


async def without_body(request: Request[Any, Any, Any]) -> None:
    """These routes need no body; one that is sent all the same must be a JSON object, so that no nonsense passes."""
    body = await request.body()
    if body.strip():
        decode_object(body)


@get(wire.INFO.route, operation_class=examples.INFO)
async def read_info() -> wire.Info:
    return wire.Info(service="control-plane", status="running", endpoints=ENDPOINTS)


@get(wire.LIST.route, operation_class=examples.LIST)
async def list_engines(
    reports: NamedDependency[Reports],
    in_state: Annotated[State | None, QueryParameter(name="state")] = None,
    model: FromQuery[str | None] = None,
) -> wire.Engines:
    return await reports.engines(state=in_state, model=model)


@get(wire.READ.route, operation_class=examples.ONE)
async def read_engine(engine_id: FromPath[str], reports: NamedDependency[Reports]) -> wire.Engine:
    return await reports.engine(engine_id)


@get(wire.LOGS.route, operation_class=examples.LOGS)
async def read_logs(
    engine_id: FromPath[str],
    launches: NamedDependency[Launches],
    lines: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> wire.Logs:
    return await launches.logs(engine_id, lines=lines)


@post([wire.CREATE.route, wire.START.route], status_code=wire.START.status, operation_class=examples.START)
async def start_engine(
    data: JSONBody[wire.StartEngine], launches: NamedDependency[Launches], reports: NamedDependency[Reports]
) -> wire.StartedEngine:
    record = await launches.start(data)
    engine = await reports.engine(record.engine_id)
    fields = {name: getattr(engine, name) for name in wire.Engine.__struct_fields__}
    return wire.StartedEngine(**fields, engine=engine, id=engine.engine_id)


@post(wire.REGISTER.route, status_code=wire.REGISTER.status, operation_class=examples.REGISTER)
async def register_engine(
    data: JSONBody[wire.RegisterEngine],
    registrations: NamedDependency[Registrations],
    reports: NamedDependency[Reports],
) -> wire.Engine:
    record = await registrations.register(data)
    return await reports.engine(record.engine_id)


@delete(wire.REMOVE.route, status_code=wire.REMOVE.status, operation_class=examples.STOP)
async def remove_engine(
    engine_id: FromPath[str], engines: NamedDependency[Engines], *, drain: FromQuery[bool] = False
) -> wire.Stopped:
    return await engines.stop(engine_id, drain=drain)


@post(wire.STOP.route, status_code=wire.STOP.status, operation_class=examples.STOP)
async def stop_engine(data: JSONBody[wire.StopEngine], engines: NamedDependency[Engines]) -> wire.Stopped:
    return await engines.stop(data.engine_id, drain=data.drain, deadline_seconds=data.deadline_seconds)


@post(wire.DRAIN.route, status_code=wire.DRAIN.status, operation_class=examples.ONE, before_request=without_body)
async def drain_engine(
    engine_id: FromPath[str], engines: NamedDependency[Engines], reports: NamedDependency[Reports]
) -> wire.Engine:
    record = await engines.drain(engine_id)
    return await reports.engine(record.engine_id)


@post(wire.RESUME.route, status_code=wire.RESUME.status, operation_class=examples.ONE, before_request=without_body)
async def resume_engine(
    engine_id: FromPath[str], engines: NamedDependency[Engines], reports: NamedDependency[Reports]
) -> wire.Engine:
    record = await engines.resume(engine_id)
    return await reports.engine(record.engine_id)


@post(wire.PRUNE.route, status_code=wire.PRUNE.status, operation_class=examples.PRUNE, before_request=without_body)
async def prune_engines(engines: NamedDependency[Engines]) -> wire.Pruned:
    return await engines.prune()


@get(wire.BACKENDS.route, operation_class=examples.BACKENDS)
async def read_backends(reports: NamedDependency[Reports]) -> wire.Backends:
    return await reports.backends()


@get(wire.STATUS.route, operation_class=examples.STATUS)
async def read_status(reports: NamedDependency[Reports]) -> wire.ManagementStatus:
    return await reports.status()


@get(wire.GPU_LIST.route, operation_class=examples.GPU_LIST)
async def read_gpus(reports: NamedDependency[Reports]) -> wire.GPUs:
    return await reports.gpus()


ROUTES = [
    read_info,
    list_engines,
    read_engine,
    read_logs,
    start_engine,
    register_engine,
    remove_engine,
    stop_engine,
    drain_engine,
    resume_engine,
    prune_engines,
    read_backends,
    read_status,
    read_gpus,
]
