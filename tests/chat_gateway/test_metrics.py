"""What is measured, and what is never written down."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from tests.chat_gateway.stack import CHAT, Gateway, chat_body, first_frames, gateway, within
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.redis_server import RedisServer

Labels = dict[str, str]


async def measured(gate: Gateway) -> dict[str, list[tuple[Labels, float]]]:
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families((await gate.get("/metrics")).raw.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


CHAT_LABELS = {"gen_ai_operation_name": "chat", "gen_ai_request_model": "tiny"}


async def test_a_stream_is_measured(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(delay=0.02))) as gate:
        await gate.chat(stream=True, stream_options={"include_usage": True})
        told = await measured(gate)

    for name in ("request_duration", "time_to_first_token", "time_per_output_token"):
        assert told[f"gen_ai_server_{name}_seconds_count"] == [(CHAT_LABELS, 1.0)]
    assert told["gen_ai_client_token_usage_sum"] == [
        ({**CHAT_LABELS, "gen_ai_token_type": "input"}, 1.0),
        ({**CHAT_LABELS, "gen_ai_token_type": "output"}, 3.0),
    ]
    (_, first), (_, whole) = (
        told[f"gen_ai_server_{name}_seconds_sum"][0] for name in ("time_to_first_token", "request_duration")
    )
    assert 0.02 <= first <= whole - 0.02


async def test_other_operations_are_told_apart(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(), embedders=[FakeEngine("emb")]) as gate:
        await gate.post("/v1/completions", {"prompt": "x"})
        await gate.post("/v1/embeddings", {"input": "x"})
        told = await measured(gate)

    labels = [labels for labels, _ in told["gen_ai_server_request_duration_seconds_count"]]
    assert [tuple(one.values()) for one in labels] == [("text_completion", "tiny"), ("embeddings", "emb")]


async def test_a_model_the_fleet_does_not_know_is_no_label(shared_redis: RedisServer) -> None:
    upstream = FakeEngine("big")
    await upstream.start()
    async with gateway(shared_redis, upstream_url=upstream.url) as gate:
        await gate.chat(model="made-up-by-a-client")
        told = await measured(gate)
    await upstream.stop()

    ((labels, _),) = told["gen_ai_server_request_duration_seconds_count"]
    assert labels["gen_ai_request_model"] == "other"


async def test_attempts_and_interruptions_are_counted(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(silent_after=1))
    engine.next_scripts = [Script(), Script(cut_after=1), Script(status=503), Script(cut_at_once=True)]
    async with gateway(shared_redis, engine) as gate:
        for _ in range(4):
            await gate.chat(stream=True)
        async with gate.opened(CHAT, chat_body(stream=True)) as response:
            await first_frames(response, 1)
            response.close()
        await within(engine.left)
        told = await measured(gate)

    attempts = {labels["outcome"]: count for labels, count in told["sage_chat_gateway_engine_attempts_total"]}
    assert attempts == {"answered": 3.0, "rejected": 1.0, "dropped": 1.0}
    broken = {labels["by"]: count for labels, count in told["sage_chat_gateway_streams_interrupted_total"]}
    assert broken == {"engine": 1.0, "client": 1.0}


async def test_a_dropped_citation_is_counted(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(words=("See [7].",)))) as gate:
        gate.services.finds("The sky is blue.")
        await gate.chat(model="sage-default")
        told = await measured(gate)

    assert told["sage_chat_gateway_citations_dropped_total"] == [({}, 1.0)]


class Kept(logging.Handler):
    """Keeps every record. Put on once a gateway has started: servers set logging up anew, without pytest's own."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def kept_log() -> Iterator[Kept]:
    root, kept = logging.getLogger(), Kept()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        yield kept
    finally:
        root.removeHandler(kept)
        root.setLevel(level)


async def test_no_prompt_answer_or_session_reaches_a_log_or_a_label(shared_redis: RedisServer) -> None:
    engine = FakeEngine(script=Script(words=("wordsecret",)))
    engine.next_scripts = [
        Script(words=("wordsecret",)),
        Script(status=400, refusal="wordsecret"),
        Script(status=500, refusal="wordsecret"),
        Script(words=("wordsecret", "x"), cut_after=1),
    ]
    async with gateway(shared_redis, engine) as gate:
        with kept_log() as log:
            gate.services.finds("textsecret")
            for _ in range(5):
                await gate.chat("asksecret", model="sage-default", session_id="namesecret", stream=True)
            metrics = (await gate.get("/metrics")).raw.decode()

    told = [str(vars(record)) for record in log.records if record.name != "asyncio"]
    assert any("request finished" in one for one in told)
    assert "secret" not in "".join(told)
    assert "secret" not in metrics


async def test_the_receipt_is_in_the_debug_log_of_every_request(shared_redis: RedisServer) -> None:
    async with gateway(shared_redis, FakeEngine(script=Script(status=503))) as gate:
        with kept_log() as log:
            await gate.chat("a question")

    (told,) = [vars(one)["receipt"] for one in log.records if one.getMessage() == "engine chosen"]
    assert (told["engine_id"], [one["outcome"] for one in told["attempts"]]) == (None, ["rejected"])
