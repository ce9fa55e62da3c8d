"""What the client raises of its own; what a gateway or an engine refuses is raised as sage_contracts.errors has it."""

from collections.abc import Sequence


class NoBackendAvailable(Exception):
    """
    Nothing can answer this request now. `reason` says why, and what to do; `tried` holds, for each backend that was
    asked, its address and how it failed. Its cause is what a backend answered, where one did.
    """

    def __init__(self, reason: str, *, tried: Sequence[str] = ()) -> None:
        super().__init__("; ".join([reason, *tried]))
        self.reason = reason
        self.tried = tuple(tried)


class MissedBackend(Exception):
    """One backend failed before the first byte of its answer, so that another may be asked."""
