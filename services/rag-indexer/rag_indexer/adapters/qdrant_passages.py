"""Passages in a Qdrant server: a collection a version, read through an alias."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_indexer.adapters import qdrant_points
from rag_indexer.adapters.qdrant_points import BATCH, DENSE, SPARSE, answered
from rag_indexer.domain.documents import Entry, Filters, StoredPassage, Vectors, is_passage_id
from rag_indexer.domain.ports import Draft, Hits, Record
from sage_contracts.errors import StoreUnavailable

T = TypeVar("T")

_FIELDS = models.PayloadSelectorInclude(include=["path", "file_hash"])


@asynccontextmanager
async def qdrant_passages(
    url: str, api_key: str | None, *, collection: str, timeout_seconds: int = 10
) -> AsyncGenerator["QdrantPassages"]:
    client = AsyncQdrantClient(url=url, api_key=api_key, timeout=timeout_seconds, check_compatibility=False)
    try:
        yield QdrantPassages(client, collection=collection)
    finally:
        await client.close()


class QdrantPassages:
    """Its versions are the collections `<collection>@<n>`; the alias `<collection>` names the served one."""

    def __init__(self, client: AsyncQdrantClient, *, collection: str) -> None:
        self._client = client
        self._alias = collection

    async def record(self) -> Record | None:
        async with answered():
            if (name := await self.served()) is None:
                return None
            metadata = (await self._client.get_collection(name)).config.metadata or {}
        try:
            return msgspec.convert(metadata["record"], Record)
        except (KeyError, msgspec.ValidationError) as error:
            raise StoreUnavailable(f"the collection {name} was not made by a rag-indexer") from error

    async def files(self) -> dict[str, str]:
        found: dict[str, str] = {}
        async with answered():
            if (name := await self.served()) is None:
                return found
            offset: models.ExtendedPointId | None = None
            while True:
                records, offset = await self._client.scroll(
                    name, limit=1_000, offset=offset, with_payload=_FIELDS, with_vectors=False
                )
                payloads = [record.payload or {} for record in records]
                found |= {str(payload["path"]): str(payload["file_hash"]) for payload in payloads}
                if offset is None:
                    return found

    async def draft(self, dimensions: int) -> Draft:
        """What a build that was killed has left is removed first."""
        async with answered():
            served = await self.served()
            versions = await self._versions()
            for stray in [name for name in versions if name != served]:
                await self._client.delete_collection(stray)
            number = max((int(name.removeprefix(f"{self._alias}@")) for name in versions), default=0) + 1
            name = f"{self._alias}@{number}"
            await qdrant_points.create(self._client, name, dimensions)
        return QdrantDraft(self, self._client, name, served)

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

    async def delete(self) -> bool:
        async with answered():
            if (name := await self.served()) is None:
                return False
            await self._client.update_collection_aliases([self._unaliased()])
            await self._drop(name)
        return True

    async def close(self) -> None:
        await self._client.close()

    async def serve(self, name: str, record: Record, before: str | None) -> None:
        """The alias moves in one call; what it named before is dropped after."""
        created = models.CreateAlias(collection_name=name, alias_name=self._alias)
        moved: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=created)]
        async with answered():
            await self._client.update_collection(name, metadata={"record": msgspec.to_builtins(record)})
            await self._client.update_collection_aliases([self._unaliased(), *moved] if before else moved)
            if before:
                await self._drop(before)

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

    async def served(self) -> str | None:
        """The collection that the alias names."""
        aliases = (await self._client.get_aliases()).aliases
        return next((alias.collection_name for alias in aliases if alias.alias_name == self._alias), None)

    async def _versions(self) -> list[str]:
        names = [found.name for found in (await self._client.get_collections()).collections]
        return [name for name in names if self._is_version(name)]

    def _is_version(self, name: str) -> bool:
        prefix = f"{self._alias}@"
        return name.startswith(prefix) and name.removeprefix(prefix).isdecimal()

    async def _drop(self, name: str) -> None:
        """Only what is ours: an alias may have been made by hand, to anything."""
        if self._is_version(name):
            await self._client.delete_collection(name)

    def _unaliased(self) -> models.DeleteAliasOperation:
        return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self._alias))


class QdrantDraft:
    def __init__(self, passages: QdrantPassages, client: AsyncQdrantClient, name: str, before: str | None) -> None:
        self._passages = passages
        self._client = client
        self._name = name
        self._before = before

    async def carry(self, paths: Collection[str]) -> int:
        if not paths:
            return 0
        if self._before is None:
            raise StoreUnavailable("the index went away while it was being rebuilt")
        total = 0
        offset: models.ExtendedPointId | None = None
        async with answered():
            while True:
                records, offset = await self._client.scroll(
                    self._before, limit=BATCH, offset=offset, with_payload=True, with_vectors=[DENSE, SPARSE]
                )
                entries = [entry for entry in map(qdrant_points.entry, records) if entry.passage.path in paths]
                await qdrant_points.add(self._client, self._name, entries)
                total += len(entries)
                if offset is None:
                    return total

    async def add(self, entries: Sequence[Entry]) -> None:
        async with answered():
            await qdrant_points.add(self._client, self._name, entries)

    async def publish(self, record: Record, files: Mapping[str, str]) -> None:
        del files  # each point carries its file's hash
        await self._passages.serve(self._name, record, self._before)

    async def discard(self) -> None:
        async with answered():
            # A publish that broke off after the alias had moved came through all the same.
            if await self._passages.served() != self._name:
                await self._client.delete_collection(self._name)
