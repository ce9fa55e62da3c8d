"""One build, from a folder to a served index."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rag_indexer.domain import planning
from rag_indexer.domain.planning import Plan
from rag_indexer.domain.ports import Draft, Folder, Passages, Record, Unreadable
from rag_indexer.domain.progress import Progress
from rag_indexer.domain.reading import Reading, Scanned


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


class Building:
    """Turns one folder into the next version of the index; what goes wrong leaves the version before it served."""

    def __init__(self, passages: Passages, reading: Reading, clock: Clock) -> None:
        self._passages = passages
        self._reading = reading
        self._clock = clock

    async def run(self, folder: Folder, *, chosen: bool, force: bool, progress: Progress) -> Outcome:
        """`chosen` when a request named the folder, `force` to read even what has not changed."""
        record = await self._passages.record()
        comparable = record is not None and record.fingerprint == self._reading.fingerprint and not force
        before = await self._passages.files() if comparable else {}
        found = await asyncio.to_thread(self._reading.scan, folder, progress.scanned)
        plan = planning.plan(before, found.hashes)
        if record and comparable and plan.changes_nothing and record.source_dir == folder.path:
            return Outcome("already_exists", f"nothing in {folder.path} has changed", record)
        dimensions = await self._reading.encoder.dimensions()
        draft = await self._passages.draft(dimensions)
        try:
            made = await self._fill(draft, folder, plan, found, progress)
            since = record.created_at if record and comparable else None
            published = self._record(folder, made, dimensions, chosen=chosen, since=since)
            progress.publishing()
            await draft.publish(published, made.files)
        except BaseException:
            await draft.discard()
            raise
        if record and comparable:
            return Outcome("updated", _changes(plan), published)
        return Outcome("built", f"{published.num_documents} files, {published.num_chunks} passages", published)

    async def _fill(self, draft: Draft, folder: Folder, plan: Plan, found: Scanned, progress: Progress) -> "_Made":
        progress.planned(
            kept=len(plan.kept),
            total=len(found.hashes),
            bytes_to_read=sum(found.sizes[path] for path in plan.read),
            now=self._clock.monotonic(),
        )
        made = _Made({path: found.hashes[path] for path in plan.kept}, found.skipped)
        made.chunks = await draft.carry(plan.kept)
        for path in plan.read:
            try:
                entries = await self._reading.entries(folder, path)
            except Unreadable as reason:
                made.skipped.append(f"{path}: {reason}")
                continue
            await draft.add(entries)
            made.files[path] = entries[0].passage.file_hash
            made.chunks += len(entries)
            progress.indexed(found.sizes[path])
        return made

    def _record(
        self, folder: Folder, made: "_Made", dimensions: int, *, chosen: bool, since: datetime | None
    ) -> Record:
        now = self._clock.utc()
        return Record(
            fingerprint=self._reading.fingerprint,
            encoder=self._reading.encoder.name,
            dimensions=dimensions,
            source_dir=folder.path,
            chosen=chosen,
            num_documents=len(made.files),
            num_chunks=made.chunks,
            created_at=since or now,
            updated_at=now,
            skipped=_bounded(sorted(made.skipped)),
        )


@dataclass(slots=True)
class _Made:
    files: dict[str, str]
    skipped: list[str]
    chunks: int = 0


MAX_SKIPPED = 1_000


def _bounded(skipped: list[str]) -> list[str]:
    """Enough to act on: a folder full of binaries must not make the status a novel."""
    if len(skipped) <= MAX_SKIPPED:
        return skipped
    return [*skipped[:MAX_SKIPPED], f"and {len(skipped) - MAX_SKIPPED} more"]


def _changes(plan: Plan) -> str:
    return f"{len(plan.read)} files read, {len(plan.removed)} removed, {len(plan.kept)} unchanged"
