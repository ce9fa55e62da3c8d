"""What operators ask: which engines there are, how they are, what they do."""

import asyncio
import logging
from collections.abc import Mapping

from msgspec import structs

from control_plane.domain import placing, views
from control_plane.domain.changes import found
from control_plane.domain.fleets import Fleets
from control_plane.domain.ports import Clock, GPUs, Load
from control_plane.domain.records import Record, Snapshot
from sage_contracts import management as wire
from sage_contracts import names
from sage_contracts.errors import StoreUnavailable
from sage_contracts.fleet import State

log = logging.getLogger(__name__)


class Reports:
    """
    Every report but `gpus` raises StoreUnavailable while the registry is away.

    `policy` is how gateways choose among the engines of a model: they decide, and old clients read it here.
    """

    def __init__(self, *, fleets: Fleets, load: Load, gpus: GPUs, clock: Clock, node: str, policy: str) -> None:
        self._policy = policy
        self._fleets = fleets
        self._load = load
        self._gpus = gpus
        self._clock = clock
        self._node = node

    async def engines(self, *, state: State | None = None, model: str | None = None) -> wire.Engines:
        snapshot, active = await self._look()
        chosen = [
            self._view(record, snapshot, active)
            for record in snapshot.records.values()
            if state in {None, record.state} and model in {None, record.model_id}
        ]
        return wire.Engines(engines=chosen, count=len(chosen))

    async def engine(self, engine_id: str) -> wire.Engine:
        names.engine_id(engine_id)
        snapshot, active = await self._look()
        return self._view(found(snapshot, engine_id), snapshot, active)

    async def backends(self) -> wire.Backends:
        snapshot, active = await self._look()
        return views.backends(snapshot.records.values(), active, self._clock())

    async def status(self) -> wire.ManagementStatus:
        (snapshot, active), (gpus, _) = await asyncio.gather(self._look(), self._gpus.read())
        records = snapshot.records.values()
        told = {record.engine_id: self._view(record, snapshot, active) for record in records}
        return wire.ManagementStatus(
            control_plane=wire.ControlPlaneStatus(
                running=True,
                scheduling_policy=self._policy,
                pending_requests=0,
                running_requests=sum(active.get(record.engine_id, 0) for record in records),
                registered_instances=len(snapshot.records),
            ),
            gpu=self._with_engines(gpus, snapshot),
            engines=list(told.values()),
            managed_instances=[told[record.engine_id] for record in records if record.launch is not None],
        )

    async def gpus(self) -> wire.GPUs:
        """Without the engines' names while the registry is away."""
        found_gpus, message = await self._gpus.read()
        if found_gpus:
            try:
                found_gpus = self._with_engines(found_gpus, await self._fleets.fresh())
            except StoreUnavailable as error:
                log.debug("engines of GPUs not told", extra={"error": error.message})
        return wire.GPUs(gpus=found_gpus, message=message)

    def _with_engines(self, gpus: list[wire.GPU], snapshot: Snapshot) -> list[wire.GPU]:
        records = snapshot.records.values()
        return [structs.replace(gpu, engines=placing.engines(records, self._node, gpu.index)) for gpu in gpus]

    async def _look(self) -> tuple[Snapshot, Mapping[str, int]]:
        return await self._fleets.fresh(), await self._load.active()

    def _view(self, record: Record, snapshot: Snapshot, active: Mapping[str, int]) -> wire.Engine:
        return views.engine(record, snapshot, active, self._clock())
