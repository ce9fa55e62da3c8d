"""What can be told of the container files without an engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.compose.stack import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/[!_]*/pyproject.toml"))
DOCKERFILES = sorted((ROOT / "deploy/docker").glob("*Dockerfile"))


def third_party(service: str) -> set[str]:
    command = [sys.executable, "deploy/docker/requirements.py", "third-party", f"services/{service}"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {re.split(r"[^\w.-]", line)[0] for line in printed.splitlines()}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_in_compose(service: str) -> None:
    assert COMPOSE[service]["build"]["args"]["SERVICE"] == service


def test_only_nginx_publishes_a_port_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in COMPOSE.items() if "ports" in service}

    assert published == {"nginx": ["127.0.0.1:${SAGE_GATEWAY_PORT:-8000}:8000"]}


def test_whoever_is_needed_is_waited_for_until_healthy() -> None:
    conditions = {
        needed["condition"] for service in COMPOSE.values() for needed in service.get("depends_on", {}).values()
    }

    assert conditions == {"service_healthy"}


def test_the_images_pulled_are_those_that_compose_names() -> None:
    named = set(re.findall(r"\$\{(SAGE_\w+_IMAGE:-[^}]+)\}", (ROOT / "docker-compose.yml").read_text()))
    pulled = set(re.findall(r"\$\{(SAGE_\w+_IMAGE:-[^}]+)\}", (ROOT / "deploy/docker/images.sh").read_text()))

    assert pulled == named


def test_only_the_image_that_speaks_to_qdrant_carries_its_client() -> None:
    carriers = {service for service in SERVICES if any("qdrant" in name for name in third_party(service))}

    assert carriers == {"rag-indexer"}


def test_compose_files_keep_to_the_specification() -> None:
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, str(ROOT / "docker-compose.yml")], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_pass_hadolint(path: Path) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), path], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_build_with_the_classic_builder(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"^# syntax=|^RUN --|<<EOF", text, re.MULTILINE)
