"""What `sage chat ingest` asks of the gateway, and how it tells what becomes of it."""

import asyncio
import base64
import json
import os
import pty
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from rag_indexer.domain.uploads import Uploads, clean_name
from sage_cli import uploading
from sage_cli.output import printable
from sage_contracts import errors, sse, uploads
from sage_contracts import index as wire
from sage_contracts.errors import SageError
from tests.cli.test_commands import sage
from tests.fakes.front_door import listening
from tests.fakes.injected import INJECTED
from tests.fakes.stack import SAGE

NOW = datetime(2026, 1, 2, tzinfo=UTC)
INDEX = wire.IndexInfo(
    num_documents=3,
    num_chunks=7,
    created_at=NOW,
    updated_at=NOW,
    embedding=wire.Embedding(encoder="e", dimensions=2),
    source_dir="/docs",
    skipped=["bad\x1b[2J\n9 documents.pdf: it is encrypted"],
)
JOB = wire.Job(id="j1", done=2, total=3, stage="indexing", chunks=5)
PROGRESS = wire.BuildEvent(event="progress", job=JOB)
DONE = wire.BuildEvent(event="done", index=INDEX)
PLAN = wire.Plan(
    add=[f"new{number}.md" for number in range(25)],
    change=["old.md"],
    move=[wire.Move(before="a.md", now="b.md")],
    delete=["gone.md"],
    unchanged=4,
    skipped=["x.bin: no format of ours"],
    files=26,
    bytes=2_500_000,
    chunks=70,
    seconds=3.0,
)


@dataclass
class Index:
    """A gateway with a build that goes as `events` tell; where those do not end, it goes on until it is cancelled."""

    events: list[msgspec.Struct | bytes] = field(default_factory=lambda: [PROGRESS, DONE])
    refusal: SageError | None = None
    status: wire.IndexStatus = field(default_factory=lambda: wire.IndexStatus(status="ready", index=INDEX))
    indexed: bool = True
    endless: bool = False
    url: str = ""
    asked: list[tuple[str, object]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        told: msgspec.Struct
        body = await request.read()
        self.asked.append((f"{request.method} {request.path_qs}", json.loads(body) if body else None))
        if self.refusal is not None:
            return answered(self.refusal.body(), self.refusal.status)
        match request.path.removeprefix("/admin/index/"):
            case "events":
                return await self._events(request)
            case "build":
                told = self._built(json.loads(body))
            case "cancel":
                told = wire.Cancelled(status="cancelled", message="the build is given up")
            case "watch":
                told = wire.Watching(status="stopped")
            case "documents":
                try:
                    told = self._uploaded(json.loads(body))
                except SageError as error:
                    return answered(error.body(), error.status)
            case _:
                told = self.status
        return answered(told)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for one in self.events:
            await response.write(one if isinstance(one, bytes) else sse.PING + sse.event(one))
        self.told.set()
        if self.endless:
            await asyncio.Event().wait()
        return response

    def _built(self, body: dict[str, object]) -> wire.Built:
        if body["dry_run"]:
            return wire.Built(status="planned", message="m", plan=PLAN)
        return wire.Built(status="building", message="m", job=JOB)

    def _uploaded(self, body: dict[str, list[dict[str, str]]]) -> uploads.Uploaded:
        for one in body["documents"]:
            if one["name"].endswith(".exe"):
                raise errors.InvalidRequest(f"{one['name']}: files that end in .exe cannot be read")
        documents = [
            uploads.DocumentInfo(
                id=one["name"],
                name=one["name"],
                path=f"uploads/{one['name']}",
                bytes=1,
                created_at=NOW,
                collection="docs",
            )
            for one in body["documents"]
        ]
        return uploads.Uploaded(documents=documents, indexed=self.indexed, skipped=[])


def answered(body: msgspec.Struct, status: int = 200) -> web.Response:
    return web.json_response(body=msgspec.json.encode(body), status=status)


@asynccontextmanager
async def running(index: Index) -> AsyncGenerator[Index]:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", index.handle)
    async with listening(app) as port:
        index.url = f"http://127.0.0.1:{port}"
        yield index


async def ingest(index: Index, folder: Path, *options: str) -> int:
    return await sage("chat", "ingest", str(folder), *options, "--api-base", index.url)


async def test_a_build_is_followed_to_its_end_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(Index()) as index:
        code = await ingest(index, tmp_path, "--collection", "c", "--force")
    told = capsys.readouterr()

    assert code == 0
    assert told.out == "3 documents, 7 passages: /docs\nskipped bad\ufffd[2J 9 documents.pdf: it is encrypted\n"
    assert told.err == ""
    assert [line for line, _ in index.asked] == [
        "POST /admin/index/build",
        "GET /admin/index/events?collection=c",
        "GET /admin/index/status?collection=c",
    ]
    assert index.asked[0][1] == {
        "source_dir": str(tmp_path),
        "force_rebuild": True,
        "wait": False,
        "collection": "c",
        "dry_run": False,
        "watch": False,
    }


async def test_a_program_is_told_the_collection_as_it_is_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(Index()) as index:
        code = await ingest(index, tmp_path, "--json")
    told = capsys.readouterr()

    assert (code, told.err) == (0, "")
    assert json.loads(told.out)["index"]["num_chunks"] == 7


async def test_a_dry_run_tells_what_would_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(Index()) as index:
        codes = [await ingest(index, tmp_path, "--dry-run"), await ingest(index, tmp_path, "--dry-run", "--json")]
    summary, *paths = capsys.readouterr().out.splitlines()

    assert codes == [0, 0]
    assert summary == "would read 26 files, 2.5 MB: about 70 passages, 3 s; 1 moved, 1 gone, 4 unchanged"
    assert paths[19:26] == [
        "+ new19.md",
        "+ and 5 more",
        "~ old.md",
        "> a.md -> b.md",
        "- gone.md",
        "skipped x.bin: no format of ours",
        "{",
    ]


@pytest.mark.parametrize(
    ("events", "status", "told"),
    [
        ([wire.BuildEvent(event="failed", message="the disk is full")], "ready", "the disk is full"),
        ([PROGRESS, wire.BuildEvent(event="cancelled")], "ready", "cancelled"),
        ([wire.BuildEvent(event="idle")], "failed", "it broke"),
        ([wire.BuildEvent(event="idle")], "not_found", "not_found"),
        ([PROGRESS], "ready", "stopped telling of the build"),
        ([b'data: {"error":{"message":"no such thing","code":"not_found","type":"x"}}\n\n'], "ready", "no such thing"),
        ([b"data: nonsense\n\n"], "ready", "words that are not known"),
    ],
)
async def test_a_build_that_does_not_end_well_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], events: list[msgspec.Struct | bytes], status: str, told: str
) -> None:
    found = wire.IndexStatus(
        status=status,  # type: ignore[arg-type]
        index=INDEX if status == "ready" else None,
        error="it broke" if status == "failed" else None,
    )
    async with running(Index(events=events, status=found)) as index:
        code = await ingest(index, tmp_path)
    said = capsys.readouterr()

    assert (code, said.out) == (1, "")
    assert told in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (errors.SourceRefused("outside of every root"), "outside of every root; with --upload the files are sent"),
        (errors.BuildRunning("build j0 is under way"), "build j0 is under way"),
    ],
)
async def test_a_refusal_is_told_in_the_gateways_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refusal: SageError, told: str
) -> None:
    async with running(Index(refusal=refusal)) as index:
        code = await ingest(index, tmp_path)

    assert (code, told in capsys.readouterr().err) == (1, True)


