"""`/memory…` over real sockets."""

import aiohttp

from tests.session_store.parts import Clock, Desk, Store, desk_over, exchange


async def test_the_memory_says_how_it_is_set_up(http: aiohttp.ClientSession) -> None:
    async with http.get("/memory/config") as response:
        told = await response.json()

    assert (told["backend"], told["max_dialogs"]) == ("short_term", 20)
    assert told["available_backends"] == ["short_term", "vdb", "kv", "graph"]
    assert (told["config"]["max_dialogs"], told["config"]["budget_tokens"]) == (20, 4_096)


async def test_the_memory_says_how_full_it_is(place: Store, clock: Clock) -> None:
    desk = desk_over(place, clock, max_dialogs=4)
    await talked(desk, "s1", 3)
    await talked(desk, "s2", 9)
    async with desk.served() as url, aiohttp.ClientSession(url) as http, http.get("/memory/stats") as response:
        told = await response.json()

    assert told == {
        "total_sessions": 2,
        "sessions": {
            "s1": {"backend": "short_term", "dialog_count": 3, "max_dialogs": 4, "usage_percent": 75.0},
            "s2": {"backend": "short_term", "dialog_count": 4, "max_dialogs": 4, "usage_percent": 100.0},
        },
    }


async def talked(desk: Desk, session_id: str, dialogs: int) -> None:
    for number in range(dialogs):
        await desk.told(session_id, str(number), exchange("q"))
