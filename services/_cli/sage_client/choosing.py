"""Which backends may answer, the best one first: decided from values alone."""

from collections.abc import Collection, Mapping, Sequence

from sage_client.failures import NoBackendAvailable
from sage_contracts.fleet import EngineKind
from sage_contracts.management import Backends, BackendView

ONE_OF_OURS = "sage llm engine start PRESET"


def of_kind(backends: Backends, kind: EngineKind) -> list[BackendView]:
    return backends.llm_backends if kind == "llm" else backends.embedding_backends


def ordered(
    backends: Backends,
    *,
    kind: EngineKind,
    model: str | None,
    running: Mapping[str, int],
    failed: Collection[str],
) -> Sequence[BackendView]:
    """
    The engines of `model` (of any, when it is None) that may be asked: those that have not `failed` lately first, then
    those with the fewest requests, `running` being this client's own. Raises NoBackendAvailable when there is none.
    """
    known = of_kind(backends, kind)
    serving = [one for one in known if model in {None, one.model_name}]
    if not serving:
        raise NoBackendAvailable(_nothing(known, kind, model))
    usable = [one for one in serving if one.is_available]
    if not usable:
        raise NoBackendAvailable(_none_usable(serving))

    def cost(one: BackendView) -> tuple[bool, int]:
        # What the gateway counts was counted up to a refresh ago; what this client has there is known now.
        return one.base_url in failed, max(one.active_requests, running.get(one.base_url, 0))

    return sorted(usable, key=cost)


def _nothing(known: Sequence[BackendView], kind: EngineKind, model: str | None) -> str:
    if not known:
        what = "embedding engine" if kind == "embedding" else "engine"
        return f"no {what} is registered: run `{ONE_OF_OURS}` or `sage llm engine register HOST PORT`"
    models = ", ".join(sorted({one.model_name for one in known}))
    return f"no engine serves {model!r}; there are: {models}"


def _none_usable(serving: Sequence[BackendView]) -> str:
    told = ", ".join(f"{one.instance_id} {'is full' if one.is_healthy else 'is not ready'}" for one in serving)
    return f"no engine can take a request now: {told}; see `sage llm engine list`"
