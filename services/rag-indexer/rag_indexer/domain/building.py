"""One build, from a folder to a served index."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import msgspec

from rag_indexer.domain import manifest, planning
from rag_indexer.domain.manifest import Manifest
from rag_indexer.domain.planning import Plan
from rag_indexer.domain.ports import Draft, Folder, Passages, Record, Unreadable
from rag_indexer.domain.progress import Progress
from rag_indexer.domain.reading import Parsed, Reading, Scanned
from sage_contracts.errors import StoreUnavailable, Unavailable

AHEAD = 32
"""Files that are being parsed while those before them are encoded and stored."""
AHEAD_BYTES = 16 * 1024 * 1024
"""And how much they may be together, but for a single one."""
BATCH_CHUNKS = 128
BATCH_FILES = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    status: Literal["built", "updated", "already_exists"]
    message: str
    record: Record


@dataclass(frozen=True, slots=True)
class Clock:
    """`utc` is for what users read, `monotonic` for durations."""

    utc: Callable[[], datetime]
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What is to be built. `chosen` when a request named the folder, `force` to read even what has not changed.

    `before` is the folder of the index that there was when this was asked for; None when there was none.
    """

    collection: str
    folder: Folder
    chosen: bool
    force: bool
    before: str | None


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is, what there was, and so what is to be done. `base` is None when nothing of before can be used."""

    base: Record | None
    before: Manifest
    found: Scanned
    plan: Plan

    @property
    def skipped(self) -> list[str]:
        """What the index lacks now, with reasons; of new files that is not known yet."""
        return _bounded(sorted([*self.found.skipped, *manifest.unreadable(self.before)]))


class Building:
    """Turns one folder into the next state of an index; what goes wrong leaves the version before it served."""

    def __init__(self, reading: Reading, clock: Clock) -> None:
        self._reading = reading
        self._clock = clock

    @property
    def fingerprint(self) -> str:
        return self._reading.fingerprint

    async def survey(self, passages: Passages, wanted: Wanted, progress: Progress) -> Survey:
        """Reads what may have changed, and changes nothing."""
        record = await passages.record()
        comparable = record is not None and record.fingerprint == self._reading.fingerprint and not wanted.force
        before = await passages.manifest() if comparable else {}
        now = self._clock.utc().timestamp()
        found = await self._reading.scanned(wanted.folder, before, now, progress.scanned)
        return Survey(record if comparable else None, before, found, planning.plan(before, found.hashes))

    async def run(self, passages: Passages, wanted: Wanted, progress: Progress) -> Outcome:
        if await passages.unfinished(self._reading.fingerprint):
            # A rebuild that was broken off goes on, whoever asks.
            wanted = replace(wanted, force=True)
        survey = await self.survey(passages, wanted, progress)
        if survey.base and _is_current(survey.base, survey, wanted.folder):
            await self._note(passages, survey.found)
            return Outcome("already_exists", f"nothing in {wanted.folder.path} has changed", survey.base)
        survey, dimensions = await self._fitting(survey, passages, wanted, progress)
        fresh = survey.base is None
        # A task of its own: broken off half-way, it would leave a draft that nobody knows of.
        drafting = asyncio.create_task(
            passages.draft(fresh=fresh, fingerprint=self._reading.fingerprint, dimensions=dimensions)
        )
        try:
            draft = await asyncio.shield(drafting)
            plan = planning.plan(draft.files, survey.found.hashes)
            skipped = await self._fill(draft, wanted, plan, survey.found, progress)
            made = _Made(draft.files, skipped, dimensions, progress.speed(self._clock.monotonic()))
            published = self._record(wanted, made, survey.base)
            progress.publishing()
            await draft.publish(published)
        except BaseException as error:
            await _ended(drafting, error, progress)
            raise
        if fresh:
            return Outcome("built", f"{published.num_documents} files, {published.num_chunks} passages", published)
        await self._note(passages, survey.found)
        return Outcome("updated", _changes(survey.plan), published)

    async def _fitting(
        self, survey: Survey, passages: Passages, wanted: Wanted, progress: Progress
    ) -> tuple[Survey, int]:
        """The encoder is asked only where there is something to encode: what is gone must go while it is away, too."""
        if survey.base is not None and not survey.plan.read:
            return survey, survey.base.dimensions
        dimensions = await self._reading.encoder.dimensions()
        if survey.base is not None and survey.base.dimensions != dimensions:
            # An engine that is called as before, but makes other vectors: they do not fit into what there is.
            survey = await self.survey(passages, replace(wanted, force=True), progress)
        return survey, dimensions

    async def _fill(self, draft: Draft, wanted: Wanted, plan: Plan, found: Scanned, progress: Progress) -> list[str]:
        """What could not be read, with reasons, beside what the manifest says of that."""
        progress.planned(
            kept=len(plan.kept),
            chunks=sum(draft.files[path].chunks for path in plan.kept),
            total=len(found.files),
            bytes_to_read=sum(found.files[path].size for path in plan.read),
            now=self._clock.monotonic(),
        )
        for before, path in plan.moved:
            state = msgspec.structs.replace(found.files[path], chunks=draft.files[before].chunks)
            await draft.put([self._reading.moved(path, state, await draft.entries(before))])
            progress.indexed(0, state.chunks)
        await draft.remove([*plan.removed, *(before for before, _ in plan.moved)])
        skipped = list(found.skipped)
        pending: list[Parsed] = []
        async with aclosing(self._parsed(wanted, plan.read, found)) as parsed:
            async for path, file in parsed:
                if isinstance(file, Unreadable):
                    skipped.append(f"{path}: {file}")
                    await draft.remove([path])
                    continue
                pending.append(file)
                if len(pending) >= BATCH_FILES or sum(one.state.chunks for one in pending) >= BATCH_CHUNKS:
                    await self._store(draft, pending, progress)
                    pending = []
        await self._store(draft, pending, progress)
        return skipped

    async def _store(self, draft: Draft, files: list[Parsed], progress: Progress) -> None:
        if files:
            await draft.put(await self._reading.made(files))
        for file in files:
            progress.indexed(file.state.size, file.state.chunks)

    async def _parsed(
        self, wanted: Wanted, paths: list[str], found: Scanned
    ) -> AsyncGenerator[tuple[str, Parsed | Unreadable]]:
        """In order, a few ahead of what is asked for."""
        tasks: deque[tuple[str, asyncio.Task[Parsed]]] = deque()
        rest = deque(paths)
        size = 0
        try:
            while rest or tasks:
                while rest and (not tasks or (len(tasks) < AHEAD and size + found.files[rest[0]].size <= AHEAD_BYTES)):
                    path = rest.popleft()
                    now = self._clock.utc().timestamp()
                    work = self._reading.parsed(wanted.folder, path, collection=wanted.collection, now=now)
                    tasks.append((path, asyncio.create_task(work)))
                    size += found.files[path].size
                path, task = tasks.popleft()
                size -= found.files[path].size
                try:
                    yield path, await task
                except Unreadable as reason:
                    yield path, reason
        finally:
            for _, task in tasks:
                task.cancel()
            await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)

    def _record(self, wanted: Wanted, made: "_Made", base: Record | None) -> Record:
        now = self._clock.utc()
        return Record(
            fingerprint=self._reading.fingerprint,
            encoder=self._reading.encoder.name,
            dimensions=made.dimensions,
            source_dir=wanted.folder.path,
            chosen=wanted.chosen,
            num_documents=manifest.documents(made.files),
            num_chunks=manifest.chunks(made.files),
            num_bytes=sum(state.size for state in made.files.values()),
            created_at=base.created_at if base else now,
            updated_at=now,
            skipped=_bounded(sorted([*made.skipped, *manifest.unreadable(made.files)])),
            bytes_per_second=made.bytes_per_second or (base.bytes_per_second if base else None),
        )

    async def _note(self, passages: Passages, found: Scanned) -> None:
        """Remember the stamps of unchanged files, so that the next build need not read them."""
        files = await passages.manifest()
        await passages.note(
            {
                path: msgspec.structs.replace(files[path], stamp=state.stamp)
                for path, state in found.files.items()
                if path in files and files[path].hash == state.hash and files[path].stamp != state.stamp
            }
        )


@dataclass(frozen=True, slots=True)
class _Made:
    files: Manifest
    skipped: list[str]
    dimensions: int
    bytes_per_second: float | None


async def _ended(drafting: asyncio.Task[Draft], error: BaseException, progress: Progress) -> None:
    """What may work another time is gone on with then; what a user has broken off, or a defect has, is not."""
    stopped = isinstance(error, asyncio.CancelledError) and not progress.cancelled
    with suppress(StoreUnavailable):
        draft = await drafting
        await (draft.leave() if stopped or isinstance(error, Unavailable) else draft.discard())


def _is_current(base: Record, survey: Survey, folder: Folder) -> bool:
    same = base.source_dir == folder.path and base.skipped == survey.skipped
    return same and survey.plan.changes_nothing and not base.unfinished


MAX_SKIPPED = 1_000


def _bounded(skipped: list[str]) -> list[str]:
    """Enough to act on: a folder full of binaries must not make the status a novel."""
    if len(skipped) <= MAX_SKIPPED:
        return skipped
    return [*skipped[:MAX_SKIPPED], f"and {len(skipped) - MAX_SKIPPED} more"]


def _changes(plan: Plan) -> str:
    read, moved, removed, kept = len(plan.read), len(plan.moved), len(plan.removed), len(plan.kept)
    return f"{read} files read, {moved} moved, {removed} removed, {kept} unchanged"
