"""The engines as last heard of."""

from collections.abc import Callable, Collection, Iterable, Iterator

from sage_contracts import fleet as wire
from sage_contracts.fleet import EngineKind, FleetEngine

_Index = dict[tuple[EngineKind, str], list[FleetEngine]]


class Fleet:
    """The last good snapshot is kept for as long as no other comes."""

    def __init__(self) -> None:
        self._engines: list[FleetEngine] = []
        self._of: _Index = {}
        self._ready: _Index = {}
        self._when_changed: list[Callable[[Collection[str]], None]] = []
        self.version: int | None = None
        self.fetch_failed = False
        """Whether the last attempt to hear of the fleet failed; the snapshot is then an old one."""

    def when_changed(self, told: Callable[[Collection[str]], None]) -> None:
        """Call `told` with every new snapshot, and with the engines in it that have become READY."""
        self._when_changed.append(told)

    def replace(self, snapshot: wire.Fleet) -> None:
        """
        Take over what the control-plane says.

        A lower version is taken too: it comes when the registry has been lost and begun again.
        """
        before = {engine.engine_id for engine in self._engines if engine.state == "READY"}
        ready = [engine for engine in snapshot.engines if engine.state == "READY"]
        self._engines, self.version = snapshot.engines, snapshot.version
        self._of, self._ready = _by_name(snapshot.engines), _by_name(ready)
        self.fetch_failed = False
        returned = {engine.engine_id for engine in ready} - before
        for told in self._when_changed:
            told(returned)

    @property
    def known(self) -> bool:
        """Whether a snapshot has ever come."""
        return self.version is not None

    def serving(self, kind: EngineKind, model: str) -> list[FleetEngine]:
        """Engines of the model or alias, whatever their state."""
        return self._of.get((kind, model), [])

    def ready(self, kind: EngineKind, model: str) -> list[FleetEngine]:
        return self._ready.get((kind, model), [])

    def ready_models(self, kind: EngineKind) -> list[str]:
        """In the order of the snapshot; aliases come last."""
        return [model for of_kind, model in self._ready if of_kind == kind]

    def ready_engines(self) -> Iterator[FleetEngine]:
        return (engine for engine in self._engines if engine.state == "READY")

    def models(self, kind: EngineKind) -> list[str]:
        """Of all engines of the kind, whatever their state, each once; aliases come last."""
        return [model for of_kind, model in self._of if of_kind == kind]


def smallest_window(engines: Iterable[FleetEngine]) -> int | None:
    """What every one of the engines can take, in tokens; None where none told."""
    return min((one.context_tokens for one in engines if one.context_tokens), default=None)


def _by_name(engines: Collection[FleetEngine]) -> _Index:
    """By model, then by alias."""
    found: _Index = {}
    for engine in engines:
        found.setdefault((engine.engine_kind, engine.model_id), []).append(engine)
    for engine in engines:
        for alias in dict.fromkeys(engine.aliases):
            if alias != engine.model_id:
                found.setdefault((engine.engine_kind, alias), []).append(engine)
    return found
