"""Which model answers a request, and where it is served."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chat_gateway.domain.fleet import Fleet, smallest_window
from chat_gateway.domain.ports import Target
from sage_contracts.chat import Model
from sage_contracts.errors import ModelNotFound, NoEngineAvailable, SageError
from sage_contracts.fleet import EngineKind
from sage_contracts.names import DEFAULT_MODEL

REGISTER = "register one with: sage llm engine register HOST PORT"
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Upstream:
    """An OpenAI server outside the fleet, asked when no engine is READY. `model` stands in for the built-in one."""

    url: str
    model: str | None = None
    api_key: str | None = None

    def target(self) -> Target:
        return Target(engine_id="upstream", url=self.url, api_key=self.api_key)


@dataclass(frozen=True, slots=True)
class Route:
    """`asked` is the client's name for the model, `model` the engine's; `label` is fit for a metric."""

    asked: str
    model: str
    kind: EngineKind
    label: str
    context_tokens: int | None = None
    upstream: Target | None = None

    @property
    def is_pipeline(self) -> bool:
        """The built-in assistant, which looks things up."""
        return self.asked == DEFAULT_MODEL


BUILT_IN = Route(asked=DEFAULT_MODEL, model=DEFAULT_MODEL, kind="llm", label=DEFAULT_MODEL)
"""For what the built-in assistant answers itself: no engine need be there."""


def unserved(asked: str | None) -> Route:
    """For what is told again of a model that was served once."""
    name = asked or DEFAULT_MODEL
    return Route(asked=name, model=name, kind="llm", label=name)


class Routes:
    def __init__(self, fleet: Fleet, upstream: Upstream | None) -> None:
        self._fleet = fleet
        self._upstream = upstream

    def resolve(self, asked: str | None, kind: EngineKind) -> Route:
        """Raises ModelNotFound for a model nobody has, NoEngineAvailable where nobody can answer now."""
        name = asked or DEFAULT_MODEL
        model = self._engine_model(kind) if name == DEFAULT_MODEL else name
        for of_kind in _SERVED_BY[kind]:
            if model is not None and (engines := self._fleet.ready(of_kind, model)):
                return Route(name, model, of_kind, label=model, context_tokens=smallest_window(engines))
        if model is not None and self._upstream is not None and self._goes_upstream(model, kind):
            label = model if model == self._upstream.model else OTHER
            return Route(name, model, kind, label=label, upstream=self._upstream.target())
        raise self._refusal(name, kind)

    def models(self) -> list[Model]:
        """
        What can be asked for now: models with a READY engine, the upstream's while there is none, the built-in.

        Those that chat come first: many clients offer the first of the list.
        """
        created: dict[EngineKind, dict[str, int]] = {"llm": {}, "embedding": {}}
        for kind, of_kind in created.items():
            for name in self._fleet.ready_models(kind):
                of_kind[name] = min(engine.created for engine in self._fleet.ready(kind, name))
        if not any(created.values()) and self._upstream is not None and self._upstream.model:
            created["llm"][self._upstream.model] = 0
        return [
            *_listed(created["llm"]),
            Model(id=DEFAULT_MODEL, created=0, owned_by="sage"),
            *_listed(created["embedding"]),
        ]

    def model(self, name: str) -> Model:
        """
        As it is listed; `name` is without the slash that a path begins with, as engines name models that lie on a disk.

        Raises ModelNotFound for one that is not, NoEngineAvailable before the fleet is known.
        """
        listed = self.models()
        for model in listed:
            if model.id.removeprefix("/") == name:
                return model
        if not self._fleet.known:
            raise _unheard_of()
        names = ", ".join(model.id for model in listed)
        raise ModelNotFound(f"The model '{name}' is not served now. Models that are: {names}", param="model")

    def can_chat(self) -> bool:
        return bool(self._fleet.ready_models("llm")) or self._upstream is not None

    def _engine_model(self, kind: EngineKind) -> str | None:
        """What stands behind the built-in model: the configured one where it is served, else the first that is."""
        ready = self._fleet.ready_models(kind)
        wanted = self._upstream.model if self._upstream else None
        if wanted in ready:
            return wanted
        return ready[0] if ready else wanted

    def _goes_upstream(self, model: str, kind: EngineKind) -> bool:
        return not self._fleet.ready_models(kind) or model == (self._upstream and self._upstream.model)

    def _refusal(self, name: str, kind: EngineKind) -> SageError:
        if any(name in self._fleet.models(of_kind) for of_kind in _SERVED_BY[kind]):
            return NoEngineAvailable(f"no engine of the model '{name}' is READY now; {REGISTER}", retry_after=5)
        if name == DEFAULT_MODEL and self._upstream is not None and kind == "llm":
            return NoEngineAvailable(
                f"no engine is READY, and the upstream has no model for {name}: set SAGE_CHAT_MODEL, or {REGISTER}"
            )
        if name == DEFAULT_MODEL:
            return NoEngineAvailable(f"no {_SPOKEN[kind]} is READY; {REGISTER}", retry_after=5)
        if not self._fleet.known:
            return _unheard_of()
        if kind == "llm" and name in self._fleet.models("embedding"):
            return ModelNotFound(f"The model '{name}' is for embeddings; it cannot chat.", param="model")
        return ModelNotFound(
            f"The model '{name}' does not exist. Models that exist: {', '.join(self._names(kind)) or 'none'}",
            param="model",
        )

    def _names(self, kind: EngineKind) -> Iterator[str]:
        yield from self._fleet.models(kind)
        if kind == "llm":
            yield DEFAULT_MODEL


_SERVED_BY: dict[EngineKind, tuple[EngineKind, ...]] = {"llm": ("llm",), "embedding": ("embedding", "llm")}
"""Many an engine for chats can embed as well; whether this one can is its own to say."""

_SPOKEN: dict[EngineKind, str] = {"llm": "engine", "embedding": "embedding engine"}


def _unheard_of() -> NoEngineAvailable:
    return NoEngineAvailable("the fleet is not known yet: the control-plane has not answered", retry_after=2)


def _listed(created: Mapping[str, int]) -> list[Model]:
    return [Model(id=name, created=since, owned_by="engine") for name, since in created.items()]
