"""Read files in processes of their own, with limits: one made to do harm is refused by name, and harms nobody."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import msgspec

from rag_indexer.adapters import file_formats
from rag_indexer.adapters.parser_child import ANSWER, REQUEST, Answer
from rag_indexer.domain.documents import Document
from rag_indexer.domain.ports import Unreadable
from sage_contracts.errors import Unavailable

CHILD = "rag_indexer.adapters.parser_child"
START_SECONDS = 60.0
IDLE_SECONDS = 30.0
CLOCK_FACTOR = 5
"""How much longer than its time of the processor a file may take by the clock: it gets what nobody else wants."""
MAX_ANSWER = 256 << 20
BATCH = 16
BATCH_BYTES = 256 << 10
_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """`seconds` is the processor's time for one file; `megabytes` all that a process may have."""

    processes: int
    megabytes: int
    seconds: int
    idle_seconds: float = IDLE_SECONDS
    clock_factor: int = CLOCK_FACTOR

    @property
    def clock_seconds(self) -> int:
        return self.seconds * self.clock_factor


@dataclass(slots=True)
class _Job:
    path: str
    data: bytes
    answer: asyncio.Future[Document]
    tried: bool = False

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def take(self, answer: Answer) -> None:
        if self.answer.done():
            return
        if answer.document is not None:
            self.answer.set_result(answer.document)
        else:
            self.answer.set_exception(Unreadable(answer.reason or "broken"))


class _ChildGone(Exception):
    pass


class ParserPool:
    """
    A Parser. Its processes are started when there is something to read, and ended when there has been nothing for long.

    `parse` raises Unavailable, and not Unreadable, when no process can be started: that is no file's fault.
    """

    def __init__(self, limits: ParserLimits) -> None:
        self._limits = limits
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle = 0
        self._closed = False
        self._fingerprint = file_formats.fingerprint()

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def suffixes(self) -> frozenset[str]:
        return frozenset(file_formats.SUFFIXES)

    async def parse(self, path: str, data: bytes) -> Document:
        job = _Job(path, data, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        self._summon()
        return await job.answer

    async def close(self) -> None:
        """End every process; whoever still waits for a file is told that the service is stopping."""
        self._closed = True
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        while not self._jobs.empty():
            self._jobs.get_nowait().refuse(_stopping())

    def _summon(self) -> None:
        if self._closed or self._jobs.qsize() <= self._idle or len(self._workers) >= self._limits.processes:
            return
        worker = asyncio.create_task(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        # What came in while it was about to end would otherwise wait for the next file.
        if not self._jobs.empty():
            self._summon()

    async def _work(self) -> None:
        child: _Child | None = None
        try:
            while (job := await self._next()) is not None:
                child = await self._read([job, *self._more(len(job.data))], child)
        finally:
            if child is not None:
                await child.end()

    async def _next(self) -> _Job | None:
        """None when there was nothing for long."""
        self._idle += 1
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                return await self._jobs.get()
        except TimeoutError:
            return None
        finally:
            self._idle -= 1

    def _more(self, size: int) -> list[_Job]:
        """This worker's share of the small files that wait: a batch saves it the time between two of them."""
        found: list[_Job] = []
        share = min(BATCH, self._jobs.qsize() // self._limits.processes)
        while len(found) < share and size < BATCH_BYTES:
            found.append(self._jobs.get_nowait())
            size += len(found[-1].data)
        return found

    async def _read(self, batch: Sequence[_Job], child: "_Child | None") -> "_Child | None":
        """Every job of the batch gets its answer, whatever becomes of the child; the child that may be used again."""
        left = deque(batch)
        try:
            while left:
                if child is None:
                    child = await _Child.start(self._limits)
                child = await self._read_with(child, left)
        except Unavailable as error:
            for job in left:
                job.refuse(error)
            return None
        except BaseException:
            if child is not None:
                await child.end()
            for job in left:
                job.refuse(_stopping())
            raise
        return child

    async def _read_with(self, child: "_Child", left: deque[_Job]) -> "_Child | None":
        """Until all are read, or the child is gone: then None, and `left` is what the next child is to read."""
        child.send(left)
        answered = 0
        while left:
            job = left[0]
            try:
                async with asyncio.timeout(self._limits.clock_seconds):
                    answer = await child.receive()
            except TimeoutError:
                await child.end()
                left.popleft().refuse(Unreadable(f"not read within {self._limits.clock_seconds} seconds"))
                return None
            except _ChildGone:
                code = await child.end()
                if code == 0 and answered:
                    return None  # it has grown, and asks to be replaced
                if code in _TOO_SLOW:
                    left.popleft().refuse(Unreadable(f"reading it takes more than {self._limits.seconds} seconds"))
                elif job.tried:
                    left.popleft().refuse(Unreadable(f"broken: the parser crashes ({_named(code)})"))
                job.tried = True  # the first time it may have been killed for somebody else's sake
                return None
            left.popleft().take(answer)
            answered += 1
        return child


@asynccontextmanager
async def parser_pool(limits: ParserLimits) -> AsyncGenerator[ParserPool]:
    pool = ParserPool(limits)
    try:
        yield pool
    finally:
        await pool.close()


class _Child:
    """One process. What is sent is answered in order; `receive` raises _ChildGone when no answer will come."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, limits: ParserLimits) -> "_Child":
        command = [sys.executable, "-B", "-P", "-m", CHILD, str(limits.megabytes), str(limits.seconds)]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_environment(), cwd="/", start_new_session=True
            )
        except OSError as error:
            raise Unavailable(f"no parser can be started: {error}", retry_after=_RETRY_SECONDS) from error
        child = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                await child.receive()
        except (TimeoutError, _ChildGone) as error:
            code = await child.end()
            reason = f"no parser can be started: it ended at once ({_named(code)})"
            raise Unavailable(reason, retry_after=_RETRY_SECONDS) from error
        except BaseException:
            await child.end()
            raise
        return child

    def send(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            path = job.path.encode("utf-8", "surrogateescape")
            self._stdin.write(REQUEST.pack(len(path), len(job.data)) + path)
            self._stdin.write(job.data)

    async def receive(self) -> Answer:
        try:
            (size,) = ANSWER.unpack(await self._stdout.readexactly(ANSWER.size))
            if size == 0:
                return Answer()
            if size > MAX_ANSWER:
                raise _ChildGone
            return msgspec.msgpack.decode(await self._stdout.readexactly(size), type=Answer)
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError) as error:
            raise _ChildGone from error

    async def end(self) -> int:
        """Its exit code, negative for a signal. One that still runs is killed: it has nothing to lose."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._process.returncode is None and not self._stdout.at_eof() else 1):
                return await self._process.wait()
        with suppress(ProcessLookupError):
            self._process.kill()
        self._stdin.close()
        return await self._process.wait()

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        return self._process.stdin

    @property
    def _stdout(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        return self._process.stdout


_TOO_SLOW = frozenset({-signal.SIGXCPU})


def _environment() -> dict[str, str]:
    """Where Python finds what it needs, and nothing else of ours: no key, no address."""
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "LC_ALL": "C.UTF-8"}


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _stopping() -> Unavailable:
    return Unavailable("the service is stopping", retry_after=_RETRY_SECONDS)
