import pytest

from chat_gateway.domain.fleet import Fleet
from chat_gateway.domain.resolving import Route, Routes, Upstream
from sage_contracts.errors import ModelNotFound, NoEngineAvailable, SageError
from sage_contracts.fleet import EngineKind, FleetEngine
from tests.chat_gateway.domain.test_fleet import engine, fleet_of

UPSTREAM = Upstream("http://up/v1", model="big", api_key="k")


def resolve(
    asked: str | None, *engines: FleetEngine, upstream: Upstream | None = None, kind: EngineKind = "llm"
) -> Route:
    return Routes(fleet_of(*engines), upstream).resolve(asked, kind)


@pytest.mark.parametrize(
    ("asked", "engines", "upstream", "expected"),
    [
        pytest.param("m", [engine("a")], None, ("m", "m", False), id="a model of the fleet"),
        pytest.param("m", [engine("a")], UPSTREAM, ("m", "m", False), id="the fleet before the upstream"),
        pytest.param(None, [engine("a")], None, ("sage-default", "m", False), id="no model is the built-in one"),
        pytest.param("", [engine("a")], None, ("sage-default", "m", False), id="an empty model too"),
        pytest.param(
            "sage-default",
            [engine("a"), engine("b", "big")],
            UPSTREAM,
            ("sage-default", "big", False),
            id="the configured model stands behind the built-in one where it is served",
        ),
        pytest.param("sage-default", [], UPSTREAM, ("sage-default", "big", True), id="the upstream's model"),
        pytest.param("gpt", [], UPSTREAM, ("gpt", "gpt", True), id="any model goes upstream while none is READY"),
        pytest.param(
            "m", [engine("a", state="ERROR")], UPSTREAM, ("m", "m", True), id="also one whose engine is not READY"
        ),
        pytest.param("big", [engine("a")], UPSTREAM, ("big", "big", True), id="the upstream's own model always"),
    ],
)
def test_a_model_is_resolved(
    asked: str | None, engines: list[FleetEngine], upstream: Upstream | None, expected: tuple[str, str, bool]
) -> None:
    route = resolve(asked, *engines, upstream=upstream)

    assert (route.asked, route.model, route.upstream is not None) == expected


@pytest.mark.parametrize(
    ("asked", "engines", "upstream", "error", "told"),
    [
        ("x", [engine("a"), engine("b", "n")], None, ModelNotFound, "Models that exist: m, n, sage-default"),
        ("x", [engine("a")], UPSTREAM, ModelNotFound, "'x' does not exist"),
        ("m", [engine("a", state="STARTING")], None, NoEngineAvailable, "sage llm engine register"),
        ("sage-default", [], None, NoEngineAvailable, "no engine is READY"),
        ("sage-default", [], Upstream("http://up/v1"), NoEngineAvailable, "SAGE_CHAT_MODEL"),
    ],
)
def test_a_model_that_cannot_answer_is_refused(
    asked: str, engines: list[FleetEngine], upstream: Upstream | None, error: type[SageError], told: str
) -> None:
    with pytest.raises(error, match=told):
        resolve(asked, *engines, upstream=upstream)


def test_a_chat_does_not_go_to_an_embedding_engine() -> None:
    with pytest.raises(ModelNotFound, match="for embeddings"):
        resolve("m", engine("a", kind="embedding"))


def test_embeddings_go_to_embedding_engines() -> None:
    route = resolve(None, engine("a"), engine("b", "emb", kind="embedding"), kind="embedding")

    assert route.model == "emb"


def test_embeddings_of_a_model_that_chats_go_to_it() -> None:
    assert resolve("m", engine("a"), kind="embedding").kind == "llm"
    with pytest.raises(NoEngineAvailable):
        resolve("m", engine("a", state="ERROR"), kind="embedding")


def test_an_unknown_fleet_is_no_reason_to_call_a_model_unknown() -> None:
    with pytest.raises(NoEngineAvailable, match="not known yet"):
        Routes(Fleet(), None).resolve("m", "llm")


def test_no_embedding_engine_is_told_as_such() -> None:
    with pytest.raises(NoEngineAvailable, match="no embedding engine is READY"):
        resolve(None, engine("a"), kind="embedding")


@pytest.mark.parametrize(
    ("engines", "upstream", "expected"),
    [
        ([engine("a"), engine("b"), engine("c", "n", state="ERROR")], None, ["m", "sage-default"]),
        ([engine("a"), engine("b", "emb", kind="embedding")], UPSTREAM, ["m", "sage-default", "emb"]),
        ([], UPSTREAM, ["big", "sage-default"]),
        ([], None, ["sage-default"]),
    ],
)
def test_models_are_those_that_can_answer(
    engines: list[FleetEngine], upstream: Upstream | None, expected: list[str]
) -> None:
    assert [model.id for model in Routes(fleet_of(*engines), upstream).models()] == expected


def test_a_model_only_the_upstream_may_know_is_no_metric_label() -> None:
    assert (resolve("gpt", upstream=UPSTREAM).label, resolve("big", upstream=UPSTREAM).label) == ("other", "big")
