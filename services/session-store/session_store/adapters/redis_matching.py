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

SESSIONS_AT_ONCE = 10
"""Of each, some megabytes are looked at."""


async def holding(redis: Client, keys: Sequence[SessionKey], words: str) -> set[SessionKey]:
    found: set[SessionKey] = set()
    wanted = needles(words)
    places = dict.fromkeys(keys, 0)
    while places:
        some = [(key, places.pop(key)) for key in list(places)[:SESSIONS_AT_ONCE]]
        calls: list[tuple[tuple[str, ...], list[Argument]]] = [
            (parts(key), [place, LOOKED_AT, ANSWERED, *wanted]) for key, place in some
        ]
        async with reached():
            answers = await _MATCH.run_each(redis, calls)
        for (key, _), (place, *lines) in zip(some, answers, strict=True):
            if any(words in text_of(message.content).casefold() for message in messages_of(lines)):
                found.add(key)
            elif place >= 0:
                places[key] = place
    return found
