#!/bin/sh
# Models, a streamed chat, a session, a search, with nothing but curl.
set -eu
URL="${SAGE_URL:-http://127.0.0.1:8000}"

echo "# the models that can be asked for"
curl -sS --fail-with-body "$URL/v1/models"

echo "
# a streamed chat with the built-in assistant"
curl -sS --fail-with-body -N "$URL/v1/chat/completions" -H 'Content-Type: application/json' -d '{
  "model": "sage-default", "stream": true, "max_tokens": 40,
  "messages": [{"role": "user", "content": "How do I register an engine?"}]}'

echo "
# one turn of a session, and what is remembered of it"
curl -sS --fail-with-body "$URL/v1/chat/completions" -H 'Content-Type: application/json' -d '{
  "session_id": "curl-example", "max_tokens": 20,
  "messages": [{"role": "user", "content": "My name is Ada."}]}'
curl -sS --fail-with-body "$URL/sessions/curl-example"
curl -sS --fail-with-body -X DELETE "$URL/sessions/curl-example"

echo "
# passages of your documents"
curl -sS --fail-with-body "$URL/v1/retrieval/search" -H 'Content-Type: application/json' \
  -d '{"query": "how is an engine drained?", "top_k": 2}'
