"""The next state of an index in a Qdrant server: a collection of its own, or the served one changed file by file."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence

from qdrant_client import AsyncQdrantClient

from rag_indexer.adapters import qdrant_points
from rag_indexer.adapters.qdrant_points import answered
from rag_indexer.domain.documents import Entry
from rag_indexer.domain.manifest import FileState, Manifest
from rag_indexer.domain.ports import Made, Record

Publish = Callable[[Record], Awaitable[None]]
Drop = Callable[[], Awaitable[None]]


async def kept(client: AsyncQdrantClient, name: str, *, reconcile: bool) -> dict[str, FileState]:
    """
    The files that are whole in the collection.

    To `reconcile`, because a build of it was broken off, passages that belong to none of them are removed.
    """
    files = await qdrant_points.files(client, name)
    if not reconcile:
        return files
    counts: Counter[str] = Counter()
    stray = []
    for point, path, content in await qdrant_points.hashes(client, name):
        if path in files and files[path].hash == content:
            counts[path] += 1
        else:
            stray.append(point)
    await qdrant_points.remove_ids(client, name, stray)
    broken = [path for path, state in files.items() if counts[path] != state.chunks]
    await qdrant_points.remove(client, name, broken)
    return {path: state for path, state in files.items() if path not in set(broken)}


class QdrantDraft:
    """
    What has been told of a file is only stored after its passages are: whatever is broken off, is known to be missing.

    New passages are stored before old ones go. So a search that looks in the middle of a change of the served version
    finds a file as it was, as it will be, or both, and never without passages.
    """

    def __init__(
        self, client: AsyncQdrantClient, name: str, files: dict[str, FileState], *, publish: Publish, drop: Drop
    ) -> None:
        self._client = client
        self._name = name
        self._files = files
        self._publish = publish
        self._drop = drop

    @property
    def files(self) -> Manifest:
        return self._files

    async def entries(self, path: str) -> list[Entry]:
        async with answered():
            return await qdrant_points.entries(self._client, self._name, path)

    async def put(self, made: Sequence[Made]) -> None:
        told = {one.path: one.state for one in made}
        async with answered():
            await qdrant_points.add(self._client, self._name, [entry for one in made for entry in one.entries])
            for one in made:
                if one.path in self._files:
                    ids = [entry.passage.id for entry in one.entries]
                    await qdrant_points.remove_others(self._client, self._name, one.path, ids)
            await qdrant_points.add_files(self._client, self._name, told)
        self._files |= told

    async def remove(self, paths: Collection[str]) -> None:
        known = [path for path in paths if path in self._files]
        async with answered():
            await qdrant_points.remove(self._client, self._name, known, kind="passage")
            await qdrant_points.remove(self._client, self._name, known)
        for path in known:
            del self._files[path]

    async def publish(self, record: Record) -> None:
        async with answered():
            await self._publish(record)

    async def discard(self) -> None:
        async with answered():
            await self._drop()

    async def leave(self) -> None:
        """It is on the server as far as it came."""
