"""Turns of one session: the client sends only what is new, may repeat a turn safely, and ask a question otherwise."""

import os
import uuid

from openai import OpenAI

url = os.environ.get("SAGE_URL", "http://127.0.0.1:8000")
client = OpenAI(base_url=f"{url}/v1", api_key="none")
sessions = client.with_options(base_url=f"{url}/sessions")
model = next(model.id for model in client.models.list() if model.id != "sage-default")
session = f"example-{uuid.uuid4().hex[:8]}"


def ask(question: str, **headers: str) -> dict[str, str]:
    """Prints the answer; its headers."""
    raw = client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=60,
        extra_body={"session_id": session},
        extra_headers=headers,
    )
    answer = raw.parse()
    print(f"> {question}\n{answer.choices[0].message.content}\n[{answer.usage.prompt_tokens} tokens of prompt]\n")
    return raw.headers


ask("My name is Ada and I live in Bern.")

# A turn with a key of its own can be sent again when its answer was lost: it is neither generated nor stored twice.
for _ in range(2):
    headers = ask("What is my name?", **{"Idempotency-Key": "turn-2"})
print(f"The second time it was told again: {headers['Idempotency-Replayed']}\n")

# To ask otherwise, leave the session before the question, and ask. What was said there stays, on its own branch.
said = sessions.get(f"/{session}", cast_to=dict[str, list[dict[str, str]]])["messages"]
question = [message["id"] for message in said if message["role"] == "user"][-1]
sessions.post(f"/{session}/fork", body={"at": question, "before": True, "name": "otherwise"}, cast_to=object)
headers = ask("Where do I live?")
print(f"This turn is on the branch {headers['X-Sage-Branch']}.")
