"""Documents handed over: as JSON or as the files of a form."""

from litestar import delete, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath

from rag_indexer.domain.uploads import NewUpload, Uploads
from sage_chassis.bodies import StrictRequest, convert, query
from sage_contracts import uploads as wire
from sage_contracts.errors import InvalidRequest
from sage_contracts.index import CollectionQuery


@post(wire.UPLOAD.route, status_code=wire.UPLOAD.status)
async def upload(request: StrictRequest, uploads: NamedDependency[Uploads]) -> wire.Uploaded:
    """Nothing is kept when one of the documents is refused."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        asked = query(request, wire.UploadQuery)
        return await uploads.add(await _files(request, uploads), asked.collection, wait=asked.wait)
    body = convert(await request.json(), wire.UploadRequest)
    return await uploads.add(uploads.accepted(body.documents), body.collection, wait=body.wait)


@get(wire.LIST.route)
async def listing(request: StrictRequest, uploads: NamedDependency[Uploads]) -> wire.DocumentList:
    return await uploads.listing(query(request, CollectionQuery).collection)


@get(wire.GET.route)
async def read(
    request: StrictRequest, document_id: FromPath[str], uploads: NamedDependency[Uploads]
) -> wire.DocumentInfo:
    return await uploads.get(document_id, query(request, CollectionQuery).collection)


@delete(wire.DELETE.route, status_code=wire.DELETE.status)
async def remove(
    request: StrictRequest, document_id: FromPath[str], uploads: NamedDependency[Uploads]
) -> wire.DocumentDeleted:
    return await uploads.delete(document_id, query(request, CollectionQuery).collection)


async def _files(request: StrictRequest, uploads: Uploads) -> list[NewUpload]:
    form = await request.form()
    files = [value for name, value in form.multi_items() if name == "file" and isinstance(value, UploadFile)]
    if not files:
        raise InvalidRequest("the form has no part named file that is a file")
    return [uploads.document(file.filename, await file.read(), {}) for file in files]
