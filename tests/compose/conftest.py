"""The real containers: one stack for the whole run, brought up as deploy/docker/up.sh does, under a project name and a port of its own."""

import os
import subprocess

import pytest
from pytest_docker.plugin import Services

from tests.compose.stack import ROOT, Stack, compose_command
from tests.fakes.cluster import free_port

ABOUT_IMAGES = {"SAGE_BASE_IMAGE", "SAGE_NGINX_IMAGE", "SAGE_REDIS_IMAGE", "SAGE_QDRANT_IMAGE", "SAGE_TAG"}
"""Of what the environment says to a stack, only this says something to the tests' own."""


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skips without a Docker engine, and fails instead where one is required."""
    try:
        # Asks the engine and needs the compose plugin: one command for both.
        probe = subprocess.run(["docker", "compose", "ls"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    else:
        if probe.returncode == 0:
            return
        reason = (probe.stderr.strip() or "docker compose failed").splitlines()[-1]
    if os.environ.get("SAGE_REQUIRE_DOCKER") == "1":
        pytest.fail(f"SAGE_REQUIRE_DOCKER=1, and no Docker engine with compose answers: {reason}")
    pytest.skip(f"no Docker engine with compose answers: {reason}")


@pytest.fixture(scope="session")
def docker_images(docker_engine: None) -> None:
    """The base images, from their registry or made here."""
    subprocess.run([ROOT / "deploy/docker/images.sh"], check=True, timeout=900)


@pytest.fixture(scope="session")
def docker_compose_command() -> str:
    own = " ".join(f"-u {name}" for name in os.environ if name.startswith("SAGE_") and name not in ABOUT_IMAGES)
    # Chosen once: a port that Docker chooses is another one after each restart of the container.
    return f"env {own} SAGE_GATEWAY_PORT={free_port()} {compose_command()}"


@pytest.fixture(scope="session")
def docker_compose_file() -> list[str]:
    """None by name: compose.sh chooses them, with the offline one where no registry is in reach."""
    return []


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return os.environ.get("SAGE_TEST_PROJECT") or f"sage-test-{os.getpid()}"


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    return ["build --quiet", "up --wait --wait-timeout 240"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return ["down --volumes --timeout 20"]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, docker_images: None, docker_compose_project_name: str) -> Stack:
    """Everything up and healthy. Where it does not come up, the failure says what the containers logged."""
    running = Stack(docker_compose_project_name)
    try:
        services: Services = request.getfixturevalue("docker_services")
    except Exception as error:
        logs = running.compose("logs", "--tail", "40")
        running.compose("down", "--volumes", "--timeout", "5")
        pytest.fail(f"{error}\n\n{logs}")
    running.url = f"http://127.0.0.1:{services.port_for('nginx', 8000)}"
    return running
