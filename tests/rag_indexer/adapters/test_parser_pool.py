"""Files are read by processes that can be lost: each bad one is named with its reason, and the next one is read."""

import asyncio
import io
import os
import signal
import struct
import sys
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from rag_indexer.adapters import file_formats
from rag_indexer.adapters.parser_pool import ParserLimits, ParserPool, parser_pool
from rag_indexer.domain.documents import Document
from rag_indexer.domain.ports import Parser, Unreadable
from sage_contracts.errors import Unavailable
from tests.rag_indexer import files

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20


def limits(*, processes: int = 1, megabytes: int = 300, seconds: int = 20, idle_seconds: float = 30.0) -> ParserLimits:
    """Generous by the clock: many tests may share the processor."""
    return ParserLimits(processes, megabytes, seconds, idle_seconds, clock_factor=60)


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with parser_pool(limits()) as opened:
        yield opened


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if is_parser(child)]


def is_parser(child: psutil.Process) -> bool:
    try:
        return any("parser_child" in word for word in child.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return False


def has_worked(child: psutil.Process, seconds: float) -> bool:
    try:
        return child.cpu_times().user > seconds
    except psutil.NoSuchProcess:
        return False


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


async def reason(pool: Parser, path: str, data: bytes) -> str:
    with pytest.raises(Unreadable) as raised:
        await pool.parse(path, data)
    return str(raised.value)


async def test_what_it_reads_is_what_is_read_here(pool: ParserPool) -> None:
    data = b"---\ntags: [x]\n---\n# A\n\nwords\n"

    assert await pool.parse("a/b.md", data) == file_formats.read("a/b.md", data)
    assert await pool.parse("b.pdf", files.pdf([["words"]])) == file_formats.read("b.pdf", files.pdf([["words"]]))


async def test_many_files_at_once_come_back_each_to_who_asked() -> None:
    async with parser_pool(limits(processes=2)) as pool:
        texts = [f"# Title {number}\n\nwords {number}\n" for number in range(200)]
        documents = await asyncio.gather(*(pool.parse("a.md", text.encode()) for text in texts))

        assert [document.title for document in documents] == [f"Title {number}" for number in range(200)]
        assert len(children()) == 2


async def test_no_process_runs_before_the_first_file_and_none_long_after_the_last() -> None:
    async with parser_pool(limits(idle_seconds=0.2)) as pool:
        before = len(children())
        await pool.parse("a.md", b"words")
        during = len(children())
        await until(lambda: not children())
        again = await pool.parse("a.md", b"words")

    assert (before, during) == (0, 1)
    assert isinstance(again, Document)
    assert children() == []


async def test_a_child_is_small_polite_and_knows_nothing_of_ours(pool: ParserPool) -> None:
    os.environ["SAGE_RAG_INDEXER_QDRANT_API_KEY"] = "secret"
    with Path("/dev/null").open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        await pool.parse("a.md", b"words")
        (child,) = children()
        del os.environ["SAGE_RAG_INDEXER_QDRANT_API_KEY"]

        assert child.environ().keys() == {"PYTHONPATH", "LC_ALL"}
        assert child.nice() >= 10
        assert child.cwd() == "/"
        assert {opened.fd for opened in child.open_files()} <= {0, 1, 2}
        assert child.num_fds() <= 4
        assert child.memory_info().rss < 80 * MEGABYTE
        for path, data in [("b.pdf", files.pdf([["words"]])), ("c.docx", files.word()), ("d.html", b"<p>words")]:
            await pool.parse(path, data)
        assert child.memory_info().rss < 80 * MEGABYTE


def zip_bomb() -> bytes:
    return files.word_with(b"<w:p>" + b" " * 60 * MEGABYTE)


def lying_zip_bomb() -> bytes:
    """Its directory says that the part is small."""
    data = bytearray(files.word_with(b"<w:p>" + b"<w:r></w:r>" * 2 * MEGABYTE))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    return bytes(data.replace(struct.pack("<I", size), struct.pack("<I", 1_000)))


def pdf_bomb() -> bytes:
    return files.plain_pdf([["x"]], {0: zlib.compress(b" " * 200 * MEGABYTE, 1)})


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        ("bomb.docx", zip_bomb, "ZIP bomb"),
        ("liar.docx", lying_zip_bomb, "broken"),
        ("laughs.docx", lambda: files.word_with(files.billion_laughs()), "broken|no text"),
        ("bomb.pdf", pdf_bomb, "broken|memory|seconds|crashes|no text"),
        ("locked.pdf", lambda: files.pdf([["secret"]], password="key"), "encrypted"),
        ("broken.pdf", lambda: files.pdf([["words"]])[:500], "broken PDF"),
        ("deep.py", lambda: b"-" * 200_000 + b"1", None),
        ("deep.json", lambda: b"[" * 200_000, None),
        ("deep.ipynb", lambda: b'{"cells": ' + b"[" * 200_000, "no cells"),
        ("deep.html", lambda: b"<div>" * 15_000 + b"words", None),
        ("deep.md", lambda: b"> " * 100_000 + b"words\n" + b"- " * 100_000 + b"words", None),
        ("brackets.md", lambda: b"[" * 500_000 + b"](" * 100_000, None),
        (
            "ticks.md",
            lambda: b"a " + b"".join(b"`" * (number % 900) + b" " for number in range(4_000)) + b"<!-- x -->",
            None,
        ),
        ("quotes.json", lambda: b'"\\' * 1_000_000, None),
        ("quotes.csv", lambda: b'a,b\n"' + b'x,""' * 500_000, None),
        ("lines.md", lambda: b"a line of words\n" * 100_000, None),
        ("headings.md", lambda: b"# a\n" * 20_000, None),
        ("lines.py", lambda: b"x = 1\n" * 50_000, None),
        ("items.rst", lambda: b".. a\n\n" * 50_000 + b"words", None),
        ("binary.txt", lambda: b"\0\1\2", "binary, not text"),
        ("empty.md", lambda: b"", "empty"),
        ("latin.txt", lambda: b"na\xefve", "not UTF-8"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
async def test_a_file_made_to_do_harm_is_refused_by_name_or_read_in_time_and_the_next_is_read(
    path: str, data: Callable[[], bytes], told: str | None
) -> None:
    async with parser_pool(limits(seconds=5)) as pool:
        try:
            await pool.parse(path, data())
            why = None
        except Unreadable as refused:
            why = str(refused)

        assert (why is None) if told is None else (why is not None and any(part in why for part in told.split("|")))
        assert (await pool.parse("next.md", b"# Next\n")).title == "Next"


async def test_one_line_of_fifty_megabytes_is_read_and_the_child_that_has_grown_over_it_is_replaced() -> None:
    async with parser_pool(limits(megabytes=512)) as pool:
        await pool.parse("a.md", b"words")
        (before,) = children()
        after_it = [asyncio.create_task(pool.parse("a.md", data)) for data in (b"word " * 10_000_000, b"# Next\n")]
        document, following = await asyncio.gather(*after_it)
        (now,) = children()

        assert len(document.chunks) > 30_000
        assert following.title == "Next"
        assert now.pid != before.pid
        assert now.memory_info().rss < 80 * MEGABYTE


async def test_a_file_that_needs_more_memory_than_there_is_says_so() -> None:
    async with parser_pool(limits(megabytes=64)) as pool:
        assert "more than 64 MB" in await reason(pool, "a.txt", b"words " * 5_000_000)
        assert (await pool.parse("next.md", b"# Next\n")).title == "Next"


SLOW_PAGE = b"<div>" * 200_000 + b"words"
"""Each element is looked for among all that are open: half a minute."""


async def test_the_system_ends_what_takes_too_much_of_the_processor() -> None:
    async with parser_pool(limits(seconds=1)) as pool:
        assert await reason(pool, "slow.html", SLOW_PAGE) == "reading it takes more than 1 seconds"
        assert (await pool.parse("next.md", b"# Next\n")).title == "Next"


async def test_a_child_that_hangs_is_replaced(pool: ParserPool) -> None:
    async with parser_pool(ParserLimits(processes=1, megabytes=300, seconds=1, clock_factor=4)) as hasty:
        await hasty.parse("a.md", b"words")
        (child,) = children()
        child.suspend()
        why = await reason(hasty, "b.md", b"words")
        after = await hasty.parse("c.md", b"words")

    assert why == "not read within 4 seconds"
    assert isinstance(after, Document)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_child_that_is_killed_costs_no_file(pool: ParserPool) -> None:
    await pool.parse("a.md", b"words")
    (child,) = children()
    child.suspend()
    waiting = [asyncio.create_task(pool.parse(f"{number}.md", b"# Title\n")) for number in range(20)]
    await asyncio.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)

    assert {document.title for document in await asyncio.gather(*waiting)} == {"Title"}


async def test_a_file_that_kills_its_child_twice_is_named(pool: ParserPool) -> None:
    task = asyncio.create_task(reason(pool, "b.md", b"# a\n" * 200_000))
    for _ in range(2):
        await until(lambda: any(has_worked(child, 0.5) for child in children()))  # it is reading
        (child,) = children()
        os.kill(child.pid, signal.SIGSEGV)
        await until(lambda gone=child.pid: gone not in {one.pid for one in children()})  # type: ignore[misc]

    assert await task == "broken: the parser crashes (SIGSEGV)"
    assert (await pool.parse("next.md", b"# Next\n")).title == "Next"


async def test_a_caller_who_leaves_does_not_stop_the_others(pool: ParserPool) -> None:
    await pool.parse("a.md", b"words")
    tasks = [asyncio.create_task(pool.parse("b.md", b"# Title\n")) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()

    assert [document.title for document in await asyncio.gather(*tasks[1:])] == ["Title"] * 9


async def test_closing_ends_its_processes_and_tells_who_waits() -> None:
    async with parser_pool(limits()) as pool:
        await pool.parse("a.md", b"words")
        (child,) = children()
        child.suspend()
        waiting = [asyncio.create_task(pool.parse("b.md", b"words")) for _ in range(40)]
        await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert children() == []


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
async def test_a_parser_that_cannot_start_is_the_services_fault_and_no_files(
    python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with parser_pool(limits()) as pool:
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(sys, "executable", python)
            with pytest.raises(Unavailable, match="no parser can be started"):
                await pool.parse("a.md", b"words")

        assert (await pool.parse("next.md", b"# Next\n")).title == "Next"


async def test_it_is_a_parser_with_the_fingerprint_of_its_formats(pool: ParserPool) -> None:
    parser: Parser = pool

    assert parser.fingerprint == file_formats.fingerprint()
    assert {".md", ".pdf", ".docx", ".html", ".ipynb", ".csv", ".json", ".py", ".rst", ".txt"} <= parser.suffixes
