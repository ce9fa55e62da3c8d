"""A streamed answer with the OpenAI SDK, frame by frame."""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("SAGE_URL", "http://127.0.0.1:8000") + "/v1", api_key="none")

# Leave out the built-in assistant to talk to an engine's own model, untouched.
model = next(model.id for model in client.models.list() if model.id != "sage-default")

stream = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "Say hello in one short sentence."}],
    max_tokens=40,
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    elif chunk.usage:
        print(f"\n[{chunk.usage.total_tokens} tokens from {model}]")
