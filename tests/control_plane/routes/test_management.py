import io
from typing import Any

import pytest
from yarl import URL

from sage_contracts import management
from sage_contracts.call import Call
from tests.control_plane.engines import scripted_engine
from tests.control_plane.stack import ControlPlane
from tests.fakes.bad_bodies import BAD_BODIES, BAD_IDS, HUGE_BODY

BASE = "/v1/management"
WITH_BODY = ["/engines", "/engines/start", "/engines/register", "/engines/stop"]
WITHOUT_BODY = ["/engines/e1/drain", "/engines/e1/resume", "/engines/prune"]


async def test_the_service_tells_where_things_are(plane: ControlPlane) -> None:
    status, told = await plane.ask("GET", BASE)

    assert (status, told["service"], told["status"]) == (200, "control-plane", "running")
    assert told["endpoints"]["register"] == f"{BASE}/engines/register"


async def test_an_empty_fleet_is_an_empty_list(plane: ControlPlane) -> None:
    assert await plane.ask("GET", f"{BASE}/engines") == (200, {"engines": [], "count": 0})


async def test_engines_are_listed_by_state_and_model(plane: ControlPlane) -> None:
    async with scripted_engine("a") as first, scripted_engine("b") as second:
        await plane.register(first, engine_id="e1")
        await plane.register(second, engine_id="e2")
        await plane.ask("POST", f"{BASE}/engines/e2/drain")
        listed: list[list[str]] = []
        for query in ("", "?state=READY", "?model=b", "?state=READY&model=b", "?model=zzz"):
            _, told = await plane.ask("GET", f"{BASE}/engines{query}")
            assert told["count"] == len(told["engines"])
            listed.append([engine["engine_id"] for engine in told["engines"]])

    assert listed == [["e1", "e2"], ["e1"], ["e2"], [], []]


async def test_a_state_that_does_not_exist_is_a_400(plane: ControlPlane) -> None:
    status, told = await plane.ask("GET", f"{BASE}/engines?state=HAPPY")

    assert (status, told["error"]["code"]) == (400, "invalid_request")
    assert "state" in told["error"]["message"]


async def test_an_engine_is_read_by_its_id(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        registered = await plane.register(engine, engine_id="e1", metadata={"source": "mine", "rack": 3})
        status, told = await plane.ask("GET", f"{BASE}/engines/e1")

    assert status == 200
    assert told["engine_id"] == registered.engine_id == "e1"
    assert told["metadata"] == {"source": "registered", "rack": 3}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/engines/nope", None),
        ("GET", "/engines/nope/logs", None),
        ("DELETE", "/engines/nope", None),
        ("DELETE", "/engines/nope?drain=true", None),
        ("POST", "/engines/nope/drain", None),
        ("POST", "/engines/nope/resume", None),
        ("POST", "/engines/stop", {"engine_id": "nope"}),
        ("POST", "/engines/stop", {"engine_id": "nope", "drain": True}),
    ],
)
async def test_an_engine_nobody_knows_is_a_404(plane: ControlPlane, method: str, path: str, body: Any) -> None:
    status, told = await plane.ask(method, BASE + path, json=body)

    assert (status, told["error"]["code"], told["error"]["param"]) == (404, "engine_not_found", "engine_id")


@pytest.mark.parametrize("bad", BAD_IDS)
async def test_an_id_that_cannot_be_is_a_4xx(plane: ControlPlane, bad: str) -> None:
    for method, path in (("GET", ""), ("GET", "/logs"), ("DELETE", ""), ("POST", "/drain"), ("POST", "/resume")):
        url = plane.url.encode() + f"{BASE}/engines/{bad}{path}".encode()
        status = await raw(plane, method, url.decode())
        assert status in {400, 404, 405}, (method, path)


async def raw(plane: ControlPlane, method: str, url: str) -> int:
    """Ask with the path as it is written: yarl would decode and collapse it."""
    async with plane.http.request(method, URL(url, encoded=True)) as response:
        assert (await response.json())["error"]["message"]
        return response.status


async def test_ids_in_bodies_are_checked_too(plane: ControlPlane) -> None:
    for bad in ("", ".", "..", "a/b", "a b", "x" * 129, "\u2603"):
        status, told = await plane.ask("POST", f"{BASE}/engines/stop", json={"engine_id": bad})
        assert (status, told["error"]["param"]) == (400, "engine_id")


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.slow
async def test_a_bad_body_is_a_400(plane: ControlPlane, path: str, name: str) -> None:
    status, told = await plane.ask(
        "POST", BASE + path, data=BAD_BODIES[name], headers={"content-type": "application/json"}
    )

    assert status == 400
    assert told["error"]["code"] in {"invalid_request", "preset_not_found"}
    assert await plane.engines() == []


@pytest.mark.parametrize("path", WITHOUT_BODY)
@pytest.mark.parametrize("name", [name for name in BAD_BODIES if name != "empty"])
async def test_a_bad_body_is_a_4xx_also_where_none_is_needed(plane: ControlPlane, path: str, name: str) -> None:
    status, told = await plane.ask(
        "POST", BASE + path, data=BAD_BODIES[name], headers={"content-type": "application/json"}
    )

    assert (status, told["error"]["code"]) == (400, "invalid_request")


async def test_no_body_and_an_empty_object_are_the_same_where_none_is_needed(plane: ControlPlane) -> None:
    ways: list[dict[str, Any]] = [{}, {"json": {}}, {"data": b"  \n"}]
    for options in ways:
        assert await plane.ask("POST", f"{BASE}/engines/prune", **options) == (
            200,
            {"pruned_count": 0, "status": "success"},
        )


