"""Hand a folder's files to the gateway, for one that cannot read the folder itself."""

import base64
import hashlib
import unicodedata
from collections.abc import AsyncGenerator, Container, Iterator, Mapping
from pathlib import Path, PurePath

from sage_cli.api import API
from sage_cli.failures import Failed
from sage_contracts import index
from sage_contracts import uploads as wire
from sage_contracts.call import Call
from sage_contracts.errors import InvalidRequest
from sage_contracts.index import CollectionQuery
from sage_contracts.uploads import DocumentInfo, NewDocument, Uploaded, UploadRequest

UPLOAD = Call("POST", wire.UPLOAD.path, UploadRequest, Uploaded)
MOST_BYTES = 8 * 1024 * 1024
"""Of files a request, unless one alone is larger: the gateway takes bodies of 20 MiB, and base64 adds a third."""

MOST_FILES = 200
SECONDS = 600.0

NAME_BYTES, SUFFIX_BYTES = 200, 20
"""The gateway cuts names that are longer, and keeps no longer suffix."""


async def uploaded(api: API, folder: Path, collection: str | None) -> Uploaded:
    """
    Every file below `folder` that is not hidden, and no link that leads out of it; returns when they can be found.

    `skipped` names those that cannot, and why. Raises Failed where there is no file, one that cannot be read, or no
    index of them in the end.
    """
    documents: list[DocumentInfo] = []
    files, refused = listing(folder)
    taken: NewDocument | None = None
    for batch in batches(files):
        async for one, told in _sent(api, batch, collection):
            documents += told.documents
            refused += told.skipped
            taken = one if told.documents else taken
    if taken is None:
        raise Failed(refused[0] if refused else f"there is nothing to upload in {folder}")
    # Sent again, and waited for: whatever came before it is indexed then, too.
    last = await api.client.call(UPLOAD, _request([taken], collection, wait=True), timeout=SECONDS)
    status = await api.client.call(index.STATUS, CollectionQuery(collection=collection))
    if not last.indexed:
        raise Failed(f"{len(documents)} documents uploaded, and none indexed: {status.error or 'the build failed'}")
    left_out = status.index.skipped if status.index else []
    mine = [line for line in left_out if any(line.startswith(f"{one.path}: ") for one in documents)]
    return Uploaded(documents=documents, indexed=last.indexed, skipped=[*refused, *mine])


async def _sent(
    api: API, batch: list[NewDocument], collection: str | None
) -> AsyncGenerator[tuple[NewDocument, Uploaded]]:
    """What was answered, with a document that it is about. One that is refused must not keep the others out."""
    try:
        yield batch[-1], await api.client.call(UPLOAD, _request(batch, collection), timeout=SECONDS)
    except InvalidRequest as error:
        if len(batch) == 1:
            yield batch[0], Uploaded(documents=[], indexed=False, skipped=[error.message])
            return
        for one in batch:
            async for told in _sent(api, [one], collection):
                yield told


def _request(batch: list[NewDocument], collection: str | None, *, wait: bool = False) -> UploadRequest:
    return UploadRequest(documents=batch, collection=collection, wait=wait)


def listing(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Its files that are not hidden, by the names of their documents; and those left out, with the reason."""
    files: dict[str, Path] = {}
    taken: set[str] = set()
    left_out: list[str] = []
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        shown = str(inside).encode(errors="replace").decode()
        if shown != str(inside):
            left_out.append(f"{shown}: its name is not UTF-8")
        elif not path.resolve().is_relative_to(root):
            left_out.append(f"{shown}: leads outside the folder")
        else:
            name = _name(inside, taken)
            taken.add(name)
            files[name] = path
    return files, left_out


def batches(files: Mapping[str, Path]) -> Iterator[list[NewDocument]]:
    batch: list[NewDocument] = []
    size = 0
    for name, path in files.items():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Failed(f"{path} cannot be read: {error.strerror}") from error
        if batch and (size + len(content) > MOST_BYTES or len(batch) == MOST_FILES):
            yield batch
            batch, size = [], 0
        batch.append(NewDocument(name=name, content_base64=base64.b64encode(content).decode()))
        size += len(content)
    if batch:
        yield batch


def _name(inside: PurePath, taken: Container[str]) -> str:
    """
    A document's name cannot have folders, so they are part of it: `a/b.md` is `a--b.md`. A file without a suffix is a
    text, as the gateway would take it; said here, because of `a.b/LICENSE` it would read one in the folder's name.

    One that is taken, or that the gateway would cut, so that it could be another's, ends in a digest of the path.
    """
    name = _cleaned("--".join(inside.parts))
    if not PurePath(_cleaned(inside.name.replace("\\", "/"))).suffix:
        name += ".txt"
    if name not in taken and len(name.encode()) <= NAME_BYTES:
        return name
    suffix = PurePath(name).suffix
    suffix = suffix if len(suffix.encode()) <= SUFFIX_BYTES else ""
    end = f"-{hashlib.sha256(inside.as_posix().encode()).hexdigest()[:12]}{suffix}"
    stem = name.removesuffix(suffix).encode()[: NAME_BYTES - len(end.encode())].decode(errors="ignore")
    return f"{stem}{end}"


def _cleaned(name: str) -> str:
    """As the gateway would make it, but that a backslash stands for a folder, too."""
    normal = unicodedata.normalize("NFC", name).replace("\\", "--")
    return "".join(letter for letter in normal if unicodedata.category(letter)[0] != "C").strip().lstrip(".").strip()
