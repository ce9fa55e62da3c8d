"""Which engine the local stack answers with: one configured, one that already runs here, or a small one of its own."""

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from sage_cli import demo_engine
from sage_cli.failures import Failed
from sage_cli.settings import Settings
from sage_contracts.names import DEFAULT_MODEL

WELL_KNOWN = {"Ollama": 11434, "LM Studio": 1234, "llama.cpp": 8080, "vLLM": 8001}
LOOK_SECONDS = 0.5

REGISTER = "sage llm engine register HOST PORT"
NONE = f"none yet: register one with `{REGISTER}`"


@dataclass(frozen=True, slots=True)
class Choice:
    """
    `told` is the choice in words; `static` are base URLs for the control-plane; `demo` means that we start ours.

    `models` will be served as soon as everything is up.
    """

    told: str
    static: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    name: str
    url: str
    models: tuple[str, ...]


async def choose(settings: Settings, *, none: bool = False) -> Choice:
    """Asks nothing of the network where the settings already say it."""
    if settings.upstream_url:
        return Choice(f"the server at {shown(settings.upstream_url)} (SAGE_CHAT_BASE_URL)")
    if settings.engines:
        return Choice(f"{settings.engines} (SAGE_CONTROL_PLANE_STATIC_ENGINES)")
    if settings.discover and not none and (found := await running(WELL_KNOWN, own_port=settings.port)):
        told = ", ".join(f"{one.name} at {one.url} ({_few(one.models)})" for one in found)
        static = tuple(one.url for one in found)
        return Choice(f"{told}, which already ran here", static=static, models=found[0].models[:1])
    if settings.demo_engine and not none:
        complaint = demo_engine.complaint()
        return _demo() if complaint is None else Choice(f"{NONE}. The demo engine cannot run here: {complaint}")
    return Choice(NONE)


def _demo() -> Choice:
    told = (
        f"{demo_engine.MODEL}, a tiny demo model: it proves that everything works, and its answers are poor. "
        f"Register a better one with `{REGISTER}`"
    )
    return Choice(told, models=(demo_engine.MODEL, demo_engine.EMBEDDING_MODEL), demo=True)


async def running(ports: dict[str, int], *, own_port: int, seconds: float = LOOK_SECONDS) -> Sequence[Found]:
    """The engines that answer on these ports of this machine in time."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        asked = [_asked(http, name, port) for name, port in ports.items() if port != own_port]
        return [found for found in await asyncio.gather(*asked) if found is not None]


async def _asked(http: aiohttp.ClientSession, name: str, port: int) -> Found | None:
    url = f"http://127.0.0.1:{port}"
    try:
        async with http.get(f"{url}/v1/models", allow_redirects=False) as response:
            listed = await response.json(content_type=None) if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    entries = listed.get("data") if isinstance(listed, dict) else None
    ids = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    models = tuple(one for one in ids if isinstance(one, str))
    # Another SAGE gateway is no engine: requests would go round.
    return Found(name, url, models) if models and DEFAULT_MODEL not in models else None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _few(models: Sequence[str]) -> str:
    return ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")


def shown(url: str) -> str:
    """Without what may be a secret. Fails in a sentence for what is no address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Failed(f"SAGE_CHAT_BASE_URL is no server's address: {error}", exit_code=2) from error
    bare = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bare}{f':{port}' if port else ''}{parts.path}"
