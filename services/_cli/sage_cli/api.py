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
from sage_cli.failures import NOT_RUNNING, Failed
from sage_cli.home import Home
from sage_client.async_client import AsyncClient
from sage_client.exchanges import Limits
from sage_client.failures import NoBackendAvailable
from sage_contracts.errors import SageError, ServiceUnavailable

T = TypeVar("T")

APIBase = Annotated[
    str | None,
    typer.Option("--api-base", envvar="SAGE_API_BASE", help="The gateway's address; else the local stack's."),
]

CALL_SECONDS = 30.0
PATIENT = Limits(connect_seconds=5.0, silence_seconds=300.0)
AWAY = "no gateway answers at {url}: run `sage gateway start` first"


@dataclass(frozen=True, slots=True)
class API:
    """`client` for what the contracts describe, `talk` for chats, `http` for what else comes in a stream."""

    url: str
    http: aiohttp.ClientSession
    client: ServiceClient
    talk: AsyncClient


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
    async with aiohttp.ClientSession() as http, AsyncClient(url, limits=PATIENT) as talk:
        yield API(url, http, ServiceClient(http, url, name=f"the gateway at {url}", timeout=CALL_SECONDS), talk)


def ask(api_base: str | None, question: Callable[[API], Awaitable[T]]) -> T:
    """Run `question` against the gateway; what goes wrong becomes one sentence."""

    async def asked() -> T:
        async with connected(api_base) as api:
            try:
                return await question(api)
            except ServiceUnavailable as error:
                if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                    raise Failed(AWAY.format(url=api.url), exit_code=NOT_RUNNING) from error
                raise Failed(error.message) from error
            except NoBackendAvailable as error:
                if error.__cause__ is None:
                    raise Failed(AWAY.format(url=api.url), exit_code=NOT_RUNNING) from error
                raise Failed(error.reason) from error
            except SageError as error:
                raise Failed(error.message) from error

    return asyncio.run(asked())
