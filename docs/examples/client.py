"""The client that comes with the gateway: through it, straight to the engines, and in asyncio."""

import asyncio
import os

from sage_client.async_client import AsyncClient
from sage_client.client import Client
from sage_client.failures import NoBackendAvailable

URL = os.environ.get("SAGE_URL", "http://127.0.0.1:8000")
HELLO = [{"role": "user", "content": "Say hello in one short sentence."}]

with Client(URL) as client:
    model = next(model.id for model in client.models().data if model.id != "sage-default")
    for frame in client.stream_chat(HELLO, model=model, max_tokens=20):
        print(frame.text, end="", flush=True)
    print()

with Client(URL, direct=True) as client:
    answer = client.chat(HELLO, model=model, max_tokens=20)
    print(f"straight from {answer.model}: {answer.text}")
    try:
        client.chat(HELLO, model="no-such-model")
    except NoBackendAvailable as error:
        print(error.reason)


async def main() -> None:
    async with AsyncClient(URL) as client:
        answers = await asyncio.gather(*(client.chat(HELLO, model=model, max_tokens=20) for _ in range(2)))
        print(len(answers), "answers at once")


asyncio.run(main())
