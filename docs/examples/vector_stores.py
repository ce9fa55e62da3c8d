"""The same through OpenAI's own API: a vector store is a collection, so that every model can answer from it."""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("SAGE_URL", "http://127.0.0.1:8000") + "/v1", api_key="none")
MANUAL = b"# Boiler\n\n## Pressure\n\nKeep the pressure of the boiler between 1.2 and 1.6 bar.\n"

store = client.vector_stores.create(name="boiler-manuals")
client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("boiler.md", MANUAL))

for hit in client.vector_stores.search(store.id, query="What pressure does the boiler need?").data:
    print(f"{hit.score:.2f} {hit.filename}: {hit.content[0].text.splitlines()[-1]}")

answer = client.chat.completions.create(
    model="sage-default",
    messages=[{"role": "user", "content": "What pressure does the boiler need?"}],
    max_tokens=60,
    extra_body={"rag": {"collection": store.id.removeprefix("vs_")}},
)
print(answer.choices[0].message.content)

for file in client.vector_stores.files.list(store.id):
    client.files.delete(file.id)
client.vector_stores.delete(store.id)
