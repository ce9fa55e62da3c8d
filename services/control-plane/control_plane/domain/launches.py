"""Engines that are started here: from a preset, kept alive, ended."""

import asyncio
import logging

from msgspec import structs

from control_plane.domain import presets as presets_
from control_plane.domain.changes import Changes, found, stepped
from control_plane.domain.ports import (
    Addresses,
    Clock,
    Counts,
    GPUs,
    Launcher,
    LaunchFailed,
    Ports,
    Process,
    Registry,
)
from control_plane.domain.presets import Preset, Presets
from control_plane.domain.records import Launch, Record, Snapshot
from control_plane.domain.registrations import checked_metadata, derived_id, slug
from control_plane.domain.restarting import Patience, after_crash
from control_plane.domain.states import Event
from sage_contracts import management as wire
from sage_contracts import names
from sage_contracts.errors import Conflict, EngineNotFound, InvalidRequest, StoreUnavailable
from sage_contracts.management import StartEngine

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
        launcher: Launcher,
        presets: Presets,
        addresses: Addresses,
        ports: Ports,
        gpus: GPUs,
        counts: Counts,
        clock: Clock,
        node: str,
        engine_host: str,
        patience: Patience,
    ) -> None:
        self._registry = registry
        self._changes = changes
        self._launcher = launcher
        self._presets = presets
        self._addresses = addresses
        self._ports = ports
        self._gpus = gpus
        self._counts = counts
        self._clock = clock
        self._node = node
        self._host = engine_host
        self._patience = patience
        self._starting = asyncio.Lock()

    async def start(self, request: StartEngine) -> Record:
        """
        A new engine, STARTING until its first answer. Raises PresetNotFound, InvalidRequest for what the preset or this
        machine does not allow, and Conflict when the port is in use.
        """
        preset = self._presets.chosen(request)
        checked_metadata(request.metadata)
        await self._registry.snapshot()  # a registry that is away is told before the wait for the lock, not after it
        await self._check_machine(request)
        await self._addresses.check(self._host)
        async with self._starting:
            snapshot = await self._registry.snapshot()
            port = self._port(preset, request.port, snapshot)
            record = self._record(preset, request, port, snapshot)
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

    async def supervise(self) -> None:
        """Once over all engines of this node: what ended is started again, what should have ended is ended."""
        try:
            records = (await self._registry.snapshot()).records.values()
            mine = [record for record in records if record.launch is not None and record.launch.node == self._node]
        except StoreUnavailable as error:
            log.debug("engines not supervised", extra={"error": error.message})
            return
        for outcome in await asyncio.gather(*map(self._care_for, mine), return_exceptions=True):
            if isinstance(outcome, StoreUnavailable | EngineNotFound):
                log.debug("engine not supervised", extra={"error": outcome.message})
            elif outcome is not None:
                raise outcome

    async def logs(self, engine_id: str, *, lines: int) -> wire.Logs:
        """The end of what an engine of this node printed; raises Conflict for one that was not started here."""
        record = found(await self._registry.snapshot(), names.engine_id(engine_id))
        if record.launch is None:
            raise Conflict(f"engine {engine_id!r} was not started here: its log is where it runs", param="engine_id")
        if record.launch.node != self._node:
            raise Conflict(f"engine {engine_id!r} runs at node {record.launch.node!r}: ask there", param="engine_id")
        told = await self._launcher.last_lines(engine_id, count=lines, most_bytes=LOG_BYTES)
        return wire.Logs(engine_id=engine_id, lines=told)

    async def end(self, record: Record) -> bool:
        """End the process behind `record`. False when it is another node's, which ends it when it sees STOPPED."""
        launch = record.launch
        if launch is None:
            return True
        if launch.node != self._node:
            return launch.pid is None or record.state == "ERROR"
        await self._launcher.stop(record.engine_id)
        await self._without_process(record)
        return True

    async def end_all(self) -> None:
        """End every process of this node and leave the records: they are started again when the control-plane is."""
        running = await self._launcher.running()
        await asyncio.gather(*(self._launcher.stop(engine_id) for engine_id in running))
        try:
            for record in (await self._registry.snapshot()).records.values():
                if record.engine_id in running and record.state != "STOPPED":
                    await self._put_down(record)
        except (StoreUnavailable, EngineNotFound) as error:
            log.warning("engines ended unrecorded", extra={"error": type(error).__name__})

    async def _care_for(self, record: Record) -> None:
        launch = record.launch
        if launch is None or launch.gave_up:
            return
        process = await self._launcher.find(record.engine_id)
        if record.state == "STOPPED":
            if process is not None or launch.pid is not None:
                await self.end(record)
            return
        if process is not None:
            if process.pid != launch.pid:
                await self._keep(record, process)
        elif launch.pid is not None:
            await self._crashed(record, launch)
        elif self._clock() >= launch.restart_at:
            await self._restart(record)

    async def _crashed(self, record: Record, launch: Launch) -> None:
        left = after_crash(launch, now=self._clock(), patience=self._patience)
        event = Event.GAVE_UP if left.gave_up else Event.CRASHED
        lines = "\n".join(await self._launcher.last_lines(record.engine_id))
        told = f"the process ended by itself; the last it printed: {lines}" if lines else "the process ended by itself"
        await self._launcher.stop(record.engine_id)
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
        )
        process = await self._launcher.start(record.engine_id, line.command, line.env)
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

    async def _check_machine(self, request: StartEngine) -> None:
        if request.host not in {None, self._host, "localhost"}:
            raise InvalidRequest(f"engines are started at {self._host}: leave host out", param="host")
        if request.port is not None and request.port < 1024:
            raise InvalidRequest("port must be 1024 or more", param="port")
        if request.use_gpu or request.required_memory_gb:
            gpus, message = await self._gpus.read()
            if request.use_gpu and not gpus:
                raise InvalidRequest(f"no GPU here: {message}", param="use_gpu")
            free = max((gpu.memory_free_gb for gpu in gpus), default=None)
            if free is not None and free < (request.required_memory_gb or 0):
                raise InvalidRequest(f"the emptiest GPU has {free} GB free", param="required_memory_gb")

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
            return self._ports.any_free(self._host)
        first, last = preset.ports
        for port in range(first, last + 1):
            if port not in taken and self._ports.is_free(self._host, port):
                return port
        raise Conflict(f"every port of preset {preset.name!r} is in use: {first} to {last}", param="port")

    def _record(self, preset: Preset, request: StartEngine, port: int, snapshot: Snapshot) -> Record:
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
                node=self._node,
                ready_seconds=preset.ready_seconds,
                tensor_parallel_size=request.tensor_parallel_size or 1,
                pipeline_parallel_size=request.pipeline_parallel_size or 1,
                extra_args=tuple(request.extra_args or ()),
            ),
        )


def _given_up(record: Record) -> Launch | None:
    return None if record.launch is None else structs.replace(record.launch, pid=None, gave_up=True)
