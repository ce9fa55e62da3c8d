"""Vector stores as OpenAI's SDKs ask for them."""

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from rag_indexer.domain.store_files import StoreFiles
from rag_indexer.domain.vector_stores import VectorStores
from rag_indexer.domain.watching import Watching
from sage_chassis.bodies import StrictRequest, query
from sage_contracts import vector_stores as wire

_UNNAMED = wire.NewStore()


@post(wire.CREATE.route, status_code=wire.CREATE.status)
async def create(stores: NamedDependency[VectorStores], data: JSONBody[wire.NewStore] = _UNNAMED) -> wire.Store:
    return await stores.create(data)


@get(wire.LIST.route)
async def listing(request: StrictRequest, stores: NamedDependency[VectorStores]) -> wire.StorePage:
    return await stores.listing(query(request, wire.PageQuery))


@get(wire.GET.route)
async def read(vector_store_id: FromPath[str], stores: NamedDependency[VectorStores]) -> wire.Store:
    return await stores.get(vector_store_id)


@post(wire.CHANGE.route, status_code=wire.CHANGE.status)
async def change(
    vector_store_id: FromPath[str], data: JSONBody[wire.StoreChange], stores: NamedDependency[VectorStores]
) -> wire.Store:
    return await stores.change(vector_store_id, data)


@delete(wire.DELETE.route, status_code=wire.DELETE.status)
async def remove(
    vector_store_id: FromPath[str], stores: NamedDependency[VectorStores], watching: NamedDependency[Watching]
) -> wire.StoreDeleted:
    """As a collection that is deleted, it is not watched any more."""
    collection = (await stores.card(vector_store_id)).collection
    deleted = await stores.delete(vector_store_id)
    await watching.forget(collection)
    return deleted


@post(wire.SEARCH.route, status_code=wire.SEARCH.status)
async def search(
    vector_store_id: FromPath[str], data: JSONBody[wire.StoreSearch], stores: NamedDependency[VectorStores]
) -> wire.StoreHits:
    return await stores.search(vector_store_id, data)


@post(wire.ATTACH.route, status_code=wire.ATTACH.status)
async def attach(
    vector_store_id: FromPath[str], data: JSONBody[wire.NewStoreFile], stores: NamedDependency[VectorStores]
) -> wire.StoreFile:
    return await stores.attach(vector_store_id, data)


@get(wire.STORE_FILES.route)
async def files(
    request: StrictRequest,
    vector_store_id: FromPath[str],
    stores: NamedDependency[VectorStores],
    store_files: NamedDependency[StoreFiles],
) -> wire.StoreFilePage:
    return await store_files.listing((await stores.card(vector_store_id)).collection, query(request, wire.PageQuery))


@get(wire.STORE_FILE.route)
async def file(
    vector_store_id: FromPath[str],
    file_id: FromPath[str],
    stores: NamedDependency[VectorStores],
    store_files: NamedDependency[StoreFiles],
) -> wire.StoreFile:
    return await store_files.get((await stores.card(vector_store_id)).collection, file_id)


@post(wire.CHANGE_FILE.route, status_code=wire.CHANGE_FILE.status)
async def change_file(
    vector_store_id: FromPath[str],
    file_id: FromPath[str],
    data: JSONBody[wire.StoreFileChange],
    stores: NamedDependency[VectorStores],
) -> wire.StoreFile:
    return await stores.change_file(vector_store_id, file_id, data)


@delete(wire.DETACH.route, status_code=wire.DETACH.status)
async def detach(
    vector_store_id: FromPath[str],
    file_id: FromPath[str],
    stores: NamedDependency[VectorStores],
    store_files: NamedDependency[StoreFiles],
) -> wire.StoreFileDeleted:
    return await store_files.detach((await stores.card(vector_store_id)).collection, file_id)


ROUTES = [create, listing, read, change, remove, search, attach, files, file, change_file, detach]
