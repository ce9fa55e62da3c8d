"""The whole topology in containers: a real nginx, Redis, four services and a real llama.cpp engine."""

import json
import time
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.compose.stack import Stack

pytestmark = pytest.mark.timeout(900)  # the first test builds the images


def ready(stack: Stack, kind: str) -> list[str]:
    """The models of the READY engines of one kind, as far as the gateway lists them too."""
    listed = {model["id"] for model in stack.get("/v1/models").json()["data"]}
    engines = stack.get("/v1/management/engines", state="READY").json()["engines"]
    return [engine["model_id"] for engine in engines if engine["engine_kind"] == kind and engine["model_id"] in listed]


@pytest.fixture(scope="session")
def demo_model(stack: Stack) -> str:
    """The demo engine's model, once the control-plane has found it and the gateway has heard."""
    assert stack.eventually(lambda: ready(stack, "llm") != []), stack.compose("logs", "--tail", "30")
    return ready(stack, "llm")[0]


def index(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.get("/admin/index/status").json()
    return found


@pytest.fixture
def openai(stack: Stack) -> OpenAI:
    return OpenAI(base_url=f"{stack.url}/v1", api_key="none", timeout=120, max_retries=0)


def test_every_container_is_healthy(stack: Stack) -> None:
    health = {name: container["Health"] for name, container in stack.containers().items()}

    assert set(health.values()) == {"healthy"}, health
    assert {"nginx", "chat-gateway", "session-store", "rag-indexer", "control-plane", "redis", "demo-engine"} <= set(
        health
    )


def test_nothing_but_nginx_is_published_and_only_on_loopback(stack: Stack) -> None:
    assert stack.published() == {"nginx": {"127.0.0.1"}}


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/internal/fleet"])
def test_what_is_internal_is_not_routed(stack: Stack, path: str) -> None:
    response = stack.get(path)

    assert response.status_code == 404
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("service", ["chat-gateway", "session-store", "rag-indexer", "control-plane", "demo-engine"])
def test_no_service_runs_as_root(stack: Stack, service: str) -> None:
    assert stack.compose("exec", "-T", service, "id", "-u").strip() == "10001"


def test_the_gateways_image_carries_no_qdrant(stack: Stack) -> None:
    found = "import importlib.util as u; print(u.find_spec('qdrant_client'), u.find_spec('qdrant_edge'))"

    assert stack.compose("exec", "-T", "chat-gateway", "python", "-c", found).strip() == "None None"


def test_a_chat_streams_through_nginx_while_it_is_being_made(openai: OpenAI, demo_model: str) -> None:
    started = time.monotonic()
    arrivals = [
        time.monotonic() - started
        for chunk in openai.chat.completions.create(
            model=demo_model,
            messages=[{"role": "user", "content": "Count from one to twenty in words."}],
            max_tokens=64,
            stream=True,
            extra_body={"ignore_eos": True},  # what it says is drawn by lot, and may else be short
        )
        if chunk.choices and chunk.choices[0].delta.content
    ]

    assert len(arrivals) > 8
    assert arrivals[-1] - arrivals[0] > 0.2 * arrivals[-1], "all frames came at once, so something buffered them"


def test_embeddings_pass_through(openai: OpenAI, stack: Stack) -> None:
    assert stack.eventually(lambda: ready(stack, "embedding") != []), stack.compose("logs", "--tail", "30")
    answer = openai.embeddings.create(model=ready(stack, "embedding")[0], input=["a bee", "an ant"])

    assert len({len(one.embedding) for one in answer.data}) == 1


def test_a_session_remembers_its_turns(openai: OpenAI, stack: Stack, demo_model: str) -> None:
    for content in ("My name is Ada.", "What is my name?"):
        openai.chat.completions.create(
            model=demo_model,
            messages=[{"role": "user", "content": content}],
            max_tokens=16,
            extra_body={"session_id": "compose-memory"},
        )

    roles = [message["role"] for message in stack.get("/sessions/compose-memory").json()["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_the_assistant_cites_the_repositorys_own_docs(stack: Stack, demo_model: str) -> None:
    assert stack.eventually(lambda: index(stack).get("status") == "ready", within_seconds=120)
    question = {"role": "user", "content": "How do engines come and go?"}
    answer = stack.post("/v1/chat/completions", {"model": "sage-default", "messages": [question], "max_tokens": 24})

    message = answer.json()["choices"][0]["message"]
    assert message["context"]["citations"], json.dumps(message)
    assert message["context"]["citations"][0]["filepath"].endswith(".md")


def test_an_index_survives_a_restart(stack: Stack) -> None:
    assert stack.eventually(lambda: index(stack).get("status") == "ready", within_seconds=120)
    before = index(stack)["index"]["created_at"]
    stack.compose("restart", "rag-indexer")

    def back_with_the_same_index() -> bool:
        found = index(stack)
        return bool(found.get("status") == "ready" and found["index"]["created_at"] == before)

    assert stack.eventually(back_with_the_same_index)


@pytest.mark.parametrize("service", ["redis", "chat-gateway", "session-store", "control-plane", "demo-engine", "nginx"])
def test_a_container_that_ends_comes_back_and_chat_heals(stack: Stack, demo_model: str, service: str) -> None:
    stored = stack.post("/sessions", {"title": f"kept over the end of {service}"}).json()["id"]
    stack.compose("exec", "-T", "--user", "root", service, "sh", "-c", "kill -TERM 1")

    def chat_answers() -> bool:
        body = {"model": demo_model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        return stack.post("/v1/chat/completions", body).status_code == httpx.codes.OK

    def session_is_there() -> bool:
        return stack.get(f"/sessions/{stored}").status_code == httpx.codes.OK

    assert stack.eventually(chat_answers), stack.compose("logs", "--tail", "40")
    assert stack.eventually(session_is_there)
    assert stack.eventually(lambda: stack.containers()[service]["Health"] == "healthy")
