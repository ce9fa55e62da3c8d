"""Lua scripts on Redis, called by their hash; a server that has forgotten one, as after a restart, is told it again."""

import hashlib
import secrets
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError

from sage_chassis.redis_commands import Argument, Client, Command, answered, send, send_all


class Script:
    """The file `lua/<name>.lua`, behind `lua/<prelude>.lua` if there is one; its keys all belong to one hash slot."""

    def __init__(self, name: str, *, prelude: str | None = None) -> None:
        names = [name] if prelude is None else [prelude, name]
        folder = files("session_store.adapters") / "lua"
        self._source = b"".join((folder / f"{part}.lua").read_bytes() for part in names)
        self._sha = hashlib.sha1(self._source, usedforsecurity=False).hexdigest()

    async def run(self, redis: Client, keys: Sequence[str], *args: Argument) -> Any:
        (answer,) = await self.run_each(redis, [(keys, args)])
        return answer

    async def run_each(
        self,
        redis: Client,
        calls: Sequence[tuple[Sequence[str], Sequence[Argument]]],
        *,
        before: Sequence[Command] = (),
    ) -> list[Any]:
        """
        The script's answer to each call, all sent at once; the plain commands `before` are done ahead of them.

        Each call is atomic, the whole is not. A call that fails is raised after the others have been made.
        """
        first: list[Any] = []
        if before and isinstance(redis, RedisCluster):
            # They are on other nodes, which know of no order.
            first = answered(await send_all(redis, before))
        sent: list[Command] = [] if first else list(before)
        sent += [("EVALSHA", self._sha, len(keys), *keys, *args) for keys, args in calls]
        answers = await send_all(redis, sent)
        answered([answer for answer in answers if not isinstance(answer, NoScriptError)])
        told = answers[len(sent) - len(calls) :]
        for index, (keys, args) in enumerate(calls):
            if isinstance(told[index], NoScriptError):
                told[index] = await send(redis, "EVAL", self._source, len(keys), *keys, *args)
        return told


def nonce() -> str:
    """Names one call, so that a script knows it again when redis-py repeats it because its answer was lost."""
    return secrets.token_hex(8)


def session_script(name: str) -> Script:
    """One that is given all keys of a session, as `redis_keys.parts` names them."""
    return Script(name, prelude="session")
