"""
Forty facts stated over sixty turns, a window of four dialogs: which of them does each memory find when asked?

Asked in other words than they were stated in, against the real services: session-store on Valkey, rag-indexer on Qdrant
Edge with the encoder users have. `pytest -s` prints the table.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
from prometheus_client import CollectorRegistry

from rag_indexer.app import assemble as rag_indexer
from rag_indexer.app import create_app as rag_app
from rag_indexer.settings import Settings as RagSettings
from sage_chassis.client import ServiceClient
from sage_contracts import turns
from sage_contracts.sessions import Backend, NewMessage
from session_store.app import assemble, create_app
from session_store.settings import Settings
from tests.fakes.cluster import serve
from tests.fakes.redis_server import RedisServer

WINDOW = 4
BUDGET_TOKENS = 2_000
"""A quarter of it may be hits: some twenty short turns of the sixty."""


class Fact(NamedTuple):
    """
    `needle` is what must be told. `reach` says which memories can know it without an engine: `k` where somebody asked to
    have it remembered, `g` where it is said in a form that the rules read; vdb has every turn.
    """

    said: str
    asked: str
    needle: str
    reach: str


FACTS = [
    Fact("Remember that my locker code is 4711.", "Which number opens my locker?", "4711", "kg"),
    Fact("Please remember that my daughter Mia's birthday is 3 May.", "When was my daughter born?", "3 May", "kg"),
    Fact(
        "Remember that the wifi password of the cabin is otter-lake.",
        "How do I get online in the cabin?",
        "otter-lake",
        "kg",
    ),
    Fact(
        "Keep in mind that I must be at the dentist on Thursday at nine.",
        "When is my appointment with the dentist?",
        "Thursday",
        "k",
    ),
    Fact(
        "Don't forget that our budget for the kitchen is 12,000 euros.",
        "How much money may the kitchen cost?",
        "12,000",
        "kg",
    ),
    Fact("Remember: my blood type is AB negative.", "What type of blood do I have?", "AB negative", "kg"),
    Fact(
        "Note that the spare key lies under the blue flowerpot.", "Where did we hide the spare key?", "flowerpot", "k"
    ),
    Fact("Remember that my passport number is X83920.", "What is written in my passport?", "X83920", "kg"),
    Fact("Could you remember that my landlord is Mr. Ferreira?", "What's the name of the landlord?", "Ferreira", "k"),
    Fact("Remember that I take my coffee with oat milk.", "What goes into my coffee?", "oat milk", "k"),
    Fact(
        "Please keep in mind that the alarm code for the warehouse is 9035.",
        "How do I switch off the alarm of the warehouse?",
        "9035",
        "kg",
    ),
    Fact(
        "Remember my frequent flyer number is LH-55120.", "Which flyer number do I give the airline?", "LH-55120", "kg"
    ),
    Fact("请记住我的车牌号是京A88021。", "我的车牌是多少?", "京A88021", "kg"),
    Fact("记住，会议室的密码是2468。", "怎么进会议室?密码多少?", "2468", "kg"),
    Fact("记住我的护照放在书房抽屉里。", "护照放在哪里了?", "抽屉", "k"),
    Fact("I live in Lisbon.", "In which city is my home?", "Lisbon", "g"),
    Fact("I work at a bakery called Crumb & Co.", "Who is my employer?", "Crumb", "g"),
    Fact("My sister Ingrid is a carpenter.", "What does Ingrid do for a living?", "carpenter", "g"),
    Fact("Ingrid lives in Bergen.", "Where does my sister Ingrid live?", "Bergen", "g"),
    Fact("I am allergic to peanuts.", "Is there any food I must avoid?", "peanuts", "g"),
    Fact("My favourite colour is turquoise.", "Which colour do I like best?", "turquoise", "g"),
    Fact("I drive an old Volvo.", "What car do I have?", "Volvo", "g"),
    Fact("Tomas works for the city library.", "Where is Tomas employed?", "library", "g"),
    Fact(
        "Our production database runs on PostgreSQL 16.",
        "Which version is the production database?",
        "PostgreSQL 16",
        "g",
    ),
    Fact(
        "The deadline of Project Heron is 14 November.", "By when must Project Heron be finished?", "14 November", "g"
    ),
    Fact("I play the cello.", "Which instrument do I play?", "cello", "g"),
    Fact("My dog is called Biscuit.", "What is the name of my dog?", "Biscuit", "g"),
    Fact("Priya reports to Helena.", "Who is the boss of Priya?", "Helena", "g"),
    Fact("I prefer trains to planes.", "Do I rather take trains or fly?", "trains", "g"),
    Fact("我住在杭州。", "我的家在哪个城市?", "杭州", "g"),
    Fact("我的猫叫豆豆。", "我的猫名字叫什么?", "豆豆", "g"),
    Fact("李雷在华为工作。", "李雷在哪家公司上班?", "华为", "g"),
    Fact("我对海鲜过敏。", "我不能吃什么?会过敏吗?", "海鲜", "g"),
    Fact(
        "Yesterday we finally booked the ferry to Gotland for the summer.", "How do we travel to Gotland?", "ferry", ""
    ),
    Fact(
        "The plumber said fixing that pipe would come to 340 euros.",
        "What did the plumber want for the pipe?",
        "340",
        "",
    ),
    Fact("After the marathon my left knee hurt for a week.", "Which knee hurt after the marathon?", "left knee", ""),
    Fact(
        "For the party we ordered forty lanterns from a shop in Ghent.",
        "From where do the lanterns for the party come?",
        "Ghent",
        "",
    ),
    Fact(
        "Grandma taught me to bake rye bread with caraway.", "Which spice goes into grandma's rye bread?", "caraway", ""
    ),
    Fact(
        "It took three attempts before the drone survived its landing.",
        "How many attempts did the drone need?",
        "three attempts",
        "",
    ),
    Fact("周末我们一起爬了黄山,看到了日出。", "我们周末爬了哪座山?", "黄山", ""),
]
SMALL_TALK = [
    "How do I boil an egg?",
    "Tell me a joke about penguins.",
    "What is the tallest mountain in Europe?",
    "Can you translate good morning into Italian?",
    "Write a haiku about rain.",
    "Why is the sky blue?",
    "Thanks, that was nice!",
    "How long is a marathon?",
    "What rhymes with orange?",
    "Give me three names for a boat.",
    "Explain recursion to a child.",
    "讲一个笑话吧。",
    "What should I read next?",
    "How many bones has a shark?",
    "Say something encouraging.",
    "Which languages use the Cyrillic alphabet?",
    "How do bees find their way home?",
    "What is a palindrome?",
    "Suggest a slow song for the evening.",
    "明天会下雨吗?",
]
BACKENDS: list[Backend] = ["short_term", "vdb", "kv", "graph"]
REACH = {"kv": "k", "graph": "g"}


def turns_of_the_talk() -> list[str]:
    """Two facts, then some small talk, again and again."""
    assert (len(FACTS), len(SMALL_TALK)) == (40, 20)
    said: list[str] = []
    for number, talk in enumerate(SMALL_TALK):
        said += [FACTS[2 * number].said, talk, FACTS[2 * number + 1].said]
    return said


@asynccontextmanager
async def indexer(folder: Path) -> AsyncGenerator[str]:
    registry = CollectorRegistry()
    config = RagSettings(data_dir=str(folder), build_at_start=False)
    async with serve(rag_app(rag_indexer(config, registry), registry)) as url:
        yield url


@asynccontextmanager
async def store(redis: RedisServer, indexer_url: str, backend: Backend) -> AsyncGenerator[tuple[ServiceClient, str]]:
    registry = CollectorRegistry()
    config = Settings(redis_url=redis.url, memory_backend=backend, max_dialogs=WINDOW, indexer_url=indexer_url)
    async with serve(create_app(assemble(config, registry), registry)) as url, aiohttp.ClientSession() as http:
        yield ServiceClient(http, url, name="session-store", timeout=60), url


async def talked(client: ServiceClient, session_id: str) -> None:
    for number, text in enumerate(turns_of_the_talk()):
        asked = NewMessage(role="user", content=text)
        name = f"t{number}"
        opened = await client.call(turns.OPEN, turns.OpenTurn(turn_id=name, messages=[asked]), session_id=session_id)
        commit = turns.CommitTurn(
            turn_id=name,
            token=opened.token,
            branch=opened.branch,
            messages=[asked, NewMessage(role="assistant", content="I see.")],
        )
        await client.call(turns.COMMIT, commit, session_id=session_id)


async def remembered(url: str) -> None:
    """Once every turn has been remembered."""
    wanted = 'sage_session_store_memory_work_total{outcome="done",work="remember"} 60.0'
    async with aiohttp.ClientSession() as http, asyncio.timeout(60):
        while True:
            async with http.get(f"{url}/metrics") as response:
                if wanted in await response.text():
                    return
            await asyncio.sleep(0.05)


async def told(client: ServiceClient, session_id: str, fact: Fact, number: int) -> bool:
    asked = turns.OpenTurn(
        turn_id=f"q{number}",
        messages=[NewMessage(role="user", content=fact.asked)],
        question=fact.asked,
        budget_tokens=BUDGET_TOKENS,
    )
    opened = await client.call(turns.OPEN, asked, session_id=session_id)
    held = turns.HeldTurn(turn_id=asked.turn_id, token=opened.token, branch=opened.branch)
    await client.call(turns.ABANDON, held, session_id=session_id)
    assert opened.context.tokens + opened.context.hit_tokens <= BUDGET_TOKENS
    texts = [str(message.content) for message in opened.context.messages] + [hit.text for hit in opened.context.hits]
    return any(fact.needle in text for text in texts)


async def test_each_memory_finds_what_is_in_its_reach(shared_redis: RedisServer, tmp_path: Path) -> None:
    in_window = {fact.said for fact in FACTS} & set(turns_of_the_talk()[-WINDOW:])
    rows: list[tuple[str, int, int, int]] = []
    missed: dict[str, list[str]] = {}
    found: dict[str, set[str]] = {}
    async with indexer(tmp_path) as indexer_url:
        for backend in BACKENDS:
            session_id = f"recall-{backend}"
            async with store(shared_redis, indexer_url, backend) as (client, url):
                await talked(client, session_id)
                if backend != "short_term":
                    await remembered(url)
                answers = [await told(client, session_id, fact, number) for number, fact in enumerate(FACTS)]
            mark = REACH.get(backend, "")
            reach = [
                fact for fact in FACTS if (fact.said in in_window if backend == "short_term" else mark in fact.reach)
            ]
            found[backend] = {fact.said for fact, answer in zip(FACTS, answers, strict=True) if answer}
            missed[backend] = [fact.asked for fact in reach if fact.said not in found[backend]]
            rows.append((backend, len(reach), len(reach) - len(missed[backend]), len(found[backend])))

    print("\nmemory       in reach   found of these   share   found of 40")
    for backend_name, reach_count, hit_count, all_count in rows:
        share = hit_count / reach_count
        print(f"{backend_name:<12} {reach_count:>8}   {hit_count:>14}   {share:>5.0%}   {all_count:>11}")
        if missed[backend_name]:
            print("   missed:", *missed[backend_name], sep="\n     ")
    assert found["short_term"] == in_window
    assert {backend_name for backend_name, reach_count, hit_count, _ in rows if hit_count < 0.9 * reach_count} == set()
