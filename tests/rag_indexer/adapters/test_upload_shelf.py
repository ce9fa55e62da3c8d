"""Uploads on disk, changed by many at once."""

import asyncio
from pathlib import Path

from rag_indexer.adapters.upload_shelf import UploadShelf
from rag_indexer.domain.uploads import NewUpload, upload_id

KEY = upload_id("docs", "a.md")


async def test_of_many_that_put_one_document_at_once_one_is_whole_and_the_others_leave_nothing(tmp_path: Path) -> None:
    shelves = [UploadShelf(tmp_path), UploadShelf(tmp_path)]  # as two processes would have
    await asyncio.gather(
        *(shelves[n % 2].put("docs", KEY, NewUpload("a.md", b"%d" % (n % 3), {"n": n % 3})) for n in range(30))
    )
    (upload,) = await shelves[0].listing("docs")

    assert await shelves[0].read("docs", KEY) == str(upload.meta["n"]).encode()
    assert len(list((tmp_path / "docs").glob(f"{KEY}.*"))) == 2


async def test_a_document_that_is_put_and_deleted_at_once_leaves_nothing_of_itself(tmp_path: Path) -> None:
    shelf = UploadShelf(tmp_path)
    for _ in range(6):
        puts = [shelf.put("docs", KEY, NewUpload("a.md", b"%d" % n, {})) for n in range(4)]
        await asyncio.gather(*puts, *(shelf.delete("docs", KEY) for _ in range(4)))
        await shelf.delete("docs", KEY)

    assert list((tmp_path / "docs").glob(f"{KEY}.*")) == []
