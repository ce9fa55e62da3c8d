"""Engines that already run, and how they come into the registry."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from control_plane.domain import addressing
from control_plane.domain.changes import ATTEMPTS, stepped
from control_plane.domain.ports import Addresses, Clock, Model, Prober, Registry
from control_plane.domain.records import Record, Sighting, Snapshot, Source
from control_plane.domain.states import Event
from sage_contracts import management as wire
from sage_contracts import names
from sage_contracts.errors import EngineIdTaken, EngineUnreachable, InvalidRequest, StoreUnavailable

METADATA_BYTES = 16 * 1024
"""Metadata travels with every list of engines."""

MODEL_CHARACTERS = 256


class Registrations:
    def __init__(
        self, *, registry: Registry, addresses: Addresses, prober: Prober, clock: Clock, start_seconds: float
    ) -> None:
        self._registry = registry
        self._addresses = addresses
        self._prober = prober
        self._clock = clock
        self._start_seconds = start_seconds

    async def register(
        self, request: wire.RegisterEngine, *, source: Source = "registered", origin: str | None = None
    ) -> Record:
        """
        The engine at this address: looked at, then kept. The same registration again changes nothing.

        Raises AddressRefused before anything is connected to, EngineIdTaken when the id belongs to an engine at another
        address, and EngineUnreachable when nothing answers, unless `model_id` was given: then the engine is STARTING
        until it answers.
        """
        asked = structs.replace(request, host=addressing.host(request.host))
        _check(asked)
        await self._addresses.check(asked.host)
        _existing(await self._registry.snapshot(), asked, asked.model_id)
        answered, models = await self._look(asked)
        model = _chosen(asked, models, answered=answered)
        for _ in range(ATTEMPTS):
            snapshot = await self._registry.snapshot()
            old = _existing(snapshot, asked, model.model_id)
            new = self._fresh(asked, model, snapshot, answered=answered, source=source, origin=origin)
            if old is not None:
                new = self._updated(old, new, answered=answered)
            kept = new if new is old else await self._registry.swap(old=old, new=new)
            if kept is not None:
                if answered:
                    await self._registry.note({kept.engine_id: Sighting(last_answer=self._clock())})
                return kept
        raise StoreUnavailable("the registry changes too fast", retry_after=1)

    async def _look(self, asked: wire.RegisterEngine) -> tuple[bool, Sequence[Model]]:
        answers, models = await asyncio.gather(
            self._prober.answers(asked.host, asked.port), self._prober.models(asked.host, asked.port)
        )
        return answers or bool(models), models

    def _fresh(
        self,
        asked: wire.RegisterEngine,
        model: Model,
        snapshot: Snapshot,
        *,
        answered: bool,
        source: Source,
        origin: str | None,
    ) -> Record:
        now = self._clock()
        return Record(
            engine_id=asked.engine_id or derived_id(model.model_id, asked.host, asked.port, taken=snapshot.records),
            model_id=model.model_id,
            host=asked.host,
            port=asked.port,
            state="READY" if answered else "STARTING",
            source=source,
            origin=origin,
            created_at=now,
            engine_kind=asked.engine_kind,
            max_concurrent_requests=asked.max_concurrent_requests or 256,
            context_tokens=model.context_tokens,
            metadata=asked.metadata,
            ready_by=None if answered else now + self._start_seconds,
        )

    def _updated(self, old: Record, new: Record, *, answered: bool) -> Record:
        """`old` as the registration describes it now. One that is STOPPED begins a new life; a drain goes on."""
        if old.state == "STOPPED":
            return structs.replace(new, engine_id=old.engine_id)
        told: dict[str, Any] = {
            "model_id": new.model_id,
            "engine_kind": new.engine_kind,
            "max_concurrent_requests": new.max_concurrent_requests,
            "context_tokens": new.context_tokens if answered else old.context_tokens,
            "metadata": new.metadata,
        }
        if answered:
            return stepped(old, Event.ANSWERED, now=self._clock(), fields=told)
        changed = {name: value for name, value in told.items() if getattr(old, name) != value}
        return structs.replace(old, **changed) if changed else old


def derived_id(model_id: str, host: str, port: int, *, taken: Mapping[str, Record]) -> str:
    """
    The same id each time for the same engine, readable where it can be: `smollm2-127.0.0.1-8080`.

    A name that was shortened, and one that another engine has already, gets a few digits of its own.
    """
    wanted = f"{slug(model_id.rsplit('/', 1)[-1])}-{slug(host)}-{port}"
    if len(wanted) <= 96 and not _is_anothers(taken.get(wanted), model_id, host, port):
        return wanted
    digest = hashlib.sha256(f"{model_id}\0{host}\0{port}".encode()).hexdigest()[:8]
    return f"{wanted[:96]}-{digest}"


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.") or "engine"


def checked_metadata(metadata: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for what is too much to keep."""
    size = len(msgspec.json.encode(metadata))
    if size > METADATA_BYTES:
        raise InvalidRequest(f"metadata may have {METADATA_BYTES} bytes as JSON, not {size}", param="metadata")


def _is_anothers(record: Record | None, model_id: str, host: str, port: int) -> bool:
    return record is not None and (record.model_id, record.host, record.port) != (model_id, host, port)


def _existing(snapshot: Snapshot, asked: wire.RegisterEngine, model_id: str | None) -> Record | None:
    """The record this registration is about. A STOPPED one gives its id to any address."""
    if asked.engine_id is None:
        wanted = (model_id, asked.host, asked.port)
        same = (item for item in snapshot.records.values() if (item.model_id, item.host, item.port) == wanted)
        return next(same, None)
    record = snapshot.records.get(asked.engine_id)
    if record is None or record.state == "STOPPED" or (record.host, record.port) == (asked.host, asked.port):
        return record
    where = addressing.base_url(record.host, record.port)
    raise EngineIdTaken(f"engine {asked.engine_id!r} is registered at {where}", param="engine_id")


def _check(asked: wire.RegisterEngine) -> None:
    if asked.engine_id is not None:
        names.engine_id(asked.engine_id)
    if asked.model_id is not None and not is_model_id(asked.model_id):
        raise InvalidRequest(f"model_id must be 1 to {MODEL_CHARACTERS} printable characters", param="model_id")
    checked_metadata(asked.metadata)


def is_model_id(text: str) -> bool:
    return 0 < len(text) <= MODEL_CHARACTERS and text.isprintable()


def _chosen(asked: wire.RegisterEngine, models: Sequence[Model], *, answered: bool) -> Model:
    """The model that is registered: the one asked for, else the first that the engine serves."""
    url = addressing.base_url(asked.host, asked.port)
    if any(model.model_id == names.DEFAULT_MODEL for model in models):
        raise InvalidRequest(f"{url} is a SAGE gateway, not an engine: requests would go round", param="host")
    if asked.model_id is not None:
        told = next((model for model in models if model.model_id == asked.model_id), None)
        return told or Model(asked.model_id)
    if not answered:
        raise EngineUnreachable(
            f"no engine answers at {url}: start it first, or give model_id to register it before it runs", param="host"
        )
    if not models:
        raise InvalidRequest(f"the engine at {url} names no model: give model_id", param="model_id")
    return models[0]
