"""Two turns of one session: the gateway remembers the first, the client sends only what is new."""

import os
import uuid

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("SAGE_URL", "http://127.0.0.1:8000") + "/v1", api_key="none")
model = next(model.id for model in client.models.list() if model.id != "sage-default")
session = f"example-{uuid.uuid4().hex[:8]}"

for question in ("My name is Ada and I live in Bern.", "What is my name?"):
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=60,
        extra_body={"session_id": session},
    )
    print(f"> {question}\n{answer.choices[0].message.content}\n[{answer.usage.prompt_tokens} tokens of prompt]\n")
