"""Sessions on Redis whose text holds some words: most messages are passed over by the server itself."""

from collections.abc import Sequence

from sage_chassis.redis_client import reached
from sage_chassis.redis_commands import Argument, Client
from session_store.adapters.needles import needles
from session_store.adapters.redis_branches import messages_of
from session_store.adapters.redis_keys import parts
from session_store.adapters.redis_scripts import session_script
from session_store.domain.records import SessionKey
from session_store.domain.texts import text_of

_MATCH = session_script("match")

LOOKED_AT, ANSWERED = 500, 20
"""Messages of one session that one call looks at, and tells at most."""


async def holding(redis: Client, keys: Sequence[SessionKey], words: str) -> set[SessionKey]:
    found: set[SessionKey] = set()
    wanted = needles(words)
    places = dict.fromkeys(keys, 0)
    while places:
        calls: list[tuple[tuple[str, ...], list[Argument]]] = [
            (parts(key), [place, LOOKED_AT, ANSWERED, *wanted]) for key, place in places.items()
        ]
        async with reached():
            answers = await _MATCH.run_each(redis, calls)
        further: dict[SessionKey, int] = {}
        for key, (place, *lines) in zip(places, answers, strict=True):
            if any(words in text_of(message.content).casefold() for message in messages_of(lines)):
                found.add(key)
            elif place >= 0:
                further[key] = place
        places = further
    return found
