"""Files as OpenAI's SDKs hand them over."""

from litestar import Response, delete, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath

from rag_indexer.domain.files import Files
from rag_indexer.domain.vector_stores import VectorStores
from sage_chassis.bodies import StrictRequest, query
from sage_contracts import vector_stores as wire
from sage_contracts.errors import InvalidRequest


@post(wire.UPLOAD.route, status_code=wire.UPLOAD.status)
async def upload(request: StrictRequest, files: NamedDependency[Files]) -> wire.File:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidRequest("a file is sent as multipart/form-data, with the parts file and purpose")
    form = await request.form()
    if "expires_after[anchor]" in form or "expires_after" in form:
        raise InvalidRequest("files do not expire here: leave expires_after out", param="expires_after")
    sent = form.get("file")
    if not isinstance(sent, UploadFile):
        raise InvalidRequest("the form has no part named file that is a file", param="file")
    return await files.add(sent.filename, await sent.read(), str(form.get("purpose", "")))


@get(wire.FILES.route)
async def listing(request: StrictRequest, files: NamedDependency[Files]) -> wire.FilePage:
    return await files.listing(query(request, wire.FileQuery))


@get(wire.FILE.route)
async def read(file_id: FromPath[str], files: NamedDependency[Files]) -> wire.File:
    return await files.get(file_id)


@get(wire.FILE_CONTENT.route)
async def content(file_id: FromPath[str], files: NamedDependency[Files]) -> Response[bytes]:
    """As bytes to be saved: a browser must not show somebody's HTML as ours."""
    headers = {"content-disposition": "attachment", "x-content-type-options": "nosniff"}
    return Response(await files.content(file_id), media_type="application/octet-stream", headers=headers)


@delete(wire.DELETE_FILE.route, status_code=wire.DELETE_FILE.status)
async def remove(file_id: FromPath[str], stores: NamedDependency[VectorStores]) -> wire.FileDeleted:
    return await stores.delete_file(file_id)


ROUTES = [upload, listing, read, content, remove]
