"""Engines that nobody has to register: those the operator's settings name, and those found on this machine."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from control_plane.domain import addressing
from control_plane.domain.ports import Model, Prober, Registry
from control_plane.domain.records import Record, Source
from control_plane.domain.registrations import Registrations
from sage_contracts import management as wire
from sage_contracts import names
from sage_contracts.errors import InvalidRequest, StoreUnavailable
from sage_contracts.fleet import EngineKind

log = logging.getLogger(__name__)

WELL_KNOWN_PORTS = (11434, 1234, 8080, 8001)
"""Ollama, LM Studio, llama.cpp, vLLM."""

MODELS_AN_ENGINE = 32
MOST_LISTED = 1000
STATIC = "SAGE_CONTROL_PLANE_STATIC_ENGINES"

Address = tuple[str, int]


class Admissions:
    """Registers what answers at an address, with every model it serves."""

    def __init__(self, *, registry: Registry, registrations: Registrations, prober: Prober) -> None:
        self._registry = registry
        self._registrations = registrations
        self._prober = prober

    async def admit(self, address: Address, source: Source, origin: str) -> bool:
        """Whether there is nothing more to do for this address."""
        host, port = address
        models = list(await self._prober.models(host, port))[:MODELS_AN_ENGINE]
        if not models or any(model.model_id == names.DEFAULT_MODEL for model in models):
            return False
        records = (await self._registry.snapshot()).records.values()
        here = [record for record in records if (record.host, record.port) == address]
        stopped = {record.model_id for record in here if record.state == "STOPPED"}
        served = {model.model_id for model in models}
        for record in here:
            if record.source == source and record.model_id not in served:
                await self._registry.swap(old=record, new=None)
        for model in models:
            if model.model_id not in stopped:
                await self._register(address, model, source, origin)
        return True

    async def _register(self, address: Address, model: Model, source: Source, origin: str) -> None:
        host, port = address
        kind = kind_of(model.model_id)
        request = wire.RegisterEngine(host=host, port=port, model_id=model.model_id, engine_kind=kind)
        try:
            record = await self._registrations.register(request, source=source, origin=origin)
        except InvalidRequest as error:
            log.error("engine not registered", extra={"address": f"{host}:{port}", "error": error.message})  # noqa: TRY400 - told, not traced
            return
        log.info("engine found", extra={"engine": record.engine_id, "source": source})


class Ailing:
    """
    Engines that were in ERROR when last looked at.

    Who prunes them means what is dead, not what may come back: they are looked for again. What is removed while it is
    well stays away.
    """

    def __init__(self) -> None:
        self._addresses: dict[str, Address] = {}

    def removed(self, records: Mapping[str, Record]) -> set[Address]:
        """Where those were that are in the registry no more."""
        gone = {address for engine_id, address in self._addresses.items() if engine_id not in records}
        self._addresses = {one.engine_id: (one.host, one.port) for one in records.values() if one.state == "ERROR"}
        return gone


class Discoveries:
    """
    The settings are the truth about static engines: one that they name is registered as soon as it answers, with every
    model it serves, also after it was pruned while it was away; one that they no longer name is forgotten. What an
    operator drained stays drained.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        admissions: Admissions,
        static: Sequence[Address],
        well_known: Sequence[Address],
    ) -> None:
        self._registry = registry
        self._admissions = admissions
        self._static = tuple(static)
        self._well_known = tuple(well_known)
        self._pending = set(static)
        self._ailing = Ailing()
        self._begun = False
        self._version = 0

    async def look(self) -> None:
        """Register what answers now. Called again and again: an engine may come up late, the registry may be lost."""
        try:
            snapshot = await self._registry.snapshot()
            if not self._begun:
                await self._forget(snapshot.records.values())
                for address in self._well_known:
                    await self._admissions.admit(address, "discovered", f"port {address[1]} of this machine")
                self._begun = True
            if snapshot.version < self._version:  # the registry has lost its data
                self._pending = set(self._static)
            self._version = snapshot.version
            self._pending |= self._ailing.removed(snapshot.records).intersection(self._static)
            for address in sorted(self._pending):
                if await self._admissions.admit(address, "static", STATIC):
                    self._pending.discard(address)
        except StoreUnavailable as error:
            log.debug("engines not looked for", extra={"error": error.message})

    async def _forget(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.source == "static" and (record.host, record.port) not in self._static:
                await self._registry.swap(old=record, new=None)


def addresses(urls: Sequence[str]) -> list[Address]:
    """Base URLs as hosts and ports; raises InvalidRequest that shows the one that is none."""
    return [_address(url) for url in urls]


def dns_names(texts: Sequence[str]) -> list[Address]:
    """DNS names with a port; raises InvalidRequest that shows the one that is none."""
    return [_address(f"http://{text}") for text in texts]


def kind_of(model_id: str) -> EngineKind:
    """A guess by the name, where nobody said what the model is for."""
    name = model_id.lower()
    return "embedding" if any(word in name for word in ("embed", "bge-", "minilm", "gte-", "e5-")) else "llm"


def _address(url: str) -> Address:
    wrong = InvalidRequest(f"{url!r} is no engine's base URL: write http://host:port")
    scheme, _, rest = url.partition("://")
    host, _, port = rest.removesuffix("/").rpartition(":")
    if scheme != "http" or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise wrong
    return addressing.host(host), int(port)
