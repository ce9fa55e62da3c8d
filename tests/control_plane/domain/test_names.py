import pytest

from control_plane.domain import discoveries
from control_plane.domain.records import Record
from control_plane.domain.registrations import derived_id, slug
from sage_contracts import names
from sage_contracts.errors import AddressRefused, InvalidRequest


def record(engine_id: str, model_id: str = "m", host: str = "gpu", port: int = 80) -> Record:
    return Record(
        engine_id=engine_id, model_id=model_id, host=host, port=port, state="READY", source="registered", created_at=0.0
    )


@pytest.mark.parametrize(
    ("model", "host", "wanted"),
    [
        ("smollm2", "127.0.0.1", "smollm2-127.0.0.1-80"),
        ("Qwen/Qwen2.5-7B Instruct", "gpu-1.lan", "qwen2.5-7b-instruct-gpu-1.lan-80"),
        ("llama3:8b", "::1", "llama3-8b-1-80"),
        ("模型", "gpu", "engine-gpu-80"),
        ("..", "gpu", "engine-gpu-80"),
    ],
)
def test_an_id_can_be_read(model: str, host: str, wanted: str) -> None:
    assert derived_id(model, host, 80, taken={}) == wanted


def test_an_id_is_the_same_each_time() -> None:
    first = derived_id("m", "gpu", 80, taken={})

    assert derived_id("m", "gpu", 80, taken={first: record(first)}) == first


def test_two_models_of_one_slug_get_two_ids() -> None:
    first = derived_id("a/m", "gpu", 80, taken={})
    second = derived_id("b/m", "gpu", 80, taken={first: record(first, "a/m")})

    assert first != second
    assert names.is_id(second)


@pytest.mark.parametrize("model", ["x" * 256, "模" * 256, "a b/" * 60])
def test_an_id_may_always_be_used(model: str) -> None:
    assert names.is_id(derived_id(model, "a" * 253, 65535, taken={}))


def test_a_slug_is_never_empty() -> None:
    assert slug("/// ") == "engine"


def test_static_engines_are_base_urls() -> None:
    found = discoveries.addresses(["http://127.0.0.1:8080", "http://gpu:1/", "http://[::1]:2"])

    assert found == [("127.0.0.1", 8080), ("gpu", 1), ("::1", 2)]


@pytest.mark.parametrize(
    "url",
    ["gpu:80", "https://gpu:80", "http://gpu", "http://gpu:x", "http://:80", "http://gpu:0", "http://gpu:80/v1", ""],
)
def test_a_static_engine_that_is_no_base_url_is_shown(url: str) -> None:
    with pytest.raises(InvalidRequest, match="http://host:port"):
        discoveries.addresses([url])


def test_a_static_engine_at_a_strange_host_is_refused() -> None:
    with pytest.raises(AddressRefused):
        discoveries.addresses(["http://0x7f000001:80"])


@pytest.mark.parametrize(
    ("model", "kind"),
    [("nomic-embed-text", "embedding"), ("BAAI/bge-m3", "embedding"), ("all-MiniLM-L6", "embedding"), ("qwen3", "llm")],
)
def test_an_embedding_model_is_known_by_its_name(model: str, kind: str) -> None:
    assert discoveries.kind_of(model) == kind
