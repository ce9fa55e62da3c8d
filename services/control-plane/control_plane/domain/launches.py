"""Engines that are started here: from a preset, kept alive, ended."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from msgspec import structs

from control_plane.domain import leaving, placing
from control_plane.domain import presets as presets_
from control_plane.domain.changes import Changes, found, stepped
from control_plane.domain.leaving import Farewell
from control_plane.domain.ports import (
    Addresses,
    Clock,
    Counts,
    GPUs,
    Launcher,
    LaunchFailed,
    Load,
    Ports,
    Process,
    Registry,
)
from control_plane.domain.presets import Kind, Preset, Presets
from control_plane.domain.records import Launch, Record, Snapshot
from control_plane.domain.registrations import checked_metadata, derived_id, slug
from control_plane.domain.restarting import Patience, after_crash
from control_plane.domain.states import Event
from sage_contracts import management as wire
from sage_contracts import names
from sage_contracts.errors import Conflict, EngineNotFound, InvalidRequest, StoreUnavailable, Unavailable
from sage_contracts.management import GPU, StartEngine

log = logging.getLogger(__name__)

LOG_BYTES = 256 * 1024
"""No more of a log is read for an answer, however long its lines are."""


class Launches:
    """
    The processes of this node. The registry says what should run, the launcher what does.

    Starting holds a lock: a request and the supervision never start one engine twice.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        changes: Changes,
        launchers: Mapping[Kind, Launcher],
        presets: Presets,
        addresses: Addresses,
        ports: Ports,
        gpus: GPUs,
        counts: Counts,
        clock: Clock,
        node: str,
        engine_host: str,
        patience: Patience,
        load: Load,
        farewell: Farewell,
    ) -> None:
        self._registry = registry
        self._changes = changes
        self._launchers = launchers
        self._presets = presets
        self._addresses = addresses
        self._ports = ports
        self._gpus = gpus
        self._counts = counts
        self._clock = clock
        self._node = node
        self._host = engine_host
        self._patience = patience
        self._load = load
        self._farewell = farewell
        self._starting = asyncio.Lock()
        self._kinds: set[Kind] = set()

    async def start(self, request: StartEngine) -> Record:
        """
        A new engine, STARTING until its first answer. Raises PresetNotFound, InvalidRequest for what the preset or this
        machine does not allow, and Conflict when the port is in use.
        """
        preset = self._presets.chosen(request)
        checked_metadata(request.metadata)
        await self._registry.snapshot()  # a registry that is away is told before the wait for the lock, not after it
        self._check_machine(request)
        gpus, message = await self._gpus_read(preset, request)
        await self._addresses.check(self._host)
        async with self._starting:
            snapshot = await self._registry.snapshot()
            port = self._port(preset, request.port, snapshot)
            given = self._placed(preset, request, gpus, message, snapshot)
            record = self._record(preset, request, port, snapshot, given)
            old = snapshot.records.get(record.engine_id)
            if old is not None:
                await self.end(old)
                old = (await self._registry.snapshot()).records.get(record.engine_id)
            kept = await self._registry.swap(old=old, new=record)
            if kept is None:
                raise Conflict(f"engine {record.engine_id!r} has just been started by another request")
            try:
                return await self._started(kept)
            except LaunchFailed as error:
                await self._registry.swap(old=kept, new=None)
                raise InvalidRequest(f"preset {preset.name!r} cannot be started: {error}", param="preset") from error
            except Unavailable:
                await self._registry.swap(old=kept, new=None)
                raise

    async def supervise(self) -> None:
        """Once over all engines of this node: what ended is started again, what should have ended is ended."""
        try:
            records = (await self._registry.snapshot()).records.values()
            mine = [record for record in records if record.launch is not None and record.launch.node == self._node]
        except StoreUnavailable as error:
            log.debug("engines not supervised", extra={"error": error.message})
            return
        for outcome in await asyncio.gather(*map(self._care_for, mine), return_exceptions=True):
            if isinstance(outcome, Unavailable | EngineNotFound):
                log.debug("engine not supervised", extra={"error": outcome.message})
            elif isinstance(outcome, LaunchFailed):
                log.warning("engine not supervised", extra={"error": str(outcome)})
            elif outcome is not None:
                raise outcome

    async def logs(self, engine_id: str, *, lines: int) -> wire.Logs:
        """The end of what an engine of this node printed; raises Conflict for one that was not started here."""
        record = found(await self._registry.snapshot(), names.engine_id(engine_id))
        if record.launch is None:
            raise Conflict(f"engine {engine_id!r} was not started here: its log is where it runs", param="engine_id")
        if record.launch.node != self._node:
            raise Conflict(f"engine {engine_id!r} runs at node {record.launch.node!r}: ask there", param="engine_id")
        told = await self._launchers[record.launch.kind].last_lines(engine_id, count=lines, most_bytes=LOG_BYTES)
        return wire.Logs(engine_id=engine_id, lines=told)

    async def end(self, record: Record) -> bool:
        """End the process behind `record`. False when it is another node's, which ends it when it sees STOPPED."""
        launch = record.launch
        if launch is None:
            return True
        if launch.node != self._node:
            return launch.pid is None or record.state == "ERROR"
        await self._launchers[launch.kind].stop(record.engine_id)
        await self._without_process(record)
        return True

    async def forget(self, record: Record) -> None:
        """Remove what its launcher still keeps of an engine of this node that ended."""
        if record.launch is not None and record.launch.node == self._node:
            await self._launchers[record.launch.kind].forget(record.engine_id)

    async def end_all(self) -> None:
        """
        End every process of this node and leave the records: they are started again when the control-plane is.

        Before that they leave the choice, and have their farewell to finish what they do.
        """
        running = [(launcher, await self._running(launcher)) for launcher in self._used()]
        ids = {engine_id for _, some in running for engine_id in some}
        try:
            for record in (await self._registry.snapshot()).records.values():
                if record.engine_id in ids and record.state != "STOPPED":
                    await self._put_down(record)
            await leaving.quiet(self._load, ids, self._farewell)
        except (StoreUnavailable, EngineNotFound) as error:
            log.warning("engines ended unrecorded", extra={"error": type(error).__name__})
        stops = [launcher.stop(engine_id) for launcher, some in running for engine_id in some]
        for outcome in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(outcome, BaseException):
                log.warning("engine not ended", extra={"error": str(outcome)})

    def _used(self) -> list[Launcher]:
        """Those that something may have been started with: the Docker engine is not asked where no preset wants it."""
        wanted = {"process", *self._kinds, *self._presets.kinds()}
        return [launcher for kind, launcher in self._launchers.items() if kind in wanted]

    async def _running(self, launcher: Launcher) -> Sequence[str]:
        try:
            return await launcher.running()
        except (Unavailable, LaunchFailed) as error:
            log.warning("engines not ended", extra={"error": str(error)})
            return []

    async def _care_for(self, record: Record) -> None:
        launch = record.launch
        if launch is None or launch.gave_up:
            return
        self._kinds.add(launch.kind)
        launcher = self._launchers[launch.kind]
        process = await launcher.find(record.engine_id)
        if record.state == "STOPPED":
            if process is not None or launch.pid is not None:
                await self.end(record)
            return
        if process is not None:
            if process.pid != launch.pid:
                await self._keep(record, process)
        elif launch.pid is not None:
            await self._crashed(record, launch, launcher)
        elif self._clock() >= launch.restart_at:
            await self._restart(record)

    async def _crashed(self, record: Record, launch: Launch, launcher: Launcher) -> None:
        left = after_crash(launch, now=self._clock(), patience=self._patience)
        event = Event.GAVE_UP if left.gave_up else Event.CRASHED
        lines = "\n".join(await launcher.last_lines(record.engine_id))
        told = f"the process ended by itself; the last it printed: {lines}" if lines else "the process ended by itself"
        await launcher.stop(record.engine_id)
        await self._changes.apply(record.engine_id, event, launch=left, last_error=told, ready_by=None)
        log.warning(
            "engine crashed", extra={"engine": record.engine_id, "restarts": left.restarts, "gave_up": left.gave_up}
        )

    async def _restart(self, record: Record) -> None:
        async with self._starting:
            now = found(await self._registry.snapshot(), record.engine_id)
            if now.tag != record.tag:
                return
            try:
                await self._started(now)
            except LaunchFailed as error:
                given_up = _given_up(now)
                await self._changes.apply(now.engine_id, Event.GAVE_UP, last_error=str(error), launch=given_up)
                return
        self._counts.restarted()
        log.info("engine restarted", extra={"engine": record.engine_id})

    async def _started(self, record: Record) -> Record:
        launch = record.launch
        preset = self._presets.named(launch.preset) if launch else None
        if launch is None or preset is None:
            raise LaunchFailed("its preset is no longer among the operator's presets")
        line = presets_.line(
            preset,
            host=self._host,
            port=record.port,
            tensor_parallel_size=launch.tensor_parallel_size,
            pipeline_parallel_size=launch.pipeline_parallel_size,
            extra_args=launch.extra_args,
            gpu_ids=launch.gpu_ids,
        )
        process = await self._launchers[launch.kind].start(record.engine_id, line)
        return await self._keep(record, process)

    async def _keep(self, record: Record, process: Process) -> Record:
        def decide(now: Record) -> Record:
            if now.launch is None:
                return now
            launch = structs.replace(now.launch, pid=process.pid, started_at=process.started_at)
            ready_by = self._clock() + launch.ready_seconds if now.state == "STARTING" else now.ready_by
            return structs.replace(now, launch=launch, ready_by=ready_by)

        return await self._changes.change(record.engine_id, decide)

    async def _without_process(self, record: Record) -> None:
        def decide(now: Record) -> Record:
            if now.launch is None or now.launch.pid is None:
                return now
            return structs.replace(now, launch=structs.replace(now.launch, pid=None))

        await self._changes.change(record.engine_id, decide)

    async def _put_down(self, record: Record) -> None:
        def decide(now: Record) -> Record:
            if now.launch is None:
                return now
            launch = structs.replace(now.launch, pid=None, restarts=0, restart_at=0.0)
            return stepped(now, Event.CRASHED, now=self._clock(), fields={"launch": launch})

        await self._changes.change(record.engine_id, decide)

    def _check_machine(self, request: StartEngine) -> None:
        if request.host not in {None, self._host, "localhost"}:
            raise InvalidRequest(f"engines are started at {self._host}: leave host out", param="host")
        if request.port is not None and request.port < 1024:
            raise InvalidRequest("port must be 1024 or more", param="port")

    async def _gpus_read(self, preset: Preset, request: StartEngine) -> tuple[list[GPU], str | None]:
        """The GPUs of this machine, where preset or request ask for one."""
        if preset.gpus or request.use_gpu or request.required_memory_gb:
            return await self._gpus.read()
        return [], None

    def _placed(
        self, preset: Preset, request: StartEngine, gpus: list[GPU], message: str | None, snapshot: Snapshot
    ) -> tuple[int, ...]:
        """The GPUs this engine gets. Memory alone is asked for where there may be no GPU: then it gets none."""
        must = preset.gpus > 0 or bool(request.use_gpu)
        if not gpus and must:
            raise InvalidRequest(f"no GPU here: {message}", param="use_gpu")
        if not gpus:
            return ()
        parallel = (request.tensor_parallel_size or 1) * (request.pipeline_parallel_size or 1)
        return placing.emptiest(
            gpus,
            count=max(preset.gpus, parallel),
            memory_gb=_memory(preset, request),
            reserved=placing.reserved(snapshot.records.values(), self._node),
        )

    def _port(self, preset: Preset, wanted: int | None, snapshot: Snapshot) -> int:
        taken = {
            record.port
            for record in snapshot.records.values()
            if record.state != "STOPPED" and record.host == self._host
        }
        if wanted is not None:
            if wanted in taken or not self._ports.is_free(self._host, wanted):
                raise Conflict(f"port {wanted} is in use", param="port")
            return wanted
        if preset.ports is None:
            return self._ports.any_free(self._host, but=taken)
        first, last = preset.ports
        for port in range(first, last + 1):
            if port not in taken and self._ports.is_free(self._host, port):
                return port
        raise Conflict(f"every port of preset {preset.name!r} is in use: {first} to {last}", param="port")

    def _record(
        self, preset: Preset, request: StartEngine, port: int, snapshot: Snapshot, gpu_ids: tuple[int, ...]
    ) -> Record:
        now = self._clock()
        label = f"{slug(request.engine_label)[:32]}-{preset.name}" if request.engine_label else preset.name
        living = {name: record for name, record in snapshot.records.items() if record.state != "STOPPED"}
        return Record(
            engine_id=derived_id(label, self._host, port, taken=living),
            model_id=preset.model,
            host=self._host,
            port=port,
            state="STARTING",
            source="started",
            created_at=now,
            engine_kind=preset.engine_kind,
            max_concurrent_requests=request.max_concurrent_requests or preset.max_concurrent_requests,
            metadata=request.metadata | ({"engine_label": request.engine_label} if request.engine_label else {}),
            ready_by=now + preset.ready_seconds,
            launch=Launch(
                preset=preset.name,
                kind=preset.kind,
                gpu_ids=gpu_ids,
                gpu_memory_gb=_memory(preset, request) if gpu_ids else 0.0,
                node=self._node,
                ready_seconds=preset.ready_seconds,
                tensor_parallel_size=request.tensor_parallel_size or 1,
                pipeline_parallel_size=request.pipeline_parallel_size or 1,
                extra_args=tuple(request.extra_args or ()),
            ),
        )


def _memory(preset: Preset, request: StartEngine) -> float:
    return max(preset.gpu_memory_gb, request.required_memory_gb or 0.0)


def _given_up(record: Record) -> Launch | None:
    return None if record.launch is None else structs.replace(record.launch, pid=None, gave_up=True)
