"""What the control-plane needs from outside."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from control_plane.domain.presets import Line
from control_plane.domain.records import Record, Sighting, Snapshot, Source
from sage_contracts.management import GPU, EngineLoad

Clock = Callable[[], float]
"""Unix seconds."""


class LeaseLost(Exception):
    """Another control-plane leads now: what this one decided no longer counts."""


class Registry(Protocol):
    """Where records are kept. Every method raises StoreUnavailable when the store is away."""

    async def snapshot(self) -> Snapshot: ...

    async def swap(self, *, old: Record | None, new: Record | None, fence: str | None = None) -> Record | None:
        """
        Put `new` in the place of `old`, raise the version and tell the hint, all or nothing.

        Without `old` the record is added, without `new` it is removed. Answers the record as it is kept now (for a
        removal, `old`), or None when the one kept meanwhile is not `old` any more. A repeat of the same call does no
        harm. With `fence`, raises LeaseLost unless that lease is still the leader's.
        """
        ...

    async def note(self, sightings: Mapping[str, Sighting]) -> None:
        """Keep what the probes saw. This is no change of the fleet: the version stays."""
        ...


class Load(Protocol):
    """Requests in flight per engine, as all gateways count them; raises StoreUnavailable."""

    async def active(self) -> Mapping[str, int]: ...


class Lease(Protocol):
    """The right to probe and to end drains, held by one control-plane at a time."""

    @property
    def token(self) -> str | None:
        """What fences this holder's changes; None while another holds the lease."""
        ...

    async def renew(self) -> None:
        """Take the lease, or keep it. Never raises: a lease that cannot be renewed is lost."""
        ...

    async def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Model:
    """A model as an engine's `/v1/models` names it; `context_tokens` where it says so."""

    model_id: str
    context_tokens: int | None = None


class Prober(Protocol):
    """Looks at engines. No method raises for an engine that is away, slow or strange."""

    async def answers(self, host: str, port: int) -> bool: ...

    async def models(self, host: str, port: int) -> Sequence[Model]:
        """What it serves; empty when it does not say."""
        ...

    async def load(self, host: str, port: int) -> EngineLoad | None:
        """What it says about its load; None when it says nothing."""
        ...


class Addresses(Protocol):
    """Decides which hosts may be connected to."""

    async def check(self, host: str) -> None:
        """Raises AddressRefused. A name that cannot be resolved now passes: it is checked again at each connect."""
        ...


class Roster(Protocol):
    """A list of engines that others keep. The origin of each engine on it is `name`, or that and an entry's."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> Source: ...

    async def listed(self) -> Mapping[tuple[str, int], str]:
        """Each engine's host and port, and where it was found; raises Unavailable where the list cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Process:
    """`started_at` (unix seconds) tells this process from a later one with the same pid."""

    pid: int
    started_at: float


class LaunchFailed(Exception):
    """The process could not be started at all; the message says why."""


class Launcher(Protocol):
    """
    Starts engines and finds them again, also after a restart of the control-plane: as processes, as containers, or, by
    an adapter yet to be written, as pods. It keeps what it needs for that outside this process, under the engine's id.

    Every method raises Unavailable where what does the work (a Docker engine, say) is away; nothing is known then.
    """

    async def start(self, engine_id: str, line: Line) -> Process:
        """The engine's process, started unless one is running already. Raises LaunchFailed."""
        ...

    async def find(self, engine_id: str) -> Process | None:
        """The engine's process if it is alive."""
        ...

    async def stop(self, engine_id: str) -> None:
        """End the process and everything it started: politely, then by force. Returns when it is gone."""
        ...

    async def forget(self, engine_id: str) -> None:
        """Remove what is left of an engine that ended, its log too."""
        ...

    async def last_lines(self, engine_id: str, *, count: int = 10, most_bytes: int = 2_000) -> list[str]:
        """The end of what it printed, also after it ended; empty when nothing is known of it."""
        ...

    async def running(self) -> Sequence[str]:
        """The ids of all engines with a live process."""
        ...


class Ports(Protocol):
    """Which ports of this machine can be listened on."""

    def is_free(self, host: str, port: int) -> bool: ...

    def any_free(self, host: str, *, but: Collection[int]) -> int:
        """A free port that is none of `but`, which engines have that may not listen yet. Raises Conflict."""
        ...


class GPUs(Protocol):
    """The GPUs of this machine, and a message where there are none; never raises."""

    async def read(self) -> tuple[list[GPU], str | None]: ...


class Counts(Protocol):
    """What is counted for the operator's dashboards."""

    def probed(self, *, answered: bool) -> None: ...

    def fleet(self, by_state: Mapping[str, int]) -> None: ...

    def restarted(self) -> None: ...

    def leading(self, *, leads: bool) -> None: ...
