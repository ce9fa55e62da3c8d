"""What engines publish about their load, as they publish it and as nobody should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain import loads
from sage_contracts.management import EngineLoad

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-4B"} 3.0
vllm:num_requests_running{engine="1",model_name="a } b"} 2.0
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-4B"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen3-4B"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="Qwen/Qwen3-4B"} 0.75004
vllm:prompt_tokens_total{engine="0"} 1e9
"""
LLAMA = (
    b"# TYPE x gauge\nllamacpp:requests_processing 4\nllamacpp:requests_deferred 7\nllamacpp:kv_cache_usage_ratio 0.5\n"
)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (VLLM, EngineLoad(source="vllm", running=5, waiting=1, kv_cache_usage=0.75)),
        (LLAMA, EngineLoad(source="llama.cpp", running=4, waiting=7, kv_cache_usage=0.5)),
        (b"vllm:num_requests_running 1\n", EngineLoad(source="vllm", running=1)),
        (b"vllm:num_requests_running 1", EngineLoad(source="vllm", running=1)),
        (
            b"vllm:num_requests_running 1\nvllm:kv_cache_usage_perc 7\n",
            EngineLoad(source="vllm", running=1, kv_cache_usage=1),
        ),
        (b"llamacpp:requests_processing 0 1700000000\n", EngineLoad(source="llama.cpp", running=0)),
        (b"vllm:num_requests_running NaN\n", None),
        (b"vllm:num_requests_running -1\n", None),
        (b"vllm:num_requests_running 1e300\n", None),
        (b"vllm:num_requests_running\n", None),
        (b"vllm:num_requests_running_total 1\n", None),
        (b"# vllm:num_requests_running 1\n", None),
        (b"", None),
        (b"<html>", None),
    ],
)
def test_a_page_of_metrics_tells_a_load_or_nothing(page: bytes, told: EngineLoad | None) -> None:
    assert loads.of_metrics(page) == told


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ({"models": [{"name": "qwen3:4b", "size_vram": 3}]}, ["qwen3:4b"]),
        ({"models": []}, []),
        ({"models": [None, 1, {}, {"name": 5}, {"name": "a\nb"}, {"name": "x" * 300}]}, ["x" * 256]),
        ({"models": [{"name": "m"}] * 1000}, ["m"] * 32),
        ({"models": None}, None),
        ([], None),
        (None, None),
    ],
)
def test_ollama_tells_the_models_in_memory(listed: object, told: list[str] | None) -> None:
    load = loads.of_ollama(listed)

    assert (None if load is None else load.loaded_models) == told


LINES = st.tuples(
    st.sampled_from(
        [
            b"vllm:num_requests_running",
            b"vllm:num_requests_waiting",
            b"vllm:kv_cache_usage_perc",
            b"llamacpp:requests_processing",
            b"llamacpp:requests_deferred",
        ]
    ),
    st.sampled_from([b"", b"{}", b'{a="b"}', b'{a="}"}', b"{", b"}"]),
    st.one_of(st.floats().map(lambda value: str(value).encode()), st.binary(max_size=12)),
).map(lambda parts: parts[0] + parts[1] + b" " + parts[2])


@given(st.lists(st.one_of(LINES, st.binary(max_size=40)), max_size=20).map(b"\n".join))
def test_whatever_is_published_a_load_is_a_sane_one(page: bytes) -> None:
    load = loads.of_metrics(page)
    if load is not None:
        assert 0 <= load.running <= loads.LARGEST
        assert load.waiting is None or 0 <= load.waiting <= loads.LARGEST
        assert load.kv_cache_usage is None or 0 <= load.kv_cache_usage <= 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["models", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=15,
)


@given(JSON)
def test_whatever_ollama_s_route_says_nothing_breaks(listed: object) -> None:
    load = loads.of_ollama(listed)

    assert load is None or all(isinstance(name, str) for name in load.loaded_models)
