"""OpenAI's vector stores: a collection each, its uploaded documents their files."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from rag_indexer.domain import attributes, manifest, store_searching
from rag_indexer.domain.builds import Builds
from rag_indexer.domain.files import Files
from rag_indexer.domain.paging import page
from rag_indexer.domain.ports import Collections, Record
from rag_indexer.domain.renewals import Renewals
from rag_indexer.domain.searches import Searches
from rag_indexer.domain.store_files import StoreFiles
from sage_contracts import names
from sage_contracts import vector_stores as wire
from sage_contracts.errors import CollectionNotFound, InvalidRequest

PREFIX = "vs_"


@dataclass(frozen=True, slots=True)
class Card:
    """What is said of a store beside its collection."""

    collection: str
    name: str
    created_at: datetime
    description: str | None = None
    metadata: dict[str, str] | None = None


class Cards(Protocol):
    """Where they are kept. Every method raises StoreUnavailable when that fails."""

    async def all(self) -> list[Card]: ...

    async def get(self, collection: str) -> Card | None: ...

    async def put(self, card: Card) -> None: ...

    async def delete(self, collection: str) -> bool: ...


class VectorStores:
    """`new_id` makes 24 hexadecimal digits that were never there before, `now` is in UTC."""

    def __init__(
        self,
        *,
        cards: Cards,
        collections: Collections,
        builds: Builds,
        renewals: Renewals,
        searches: Searches,
        files: Files,
        store_files: StoreFiles,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        self._cards = cards
        self._collections = collections
        self._builds = builds
        self._renewals = renewals
        self._searches = searches
        self._files = files
        self._store_files = store_files
        self._new_id = new_id
        self._now = now
        self._naming = asyncio.Lock()
        """Held from when a name is found free until it is taken, and from when a store is found until it is changed."""

    async def create(self, new: wire.NewStore) -> wire.Store:
        """Raises InvalidRequest for what cannot be, and DocumentNotFound; then there is no store."""
        refuse_expiry(new.expires_after)
        for file_id in new.file_ids:
            await self._files.get(file_id)
        attached = [wire.NewStoreFile(file_id=one, chunking_strategy=new.chunking_strategy) for one in new.file_ids]
        async with self._naming:
            card = Card(
                collection=await self._free(new.name),
                name=new.name or "",
                created_at=self._now(),
                description=new.description,
                metadata=attributes.metadata(new.metadata),
            )
            await self._store_files.attach(card.collection, attached)
            await self._cards.put(card)
        if attached:
            self._renewals.touch(card.collection)
        return await self._told(card)

    async def listing(self, asked: wire.PageQuery) -> wire.StorePage:
        cards = sorted(await self._known(), key=lambda card: (card.created_at, card.collection), reverse=True)
        shown, has_more = page(
            cards,
            lambda card: PREFIX + card.collection,
            limit=asked.limit,
            order=asked.order,
            after=asked.after,
            before=asked.before,
        )
        stores = [await self._told(card) for card in shown]
        first, last = (stores[0].id, stores[-1].id) if stores else (None, None)
        return wire.StorePage(data=stores, first_id=first, last_id=last, has_more=has_more)

    async def get(self, store_id: str) -> wire.Store:
        """Raises CollectionNotFound."""
        return await self._told(await self.card(store_id))

    async def change(self, store_id: str, change: wire.StoreChange) -> wire.Store:
        """Raises CollectionNotFound and InvalidRequest."""
        refuse_expiry(change.expires_after)
        async with self._naming:
            card = await self.card(store_id)
            if change.name is not None:
                card = replace(card, name=change.name)
            if change.metadata is not None:
                card = replace(card, metadata=attributes.metadata(change.metadata))
            await self._cards.put(card)
        return await self._told(card)

    async def delete(self, store_id: str) -> wire.StoreDeleted:
        """Its index and its documents are gone; files stay. Raises CollectionNotFound, and Conflict."""
        collection = (await self.card(store_id)).collection

        async def emptied() -> None:
            await self._store_files.clear(collection)
            await self._cards.delete(collection)
            await self._store_files.clear(collection)  # what those attached meanwhile who still saw the store

        await self._builds.cancel(collection)
        async with self._naming:
            await self._builds.delete(collection, emptied)
        return wire.StoreDeleted(id=store_id)

    async def attach(self, store_id: str, new: wire.NewStoreFile) -> wire.StoreFile:
        """It can be found soon. Raises CollectionNotFound, and what StoreFiles.attach does."""
        collection = (await self.card(store_id)).collection
        await self._store_files.attach(collection, [new])
        await self._still_there(store_id, collection, new.file_id)
        self._renewals.touch(collection)
        return await self._store_files.get(collection, new.file_id)

    async def change_file(self, store_id: str, file_id: str, change: wire.StoreFileChange) -> wire.StoreFile:
        """Searches know when this returns. Raises CollectionNotFound, DocumentNotFound and InvalidRequest."""
        collection = (await self.card(store_id)).collection
        await self._store_files.change(collection, file_id, change)
        await self._still_there(store_id, collection, file_id)
        await self._renewals.renew(collection)
        return await self._store_files.get(collection, file_id)

    async def delete_file(self, file_id: str) -> wire.FileDeleted:
        """From every store too, and from those first: what fails can be asked for again. Raises DocumentNotFound."""
        await self._files.get(file_id)
        for card in await self._known():
            await self._store_files.forget(card.collection, file_id)
        return await self._files.delete(file_id)

    async def search(self, store_id: str, asked: wire.StoreSearch) -> wire.StoreHits:
        """Raises CollectionNotFound and InvalidRequest."""
        request = store_searching.request(asked, (await self.card(store_id)).collection)
        try:
            passages = (await self._searches.find(request)).passages
        except CollectionNotFound:  # a store in which nothing is indexed yet
            passages = []
        return store_searching.hits(asked, passages)

    async def card(self, store_id: str) -> Card:
        """Raises CollectionNotFound."""
        collection = store_id.removeprefix(PREFIX)
        if store_id.startswith(PREFIX) and names.is_collection(collection):
            if (card := await self._cards.get(collection)) is not None:
                return card
            if (record := await self._record(collection)) is not None:
                return Card(collection, collection, record.created_at)
        raise CollectionNotFound(f"there is no vector store {store_id!r}", param="vector_store_id")

    async def _still_there(self, store_id: str, collection: str, file_id: str) -> None:
        """A file that was put into a store while that was deleted is not kept. Raises CollectionNotFound."""
        try:
            await self.card(store_id)
        except CollectionNotFound:
            await self._store_files.clear(collection, only=file_id)
            raise

    async def _known(self) -> list[Card]:
        cards = {card.collection: card for card in await self._cards.all()}
        for name in await self._collections.names():
            if name not in cards and (record := await self._record(name)) is not None:
                cards[name] = Card(name, name, record.created_at)
        return list(cards.values())

    async def _free(self, name: str | None) -> str:
        """A collection's name that nobody has, and of which no uploads are left: the store's own where that can be."""
        if name is not None and names.is_collection(name):
            known = {card.collection for card in await self._cards.all()} | set(await self._collections.names())
            if name not in known and name != names.DOCS_COLLECTION and not await self._store_files.any(name):
                return name
        return self._new_id()

    async def _record(self, collection: str) -> Record | None:
        return await (await self._collections.open(collection)).record()

    async def _told(self, card: Card) -> wire.Store:
        files = await (await self._collections.open(card.collection)).manifest()
        waiting = await self._store_files.waiting(card.collection, files)
        failed = len(manifest.unreadable(files))
        if self._builds.failed(card.collection):
            waiting, failed = 0, failed + waiting
        completed = manifest.documents(files)
        return wire.Store(
            id=PREFIX + card.collection,
            created_at=int(card.created_at.timestamp()),
            name=card.name,
            usage_bytes=sum(state.size for state in files.values()),
            file_counts=wire.FileCounts(
                in_progress=waiting, completed=completed, failed=failed, cancelled=0, total=waiting + completed + failed
            ),
            status="in_progress" if waiting else "completed",
            metadata=card.metadata or {},
            description=card.description,
        )


def refuse_expiry(policy: dict[str, Any] | None) -> None:
    """Raises InvalidRequest: what would not be kept is not promised."""
    if policy is not None:
        raise InvalidRequest("vector stores do not expire here: leave expires_after out", param="expires_after")