@pytest.mark.parametrize("path", [*WITH_BODY, *WITHOUT_BODY])
async def test_a_huge_body_is_a_413(plane: ControlPlane, path: str) -> None:
    status, told = await plane.ask(
        "POST", BASE + path, data=io.BytesIO(HUGE_BODY), headers={"content-type": "application/json"}
    )

    assert (status, told["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "fields",
    [
        {"deadline_seconds": -1},
        {"deadline_seconds": 1e9},
        {"deadline_seconds": "soon"},
        {"drain": "perhaps"},
        {"engine_id": None},
    ],
)
async def test_a_stop_that_makes_no_sense_is_a_400(plane: ControlPlane, fields: dict[str, Any]) -> None:
    status, told = await plane.ask("POST", f"{BASE}/engines/stop", json={"engine_id": "e1", **fields})

    assert (status, told["error"]["code"]) == (400, "invalid_request")


async def test_a_drain_that_is_neither_true_nor_false_is_a_400(plane: ControlPlane) -> None:
    status, told = await plane.ask("DELETE", f"{BASE}/engines/e1?drain=maybe")

    assert (status, told["error"]["code"]) == (400, "invalid_request")


async def test_unknown_routes_and_methods_say_so(plane: ControlPlane) -> None:
    status, told = await plane.ask("GET", f"{BASE}/nothing")
    other, refused = await plane.ask("PUT", f"{BASE}/engines")

    assert (status, told["error"]["code"]) == (404, "unknown_route")
    assert (other, refused["error"]["code"]) == (405, "method_not_allowed")


async def test_an_engine_that_was_only_registered_has_no_log_here(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        status, told = await plane.ask("GET", f"{BASE}/engines/e1/logs")

    assert (status, told["error"]["code"], told["error"]["param"]) == (409, "conflict", "engine_id")


@pytest.mark.parametrize("lines", ["0", "-1", "1001", "many", "1.5", "9" * 5000])
async def test_a_number_of_lines_that_makes_no_sense_is_a_400(plane: ControlPlane, lines: str) -> None:
    status, told = await plane.ask("GET", f"{BASE}/engines/e1/logs?lines={lines}")

    assert (status, told["error"]["code"]) == (400, "invalid_request")
    assert "lines" in told["error"]["message"]


async def test_backends_are_told_by_kind(plane: ControlPlane) -> None:
    async with scripted_engine("a") as first, scripted_engine("b") as second, scripted_engine("c") as third:
        await plane.register(first, engine_id="e1", max_concurrent_requests=4)
        await plane.register(second, engine_id="e2", engine_kind="embedding")
        await plane.register(third, engine_id="e3")
        await plane.ask("POST", f"{BASE}/engines/e3/drain")
        status, told = await plane.ask("GET", f"{BASE}/backends")

    assert status == 200
    totals = {name: value for name, value in told.items() if name.startswith(("total", "healthy"))}
    assert totals == {
        "total_llm_backends": 2,
        "total_embedding_backends": 1,
        "healthy_llm_backends": 1,
        "healthy_embedding_backends": 1,
    }
    assert told["llm_backends"][0] == {
        "instance_id": "e1",
        "host": "127.0.0.1",
        "port": first.port,
        "model_name": "a",
        "base_url": first.url,
        "is_healthy": True,
        "is_available": True,
        "active_requests": 0,
        "max_concurrent_requests": 4,
        "metadata": {"source": "registered"},
    }
    assert told["llm_backends"][1]["is_available"] is False
    assert told["timestamp"].endswith("Z")


async def test_the_status_tells_of_everything(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine, engine_id="e1")
        status, told = await plane.ask("GET", f"{BASE}/status")

    assert status == 200
    assert told["control_plane"] == {
        "running": True,
        "scheduling_policy": "power_of_two",
        "pending_requests": 0,
        "running_requests": 0,
        "registered_instances": 1,
    }
    assert [one["engine_id"] for one in told["engines"]] == ["e1"]
    assert told["managed_instances"] == []


async def test_a_machine_without_gpu_says_so(plane: ControlPlane) -> None:
    status, told = await plane.ask("GET", f"{BASE}/gpu")

    assert status == 200
    assert isinstance(told["gpus"], list)
    assert told["gpus"] or "nvidia-smi" in told["message"]


async def test_the_service_is_alive_ready_and_measured(plane: ControlPlane) -> None:
    async with scripted_engine("a") as engine:
        await plane.register(engine)
        _, alive = await plane.ask("GET", "/livez")
        ready_status, ready = await plane.ask("GET", "/readyz")
        async with plane.http.get(f"{plane.url}/metrics") as response:
            metrics = await response.text()

    assert alive["service"] == "control-plane"
    assert (ready_status, ready["checks"]["redis"]["ok"]) == (200, True)
    assert 'sage_control_plane_engines{state="READY"} 1.0' in metrics
    assert 'sage_control_plane_engines{state="ERROR"} 0.0' in metrics
    assert "sage_control_plane_leader 1.0" in metrics


def test_every_post_route_has_its_bad_bodies() -> None:
    calls = [call for call in vars(management).values() if isinstance(call, Call) and call.method == "POST"]
    paths = {call.path.removeprefix(BASE).replace("{engine_id}", "e1") for call in calls}

    assert paths == {*WITH_BODY, *WITHOUT_BODY}
