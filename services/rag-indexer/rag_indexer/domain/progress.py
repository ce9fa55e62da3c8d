"""How far a build has come, and when it may be done."""

import uuid

from sage_contracts.index import Job, Stage


class Progress:
    """
    Written by the build, also from its threads, and read by the status route.

    The time left is told by bytes and not by files: one large file weighs as much as a hundred small ones.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex[:12]
        self._stage: Stage = "scanning"
        self._done = 0
        self._total = 0
        self._bytes_total = 0
        self._bytes_done = 0
        self._began = 0.0

    def scanned(self, done: int, total: int) -> None:
        self._done, self._total = done, total

    def planned(self, *, kept: int, total: int, bytes_to_read: int, now: float) -> None:
        """Reading begins: `kept` of `total` files need nothing."""
        self._done, self._total = kept, total
        self._bytes_total, self._began = bytes_to_read, now
        self._stage = "chunking"

    def indexed(self, size: int) -> None:
        """One more file, of `size` bytes, is in the draft."""
        self._done += 1
        self._bytes_done += size
        self._stage = "indexing"

    def publishing(self) -> None:
        self._stage = "publishing"

    def job(self, now: float) -> Job:
        return Job(id=self.id, done=self._done, total=self._total, stage=self._stage, eta_seconds=self._eta(now))

    def _eta(self, now: float) -> float | None:
        if self._stage == "publishing":
            return 0.0
        if not self._bytes_done:
            return None
        left = max(0, self._bytes_total - self._bytes_done)
        return round((now - self._began) * left / self._bytes_done, 1)
