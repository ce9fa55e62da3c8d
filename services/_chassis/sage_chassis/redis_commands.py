"""Commands to Redis: on one server in one round trip, on a cluster to each node that has their keys."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError, ResponseError

Client = Redis | RedisCluster
"""Of `redis_client.connect`. A command's keys are all in one hash slot; neither MULTI nor WATCH works on a cluster."""

Argument = str | bytes | int | float
Command = Sequence[Argument]

LANES = 16
"""How many of one call's commands are under way at once on a cluster: each needs a connection."""

FAILURES = (RedisError, RedisClusterException, OSError)
"""All that redis-py raises; its cluster has an exception beside the others."""


async def send(redis: Client, *command: Argument) -> Any:
    """One plain command; redis-py has types only for its methods, which differ between its versions."""
    return await redis.execute_command(*command)


async def send_all(redis: Client, commands: Sequence[Command]) -> list[Any]:
    """
    Each command's answer, or the error it was answered with: one that is refused stops none of the others.

    A server does them in this order, not as a whole. A cluster does them in any order.
    """
    if isinstance(redis, RedisCluster):
        # Its own pipeline keeps to a node that has died, and MULTI in it runs every command in a thread of its own.
        lanes = asyncio.Semaphore(LANES)
        answers = await asyncio.gather(*(_in_turn(lanes, redis, one) for one in commands), return_exceptions=True)
        return [_refused(answer) for answer in answers]
    if len(commands) == 1:  # most are alone, and a pipeline costs half as much again
        try:
            return [await send(redis, *commands[0])]
        except ResponseError as error:
            return [error]
    async with redis.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute(raise_on_error=False)


async def _in_turn(lanes: asyncio.Semaphore, redis: Client, command: Command) -> Any:
    async with lanes:
        return await send(redis, *command)


def answered(answers: Sequence[Any]) -> list[Any]:
    """`answers` of `send_all`, the first error among them raised."""
    for answer in answers:
        if isinstance(answer, FAILURES):
            raise answer
    return list(answers)


def _refused(answer: Any) -> Any:
    """A cancellation or a fault of ours is nobody's answer."""
    if isinstance(answer, BaseException) and not isinstance(answer, FAILURES):
        raise answer
    return answer
