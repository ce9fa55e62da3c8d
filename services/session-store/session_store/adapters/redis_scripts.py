"""Lua scripts on Redis, called by their hash; a server that has forgotten one, as after a restart, is told it again."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

Argument = str | bytes | int
Commands = Sequence[tuple[Argument, ...]]


class Script:
    """The file `lua/<name>.lua`; its keys all belong to one hash slot."""

    def __init__(self, name: str) -> None:
        self._source = (files("session_store.adapters") / "lua" / f"{name}.lua").read_bytes()
        self._sha = hashlib.sha1(self._source, usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, keys: Sequence[str], *args: Argument) -> Any:
        (answer,) = await self.run_each(redis, [(keys, args)])
        return answer

    async def run_each(
        self, redis: Redis, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]], *, before: Commands = ()
    ) -> list[Any]:
        """
        The script's answer to each call, all sent at once; the plain commands `before` go ahead of them.

        Each call is atomic, the whole is not. A call that fails is raised after the others have been made.
        """
        async with redis.pipeline(transaction=False) as pipe:
            for command in before:
                pipe.execute_command(*command)
            for keys, args in calls:
                pipe.execute_command("EVALSHA", self._sha, len(keys), *keys, *args)
            answers = await pipe.execute(raise_on_error=False)
        answers = _raised(answers, but=NoScriptError)[len(before) :]
        for index, (keys, args) in enumerate(calls):
            if isinstance(answers[index], NoScriptError):
                answers[index] = await send(redis, "EVAL", self._source, len(keys), *keys, *args)
        return answers


async def send(redis: Redis, *command: Argument) -> Any:
    """One plain command; redis-py has types only for its methods, which differ between its versions."""
    return await redis.execute_command(*command)  # type: ignore[no-untyped-call]


def _raised(answers: list[Any], *, but: type[RedisError]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, RedisError) and not isinstance(answer, but):
            raise answer
    return answers