async def test_a_collection_is_watched_and_left_alone_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watched = wire.IndexStatus(status="ready", index=INDEX, watching=True)
    async with running(Index(status=watched)) as index:
        await ingest(index, tmp_path, "--watch")
        told = capsys.readouterr().err
        await ingest(index, tmp_path, "--no-watch")

    builds_asked = [body for line, body in index.asked if line == "POST /admin/index/build"]
    assert [body["watch"] for body in builds_asked if isinstance(body, dict)] == [True, False]
    assert "DELETE /admin/index/watch" in [line for line, _ in index.asked]
    assert "--no-watch" in told


@pytest.mark.slow
async def test_ctrl_c_gives_the_build_up(tmp_path: Path) -> None:
    async with running(Index(events=[PROGRESS], endless=True)) as index:
        process = await asyncio.create_subprocess_exec(
            *(SAGE, "chat", "ingest", tmp_path, "--api-base", index.url), stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            await index.told.wait()
            process.send_signal(signal.SIGINT)
            _, told = await process.communicate()

    assert (process.returncode, told.decode()) == (130, "the build is given up\n")
    assert index.asked[-1][0] == "POST /admin/index/cancel"


@pytest.mark.slow
async def test_on_a_terminal_there_is_a_bar(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    async with running(Index(events=[PROGRESS], endless=True)) as index:
        process = await asyncio.create_subprocess_exec(
            *(SAGE, "chat", "ingest", tmp_path, "--api-base", index.url),
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
        )
        os.close(theirs)
        shown = await asyncio.wait_for(asyncio.to_thread(_until, ours, b"5 passages"), 60)
        process.send_signal(signal.SIGINT)
        await process.wait()
    os.close(ours)

    assert b"indexing" in shown
    assert b"2/3" in shown


def _until(descriptor: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        shown += os.read(descriptor, 4096)
    return shown


async def test_files_are_uploaded_by_their_path_in_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    for name in ("a.md", "sub/b.md", ".hidden", "sub/.git/config"):
        (tmp_path / name).write_text(name)
    async with running(Index()) as index:
        code = await ingest(index, tmp_path, "--upload", "-c", "c")

    sent: list[Any] = [body for line, body in index.asked if line == "POST /admin/index/documents"]
    assert (code, capsys.readouterr().out) == (0, "2 documents uploaded\n")
    assert [(body["collection"], body["wait"], len(body["documents"])) for body in sent] == [
        ("c", False, 2),
        ("c", True, 1),
    ]
    assert [(one["name"], base64.b64decode(one["content_base64"])) for one in sent[0]["documents"]] == [
        ("a.md", b"a.md"),
        ("sub--b.md", b"sub/b.md"),
    ]


async def test_a_file_that_is_refused_keeps_no_other_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.md", "b.exe", "c.pdf"):
        (tmp_path / name).write_text(name)
    skipping = msgspec.structs.replace(INDEX, skipped=["uploads/c.pdf: broken", "uploads/other.pdf: broken"])
    async with running(Index(status=wire.IndexStatus(status="ready", index=skipping))) as index:
        code = await ingest(index, tmp_path, "--upload")

    assert (code, capsys.readouterr().out.splitlines()) == (
        0,
        [
            "2 documents uploaded",
            "skipped b.exe: files that end in .exe cannot be read",
            "skipped uploads/c.pdf: broken",
        ],
    )


async def test_no_link_leads_out_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "a.md").write_text("a")
    (folder / "n.md").symlink_to("../secret")
    (folder / "sub" / "same.md").symlink_to("../a.md")
    (folder / "out").symlink_to(tmp_path)
    async with running(Index()) as index:
        await ingest(index, folder, "--upload")

    sent: Any = index.asked[0][1]
    assert [one["name"] for one in sent["documents"]] == ["a.md", "sub--same.md"]
    assert "skipped n.md: leads outside the folder" in capsys.readouterr().out.splitlines()


def test_no_two_files_are_one_document(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 150) / ("\u65e5" * 40)
    deep.mkdir(parents=True)
    (tmp_path / "a").mkdir()
    paths = [tmp_path / "a" / "b.md", tmp_path / "a--b.md", deep / "one.md", deep / "two.md"]
    for path in paths:
        path.write_text("x")

    files, left_out = uploading.listing(tmp_path)

    assert (sorted(files.values()), left_out) == (sorted(paths), [])
    assert {clean_name(name) for name in files} == files.keys()
    assert "a--b.md" in files
    assert all(name.endswith(".md") for name in files)
    assert uploading.listing(tmp_path) == (files, left_out)


@pytest.mark.parametrize(
    "names",
    [
        ("LICENSE", "LICENSE.txt"),
        ("a.b/LICENSE", "a.b/c.d/notes.", "a.b--LICENSE.txt", "a.b\\README"),
        ("caf\u00e9.md", "cafe\u0301.md"),
        ("a\\b.md", "b.md", "a--b.md"),
        ("a\u200db.md", "ab.md", " ab.md", "ab.md "),
    ],
)
def test_files_whose_names_the_gateway_makes_alike_are_documents_of_their_own(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    gateway = Uploads(None, None, suffixes={".md", ".txt"}, max_bytes=100)  # type: ignore[arg-type]

    files, _ = uploading.listing(tmp_path)

    assert len({gateway.document(name, b"", {}).name for name in files}) == len(names)
    assert {clean_name(name) for name in files} == files.keys()


def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("x")

    assert uploading.listing(tmp_path) == ({}, ["caf?.md: its name is not UTF-8"])


async def test_what_is_uploaded_and_not_indexed_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.md").write_text("a")
    failed = wire.IndexStatus(status="failed", error="the encoder is away")
    async with running(Index(indexed=False, status=failed)) as index:
        code = await ingest(index, tmp_path, "--upload")

    assert code == 1
    assert "1 documents uploaded, and none indexed: the encoder is away" in capsys.readouterr().err


def test_no_request_is_too_large(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.md").write_bytes(bytes(3_000_000))
    (tmp_path / "9.md").write_bytes(bytes(9_000_000))
    for number in range(uploading.MOST_FILES):
        (tmp_path / f"small{number:03}").write_text("x")
    counts = [len(batch) for batch in uploading.batches(uploading.listing(tmp_path)[0])]

    assert counts == [2, 2, 1, 1, 200]


@pytest.mark.parametrize("options", [("--upload", "--watch"), ("--upload", "--dry-run"), ("--upload", "--force")])
async def test_what_does_not_go_together_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    async with running(Index()) as index:
        code = await ingest(index, tmp_path, *options)

    assert (code, index.asked) == (2, [])


async def test_nothing_to_upload_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(Index()) as index:
        empty = await ingest(index, tmp_path, "--upload")
        (tmp_path / "b.exe").write_text("x")
        refused = await ingest(index, tmp_path, "--upload")
    told = capsys.readouterr().err

    assert (empty, refused) == (1, 1)
    assert "nothing to upload" in told
    assert "b.exe: files that end" in told


@pytest.mark.parametrize("name", INJECTED)
def test_a_terminal_obeys_no_document(name: str) -> None:
    told = printable(INJECTED[name])

    assert all(one in "\n\t" or one.isprintable() or one > "\u2000" for one in told)
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(told)
