"""The session-store's settings, from the environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sage_chassis import settings
from sage_chassis.settings import HTTP_URL, RedisURL, SettingsError
from sage_contracts.sessions import Backend

PREFIX = "SAGE_SESSION_STORE_"
PORT = 8012
BACKEND_VARIABLE = "SAGE_GATEWAY_SESSION_BACKEND"

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)")


class Settings(Struct, frozen=True, kw_only=True):
    redis_url: RedisURL = "redis://127.0.0.1:6379/0"
    ttl: Annotated[
        str,
        Meta(
            pattern=f"^{_DURATION.pattern}$",
            description="How long a session lives without activity: seconds, or 90s, 15m, 12h, 30d; 0 is for ever.",
            extra={"env": "SAGE_SESSION_TTL"},
        ),
    ] = "30d"
    memory_backend: Annotated[
        Backend,
        Meta(
            description="What a session remembers that chooses nothing itself: short_term its newest dialogs, vdb also"
            " turns by meaning, kv facts, graph relations.",
            extra={"env": BACKEND_VARIABLE},
        ),
    ] = "short_term"
    max_dialogs: Annotated[
        int, Meta(ge=1, le=1_000, description="At most so many of a session's newest dialogs are told.")
    ] = 20
    budget_tokens: Annotated[
        int, Meta(ge=0, description="Tokens they may take, where the gateway does not know the engine's window.")
    ] = 4_096

    titles: Annotated[
        Literal["question", "model"],
        Meta(
            description="Whence a session has its title, until a person gives it one: its first question, or what"
            " SAGE_SESSION_MODEL makes of its first turn."
        ),
    ] = "question"
    model: Annotated[
        str,
        Meta(
            description="The model that writes titles, summaries and facts, asked through chat-gateway; absent: none.",
            extra={"env": "SAGE_SESSION_MODEL"},
        ),
    ] = ""
    gateway_url: Annotated[
        str, Meta(pattern=HTTP_URL, description="Where chat-gateway is.", extra={"env": "SAGE_CHAT_GATEWAY_URL"})
    ] = "http://127.0.0.1:8011"

    indexer_url: Annotated[
        str,
        Meta(
            pattern=HTTP_URL,
            description="Where rag-indexer is, which keeps what vdb remembers.",
            extra={"env": "SAGE_RAG_INDEXER_URL"},
        ),
    ] = "http://127.0.0.1:8013"
    tokenizers: Annotated[
        tuple[str, ...],
        Meta(
            description="Tokenizers to count with: model=path/to/tokenizer.json, with commas; * is every other model."
            " Of models without one, tokens are estimated."
        ),
    ] = ()

    def tokenizer_paths(self) -> dict[str, Path]:
        """SettingsError for what is not model=path."""
        pairs = [entry.partition("=") for entry in self.tokenizers]
        if wrong := [model for model, mark, path in pairs if not (model.strip() and mark and path.strip())]:
            raise SettingsError(f"{PREFIX}TOKENIZERS: {wrong[0]!r} is not model=path/to/tokenizer.json")
        return {model.strip(): Path(path.strip()).expanduser() for model, _, path in pairs}

    @property
    def ttl_seconds(self) -> float:
        return seconds_of(self.ttl)


def read(env: Mapping[str, str] = os.environ) -> Settings:
    """SettingsError, which names the variable."""
    found = settings.load(Settings, prefix=PREFIX, env=env)
    found.tokenizer_paths()
    if found.titles == "model" and not found.model:
        raise SettingsError(f"{PREFIX}TITLES=model needs SAGE_SESSION_MODEL: the model that is to write them")
    return found


def seconds_of(duration: str) -> float:
    """`15m` as 900.0; the pattern has been checked."""
    number, unit = _DURATION.fullmatch(duration).groups()  # type: ignore[union-attr]
    return float(number) * _SECONDS[unit]
