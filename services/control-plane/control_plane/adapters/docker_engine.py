"""A Docker engine asked through its SDK, off the loop, with its errors as ours."""

import asyncio
import socket
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from control_plane.domain.ports import LaunchFailed
from sage_contracts.errors import Unavailable

ASK_SECONDS = 10.0
RETRY_SECONDS = 5.0

T = TypeVar("T")


class DockerEngine:
    """
    The SDK is imported at its first use: it takes 18 MB, which a control-plane without containers need not pay.

    It is connected to at the first use as well: the Docker engine may come later, or go for a while.
    """

    def __init__(self, url: str, *, seconds: float = ASK_SECONDS) -> None:
        self._url = url
        self._seconds = seconds
        self._client: Any = None

    async def ask(self, question: Callable[[Any], T]) -> T:
        """
        What `question`, which is given the SDK's client, answers.

        Raises LaunchFailed with the engine's words for what it refuses, and Unavailable when it does not answer.
        """
        return await asyncio.to_thread(self._ask, question)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)

    def _ask(self, question: Callable[[Any], T]) -> T:
        sdk = import_module("docker")
        try:
            return question(self._connected(sdk))
        except sdk.errors.APIError as error:
            raise LaunchFailed(f"Docker refuses: {error.explanation or error}") from error
        except (sdk.errors.DockerException, OSError) as error:
            raise Unavailable(
                f"no Docker engine answers at {self._url}: start it, or name another in SAGE_CONTROL_PLANE_DOCKER_URL",
                retry_after=RETRY_SECONDS,
            ) from error

    def _connected(self, sdk: Any) -> Any:
        path = self._url.removeprefix("unix://")
        if path != self._url:
            with socket.socket(socket.AF_UNIX) as knock:  # the SDK leaves its socket open when nothing listens there
                knock.settimeout(self._seconds)
                knock.connect(path)
        if self._client is None:
            self._client = sdk.DockerClient(base_url=self._url, timeout=self._seconds)
        return self._client
