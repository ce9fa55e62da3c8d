"""Vectors of two sentences, from an embedding engine behind the gateway."""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("SAGE_URL", "http://127.0.0.1:8000") + "/v1", api_key="none")

answer = client.embeddings.create(
    model="sage-default",  # the first embedding engine there is; or name one
    input=["An engine is drained before it stops.", "Bern is a city."],
    encoding_format="float",
)
for row in answer.data:
    print(len(row.embedding), row.embedding[:3])
