"""Hand documents over, ask about them, and open each source at its lines."""

import os

import httpx
from openai import OpenAI

URL = os.environ.get("SAGE_URL", "http://127.0.0.1:8000")
COLLECTION = "quillport"
DOCUMENTS = {
    "harbour.md": "# Harbour\n\n## Master\n\nThe harbour master of Quillport is Ada Finch.\n",
    "lighthouse.md": "# Lighthouse\n\nThe lighthouse of Quillport stands on the north pier.\n",
}


http = httpx.Client(base_url=URL, timeout=60, event_hooks={"response": [httpx.Response.raise_for_status]})

documents = [{"name": name, "text": text} for name, text in DOCUMENTS.items()]
uploaded = http.post("/admin/index/documents", json={"collection": COLLECTION, "documents": documents}).json()

stream = OpenAI(base_url=f"{URL}/v1", api_key="none").chat.completions.create(
    model="sage-default",
    messages=[{"role": "user", "content": "Who is the harbour master of Quillport?"}],
    max_tokens=60,
    stream=True,
    extra_body={"rag": {"collection": COLLECTION, "top_k": 2}},
)
citations = []
for chunk in stream:
    for choice in chunk.choices:
        citations += choice.delta.to_dict().get("context", {}).get("citations", [])  # before any text
        print(choice.delta.content or "", end="", flush=True)
print()

for number, source in enumerate(citations, 1):
    path = f"/v1/retrieval/passages/{source['chunk_id']}"
    passage = http.get(path, params={"collection": source["collection"]}).json()
    first, last = passage["source"]["lines"]
    print(f"[{number}] {passage['source']['path']}, lines {first} to {last}: {passage['text'].splitlines()[-1]}")

for document in uploaded["documents"]:
    http.delete(f"/admin/index/documents/{document['id']}", params={"collection": COLLECTION})
http.delete("/admin/index", params={"collection": COLLECTION})
