"""The gateway's API as the commands use it: the contracts' calls against one address."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

import aiohttp
import typer

from sage_chassis.client import ServiceClient
from sage_cli import settings
from sage_cli.failures import Failed
from sage_cli.home import Home
from sage_contracts.errors import SageError, ServiceUnavailable

T = TypeVar("T")

APIBase = Annotated[
    str | None,
    typer.Option("--api-base", envvar="SAGE_API_BASE", help="The gateway's address; else the local stack's."),
]

CALL_SECONDS = 30.0
NOT_RUNNING = "no gateway answers at {url}: run `sage gateway start` first"


@dataclass(frozen=True, slots=True)
class API:
    """`client` for what the contracts describe, `http` for streams."""

    url: str
    http: aiohttp.ClientSession
    client: ServiceClient


def address(api_base: str | None) -> str:
    """As given, without the `/v1` that OpenAI clients write behind it; else where the local stack was started."""
    if api_base:
        return api_base.rstrip("/").removesuffix("/v1")
    config = settings.load()
    kept = Home(config.folder).kept()
    return kept.url if kept else f"http://127.0.0.1:{config.port}"


@asynccontextmanager
async def connected(api_base: str | None) -> AsyncGenerator[API]:
    url = address(api_base)
    async with aiohttp.ClientSession() as http:
        yield API(url, http, ServiceClient(http, url, name=f"the gateway at {url}", timeout=CALL_SECONDS))


def ask(api_base: str | None, question: Callable[[API], Awaitable[T]]) -> T:
    """Run `question` against the gateway; what goes wrong becomes one sentence."""

    async def asked() -> T:
        async with connected(api_base) as api:
            try:
                return await question(api)
            except ServiceUnavailable as error:
                if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                    raise Failed(NOT_RUNNING.format(url=api.url)) from error
                raise Failed(error.message) from error
            except SageError as error:
                raise Failed(error.message) from error
            except aiohttp.ClientConnectorError as error:
                raise Failed(NOT_RUNNING.format(url=api.url)) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Failed(f"the gateway at {api.url} broke off: {error or type(error).__name__}") from error

    return asyncio.run(asked())
