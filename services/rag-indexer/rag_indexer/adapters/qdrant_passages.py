"""Passages in a Qdrant server: a collection a version, read through an alias."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import msgspec
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_indexer.adapters import qdrant_draft, qdrant_points
from rag_indexer.adapters.qdrant_draft import QdrantDraft
from rag_indexer.adapters.qdrant_lease import PATIENCE_SECONDS, QdrantLeases
from rag_indexer.adapters.qdrant_points import DENSE, SPARSE, answered
from rag_indexer.domain.documents import Filters, StoredPassage, Vectors, is_passage_id
from rag_indexer.domain.manifest import Manifest
from rag_indexer.domain.ports import Draft, Hits, Holder, Record, no_build
from sage_contracts.errors import StoreUnavailable
from sage_contracts.index import Job

T = TypeVar("T")

_EARLIER = "@earlier"


@asynccontextmanager
async def qdrant_collections(
    url: str, api_key: str | None, *, timeout_seconds: int = 10
) -> AsyncGenerator["QdrantCollections"]:
    """At `url`; over TLS when that says https."""
    client = AsyncQdrantClient(url=url, api_key=api_key, timeout=timeout_seconds, check_compatibility=False)
    try:
        yield QdrantCollections(client, patience=timeout_seconds)
    finally:
        await client.close()


class QdrantCollections:
    def __init__(self, client: AsyncQdrantClient, *, patience: float = PATIENCE_SECONDS) -> None:
        self._client = client
        self._leases = QdrantLeases(client, patience=patience)

    async def names(self) -> list[str]:
        async with answered():
            aliases = (await self._client.get_aliases()).aliases
        return sorted(one.alias_name for one in aliases if is_version(one.collection_name, of=one.alias_name))

    async def open(self, name: str) -> "QdrantPassages":
        return QdrantPassages(self._client, collection=name)

    def hold(self, name: str, job: Callable[[], Job | None] = no_build) -> AbstractAsyncContextManager[asyncio.Event]:
        return self._leases.hold(name, job)

    async def holder(self, name: str) -> Holder | None:
        return await self._leases.holder(name)


class QdrantPassages:
    """
    Its versions are the collections `<collection>@<n>`. The alias `<collection>` names the served one and
    `<collection>@earlier` the one before it; any other is a draft, or what a crash has left.
    """

    def __init__(self, client: AsyncQdrantClient, *, collection: str) -> None:
        self._client = client
        self._alias = collection

    async def record(self) -> Record | None:
        async with answered():
            name = await self.served()
            return await self._record(name) if name else None

    async def manifest(self) -> Manifest:
        return await self._read(partial(qdrant_points.files, self._client), nothing={})

    async def note(self, states: Manifest) -> None:
        async with answered():
            if states and (name := await self.served()) is not None:
                await qdrant_points.add_files(self._client, name, states)

    async def unfinished(self, fingerprint: str) -> bool:
        async with answered():
            drafts = [await self._draft_of(name) for name in await self._others()]
        return any(draft.get("fingerprint") == fingerprint for draft in drafts)

    async def draft(self, *, fresh: bool, fingerprint: str, dimensions: int) -> Draft:
        if not fresh:
            return await self.amendment()
        async with answered():
            return await self._fresh({"fingerprint": fingerprint, "dimensions": dimensions})

    async def amendment(self) -> Draft:
        """What a change that was broken off came to is served, and so what it begins with."""
        async with answered():
            name = await self.served()
            record = await self._record(name) if name else None
            if name is None or record is None:
                raise StoreUnavailable("the index went away while it was being changed")
            files = await qdrant_draft.kept(self._client, name, reconcile=record.unfinished)
            await self._write(name, msgspec.structs.replace(record, unfinished=True))
        return QdrantDraft(self._client, name, files, publish=partial(self._write, name), drop=_nothing)

    async def search(self, query: Vectors, *, limit: int, chosen: Filters) -> Hits:
        async def asked(name: str) -> Hits:
            return await qdrant_points.search(self._client, name, query, limit, chosen)

        return await self._read(asked, nothing=Hits([], []))

    async def passage(self, passage_id: str) -> StoredPassage | None:
        async def asked(name: str) -> StoredPassage | None:
            return await qdrant_points.passage(self._client, name, passage_id)

        return await self._read(asked, nothing=None) if is_passage_id(passage_id) else None

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        async def asked(name: str) -> dict[str, Vectors]:
            records = await self._client.retrieve(name, list(ids), with_payload=True, with_vectors=[DENSE, SPARSE])
            return {entry.passage.id: entry.vectors for entry in map(qdrant_points.entry, records)}

        return await self._read(asked, nothing={})

    async def earlier(self) -> Record | None:
        async with answered():
            name = (await self._aliases()).get(self._alias + _EARLIER)
            return await self._record(name) if name else None

    async def rollback(self) -> Record | None:
        async with answered():
            aliases = await self._aliases()
            served, earlier = aliases.get(self._alias), aliases.get(self._alias + _EARLIER)
            if earlier is None:
                return None
            await self._point({self._alias: earlier, self._alias + _EARLIER: served})
            return await self._record(earlier)

    async def delete(self) -> bool:
        async with answered():
            existed = await self.served() is not None
            await self._point({self._alias: None, self._alias + _EARLIER: None})
            for name in await self._versions():
                await self._client.delete_collection(name)
        return existed

    async def served(self) -> str | None:
        """The collection that the alias names."""
        return (await self._aliases()).get(self._alias)

    async def _fresh(self, header: dict[str, object]) -> Draft:
        """What other builds have left is removed: whoever drafts holds the lease, so no other is at work on it."""
        found: str | None = None
        for name in await self._others():
            if found is None and await self._draft_of(name) == header:
                found = name
            else:
                await self._client.delete_collection(name)
        name = found or await self._next()
        if found is None:
            await qdrant_points.create(self._client, name, int(str(header["dimensions"])), {"draft": header})
        files = await qdrant_draft.kept(self._client, name, reconcile=True) if found else {}
        return QdrantDraft(
            self._client, name, files, publish=partial(self._serve, name), drop=partial(self._drop, name)
        )

    async def _serve(self, name: str, record: Record) -> None:
        """Both aliases move in one call; what was the earlier version is dropped after."""
        await self._write(name, record)
        aliases = await self._aliases()
        served, earlier = aliases.get(self._alias), aliases.get(self._alias + _EARLIER)
        await self._point({self._alias: name, self._alias + _EARLIER: served})
        if earlier is not None and is_version(earlier, of=self._alias):
            await self._client.delete_collection(earlier)

    async def _drop(self, name: str) -> None:
        """Unless a publish that broke off after the alias had moved came through all the same."""
        if await self.served() != name:
            await self._client.delete_collection(name)

    async def _write(self, name: str, record: Record) -> None:
        await self._client.update_collection(name, metadata={"record": msgspec.to_builtins(record), "draft": {}})

    async def _record(self, name: str) -> Record | None:
        found = (await self._metadata(name)).get("record")
        try:
            return msgspec.convert(found, Record)
        except msgspec.ValidationError as error:
            raise StoreUnavailable(f"the collection {name} was not made by a rag-indexer") from error

    async def _draft_of(self, name: str) -> dict[str, Any]:
        return (await self._metadata(name)).get("draft") or {}

    async def _metadata(self, name: str) -> dict[str, Any]:
        return (await self._client.get_collection(name)).config.metadata or {}

    async def _read(self, asked: Callable[[str], Awaitable[T]], *, nothing: T) -> T:
        """Asked twice if need be: between naming the version and reading it, a newer one may have replaced it."""
        async with answered():
            first = await self.served()
            if first is None:
                return nothing
            try:
                return await asked(first)
            except UnexpectedResponse:
                second = await self.served()
                if second == first:
                    raise
                return nothing if second is None else await asked(second)

    async def _aliases(self) -> dict[str, str]:
        return {one.alias_name: one.collection_name for one in (await self._client.get_aliases()).aliases}

    async def _point(self, wanted: dict[str, str | None]) -> None:
        """Move the aliases in one step; one without a collection goes."""
        present = await self._aliases()
        operations: list[models.AliasOperations] = []
        for alias, name in wanted.items():
            if alias in present:
                operations.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
            if name is not None:
                made = models.CreateAlias(collection_name=name, alias_name=alias)
                operations.append(models.CreateAliasOperation(create_alias=made))
        if operations:
            await self._client.update_collection_aliases(operations)

    async def _others(self) -> list[str]:
        aliases = await self._aliases()
        known = {aliases.get(self._alias), aliases.get(self._alias + _EARLIER)}
        return [name for name in await self._versions() if name not in known]

    async def _versions(self) -> list[str]:
        names = [found.name for found in (await self._client.get_collections()).collections]
        return [name for name in names if is_version(name, of=self._alias)]

    async def _next(self) -> str:
        numbers = [int(name.removeprefix(f"{self._alias}@")) for name in await self._versions()]
        return f"{self._alias}@{max(numbers, default=0) + 1}"


def is_version(name: str, *, of: str) -> bool:
    """Whether it is ours: an alias may have been made by hand, to anything."""
    return name.startswith(f"{of}@") and name.removeprefix(f"{of}@").isdecimal()


async def _nothing() -> None:
    """A change of the served version cannot be taken back: the next build goes on from where it stands."""
