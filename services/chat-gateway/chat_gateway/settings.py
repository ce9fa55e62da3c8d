"""What chat-gateway reads from the environment, beside the address it listens on."""

from typing import Annotated

from msgspec import Meta, Struct

from chat_gateway.domain.balancing import PolicyName
from chat_gateway.domain.ports import ANSWER_BYTES
from sage_chassis.settings import HTTP_URL, RedisURL
from sage_chassis.sse import PING_SECONDS

PREFIX = "SAGE_CHAT_GATEWAY_"
PORT = 8011


class Settings(Struct, frozen=True, kw_only=True):
    redis_url: RedisURL = "redis://127.0.0.1:6379/0"
    session_store_url: Annotated[
        str, Meta(pattern=HTTP_URL, description="Where session-store is.", extra={"env": "SAGE_SESSION_STORE_URL"})
    ] = "http://127.0.0.1:8012"
    rag_indexer_url: Annotated[
        str, Meta(pattern=HTTP_URL, description="Where rag-indexer is.", extra={"env": "SAGE_RAG_INDEXER_URL"})
    ] = "http://127.0.0.1:8013"
    control_plane_url: Annotated[
        str, Meta(pattern=HTTP_URL, description="Where control-plane is.", extra={"env": "SAGE_CONTROL_PLANE_URL"})
    ] = "http://127.0.0.1:8014"
    upstream_url: Annotated[
        str,
        Meta(
            pattern=HTTP_URL,
            description="An OpenAI-compatible server, asked when no engine is READY; /v1 is added to a bare host.",
            extra={"env": "SAGE_CHAT_BASE_URL"},
        ),
    ] = ""
    upstream_model: Annotated[
        str,
        Meta(
            description="The model behind sage-default: of the fleet where it is served, else of that server.",
            extra={"env": "SAGE_CHAT_MODEL"},
        ),
    ] = ""
    upstream_api_key: Annotated[
        str, Meta(description="The key for that server; no other is ever sent it.", extra={"env": "SAGE_CHAT_API_KEY"})
    ] = ""
    policy: Annotated[
        PolicyName,
        Meta(
            description="How an engine is chosen: round_robin, least_busy, power_of_two, session_affinity, "
            "prefix_affinity or weighted."
        ),
    ] = "power_of_two"
    queue_seconds: Annotated[
        float, Meta(gt=0, description="How long a request may wait while every engine of its model is at its limit.")
    ] = 30
    queue_length: Annotated[
        int, Meta(ge=0, description="How many requests of a model may wait; one more is a 429 at once.")
    ] = 1000
    connect_seconds: Annotated[float, Meta(gt=0, description="How long an engine may take to accept a connection.")] = 2
    first_byte_seconds: Annotated[
        float, Meta(gt=0, description="How long an engine may take until a streamed answer begins.")
    ] = 120
    idle_seconds: Annotated[float, Meta(gt=0, description="How long a streamed answer may pause.")] = 120
    answer_seconds: Annotated[
        float, Meta(gt=0, description="How long an answer that is not streamed may take as a whole.")
    ] = 600
    stream_seconds: Annotated[
        float, Meta(gt=0, description="How long a streamed answer may take as a whole, from its first byte on.")
    ] = 3600
    answer_bytes: Annotated[
        int,
        Meta(
            ge=1,
            description="How large an answer may be, in bytes, that the gateway holds: one that is not streamed, is "
            "stored in a session or may cite sources.",
        ),
    ] = ANSWER_BYTES
    ping_seconds: Annotated[
        float, Meta(gt=0, description="After how much silence of the engine a stream gets a comment line.")
    ] = PING_SECONDS
    fleet_poll_seconds: Annotated[
        float, Meta(gt=0, description="How often the fleet is fetched when no hint says that it changed.")
    ] = 30
    session_required: Annotated[
        bool,
        Meta(
            description="Whether a chat with a session is a 503 while session-store or Redis is away; else it goes on "
            "without memory and is not stored, and has the header X-Sage-Memory: off.",
            extra={"env": "SAGE_SESSION_REQUIRED"},
        ),
    ] = True
    turn_wait_seconds: Annotated[
        float, Meta(ge=0, description="How long a chat waits while another turn of its session is under way.")
    ] = 60
    commit_seconds: Annotated[
        float, Meta(ge=0, description="How long the storing of a turn is tried while session-store or Redis is away.")
    ] = 5
    rag_budget_tokens: Annotated[
        int, Meta(ge=0, description="How much of a prompt retrieved passages may take, in tokens as estimated.")
    ] = 1200
    rag_seconds: Annotated[float, Meta(gt=0, description="How long rag-indexer may take for a search.")] = 3
    source_url: Annotated[
        str,
        Meta(
            min_length=1,
            description="The address of a cited source, made of {path}, {anchor}, {line}, {last_line}, {page}, "
            "{collection} and {id}, the passage's own.",
        ),
    ] = "{path}#{anchor}"
    workflow_hint: Annotated[
        bool,
        Meta(
            description="Whether sage-default answers a wish for a workflow or pipeline with one sentence: that those "
            "are coming."
        ),
    ] = False
