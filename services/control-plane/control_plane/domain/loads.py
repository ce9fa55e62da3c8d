"""What an engine says about its own load, read from what vLLM, llama.cpp and Ollama publish."""

import math
import re
from collections.abc import Iterator

from sage_contracts.management import EngineLoad

LARGEST = 2**31
MODELS = 32
MODEL_CHARACTERS = 256

_SAMPLE = re.compile(
    rb"^(vllm:num_requests_running|vllm:num_requests_waiting|vllm:kv_cache_usage_perc|vllm:gpu_cache_usage_perc"
    rb"|llamacpp:requests_processing|llamacpp:requests_deferred|llamacpp:kv_cache_usage_ratio)"
    rb"(?:\{[^\n]*\})?[ \t]+([^\s]{1,40})",
    re.MULTILINE,
)


def of_metrics(text: bytes) -> EngineLoad | None:
    """
    From the Prometheus page of vLLM or llama.cpp; None when it is neither's.

    Requests are summed over models and ranks. Of the cache the fullest is told: it is the one that makes others wait.
    """
    found: dict[bytes, list[float]] = {}
    for name, value in _samples(text):
        found.setdefault(name, []).append(value)
    for source, prefix, running, waiting in (
        ("vllm", b"vllm:", b"num_requests_running", b"num_requests_waiting"),
        ("llama.cpp", b"llamacpp:", b"requests_processing", b"requests_deferred"),
    ):
        if prefix + running in found:
            queued = found.get(prefix + waiting)
            usage = [value for name in found if name.endswith((b"_perc", b"_ratio")) for value in found[name]]
            return EngineLoad(
                source="vllm" if source == "vllm" else "llama.cpp",
                running=_count(found[prefix + running]),
                waiting=None if queued is None else _count(queued),
                kv_cache_usage=round(min(max(usage), 1.0), 4) if usage else None,
            )
    return None


def of_ollama(told: object) -> EngineLoad | None:
    """From Ollama's `/api/ps`, which names the models in memory and not their requests: `running` is the gateways'."""
    models = told.get("models") if isinstance(told, dict) else None
    if not isinstance(models, list):
        return None
    names = [model.get("name") for model in models[:MODELS] if isinstance(model, dict)]
    loaded = [name[:MODEL_CHARACTERS] for name in names if isinstance(name, str) and name.isprintable()]
    return EngineLoad(source="ollama", running=0, loaded_models=loaded)


def _samples(text: bytes) -> Iterator[tuple[bytes, float]]:
    for match in _SAMPLE.finditer(text):
        try:
            value = float(match[2])
        except ValueError:
            continue
        if math.isfinite(value) and 0 <= value < LARGEST:
            yield match[1], value


def _count(values: list[float]) -> int:
    return min(int(sum(values)), LARGEST)
