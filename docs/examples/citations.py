"""An answer from your documents, with its sources; the first index is of this project's own docs."""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("SAGE_URL", "http://127.0.0.1:8000") + "/v1", api_key="none")

answer = client.chat.completions.create(
    model="sage-default",
    messages=[{"role": "user", "content": "Why is a turn stored before the client sees [DONE]?"}],
    max_tokens=120,
)
message = answer.choices[0].message
print(message.content)

context = message.to_dict()["context"]
if not context["evidence"]:
    print(f"\nNothing in the documents: {context['reason']}")
for number, source in enumerate(context["citations"], 1):
    print(f"[{number}] {source['title']}: {source['filepath']}")
