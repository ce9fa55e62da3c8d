"""How far a build has come, and when it may be done."""

import asyncio
import uuid

from sage_contracts.index import Job, Stage

PATIENCE_SECONDS = 10.0
"""For so long a folder may say nothing before that is told, and before others are not kept waiting for it any more."""


class Progress:
    """
    Written by the build, also from its threads, and read by the status route.

    The time left is told by bytes and not by files: one large file weighs as much as a hundred small ones.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.cancelled = False
        """Whether a user has asked for the build to end."""
        self.held = asyncio.Event()
        """Set once the build may change its collection."""
        self.ended = asyncio.Event()
        self.stalled = False
        self._steps = 0
        self._stage: Stage = "scanning"
        self._done = 0
        self._total = 0
        self._chunks = 0
        self._bytes_total = 0
        self._bytes_done = 0
        self._began = 0.0

    @property
    def bytes_done(self) -> int:
        return self._bytes_done

    def scanned(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._step()

    def planned(self, *, kept: int, chunks: int, total: int, bytes_to_read: int, now: float) -> None:
        """Reading begins: `kept` of `total` files, with `chunks`, need nothing."""
        self._done, self._total, self._chunks = kept, total, chunks
        self._bytes_total, self._began = bytes_to_read, now
        self._stage = "chunking"
        self._step()

    def indexed(self, size: int, chunks: int) -> None:
        """One more file, of `size` bytes, is in the draft."""
        self._done += 1
        self._chunks += chunks
        self._bytes_done += size
        self._stage = "indexing"
        self._step()

    def publishing(self) -> None:
        self._stage = "publishing"
        self._step()

    async def minded(self, patience: float) -> None:
        """Tell, for as long as this runs, whether there was no step for `patience` seconds, or at most twice that."""
        while True:
            before = self._steps
            await asyncio.sleep(patience)
            self.stalled = self._steps == before

    def job(self, now: float) -> Job:
        return Job(
            id=self.id,
            done=self._done,
            total=self._total,
            stage=self._stage,
            eta_seconds=self._eta(now),
            chunks=self._chunks,
            stalled=self.stalled,
        )

    def speed(self, now: float) -> float | None:
        """Bytes a second, since reading began; None when nothing was read."""
        seconds = now - self._began
        return self._bytes_done / seconds if self._bytes_done and seconds > 0 else None

    def _step(self) -> None:
        self._steps += 1
        self.stalled = False

    def _eta(self, now: float) -> float | None:
        if self._stage == "publishing":
            return 0.0
        if not self._bytes_done:
            return None
        left = max(0, self._bytes_total - self._bytes_done)
        return round((now - self._began) * left / self._bytes_done, 1)
