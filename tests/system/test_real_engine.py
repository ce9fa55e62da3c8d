"""The stack as `make up` leaves it: llama.cpp answers, nothing is scripted."""

import uuid

import openai
import pytest

from tests.fakes.stack import Stack

MODEL = "smollm2-135m-instruct"


@pytest.fixture
def client(real_stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{real_stack.url}/v1", api_key="none", max_retries=0)


def test_the_demo_model_is_there(client: openai.OpenAI) -> None:
    assert {MODEL, "sage-default"} <= {model.id for model in client.models.list()}


def test_a_streamed_chat_says_something_and_ends(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Count from one to five."}],
        max_tokens=30,
        stream=True,
        extra_body={"ignore_eos": True},  # what it says is drawn by lot, and may else be one word
    )
    choices = [choice for chunk in stream for choice in chunk.choices]

    assert sum(bool(choice.delta.content) for choice in choices) > 3
    assert choices[-1].finish_reason in {"stop", "length"}


def test_the_engine_is_given_what_was_said_before(client: openai.OpenAI) -> None:
    session = f"real-{uuid.uuid4().hex[:8]}"
    prompts = []
    for question in ("My name is Ada.", "What is my name?"):
        answer = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": question}],
            max_tokens=20,
            extra_body={"session_id": session},
        )
        assert answer.usage is not None
        prompts.append(answer.usage.prompt_tokens)

    assert prompts[1] > prompts[0] + 10


def test_the_assistant_cites_the_docs(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="sage-default",
        messages=[{"role": "user", "content": "Why is a turn stored before the client sees [DONE]?"}],
        max_tokens=60,
    )

    context = answer.choices[0].message.to_dict()["context"]
    assert isinstance(context, dict)
    assert context["citations"][0]["filepath"] == "decisions/0004-a-turn-is-stored-before-done.md"


def test_embeddings_are_vectors(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="sage-default", input=["one", "two"], encoding_format="float")

    assert len(answer.data) == 2
    assert len(answer.data[0].embedding) == len(answer.data[1].embedding) > 100
    assert answer.data[0].embedding != answer.data[1].embedding
