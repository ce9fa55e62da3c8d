"""The dependency rules of docs/architecture.md, executed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import MODULES, ROOT, SERVICES, inside, package_of

MAY_IMPORT = {
    "routes": {"routes", "domain"},
    "domain": {"domain"},
    "adapters": {"adapters", "domain"},
}
"""What code in each layer of a service may import from that same service."""

ONLY_IN = {
    "litestar": {"routes"},
    "sage_chassis": {"routes", "adapters"},
    "aiohttp": {"adapters"},
    "redis": {"adapters"},
    "qdrant_client": {"adapters"},
    "qdrant_edge": {"adapters"},
    "wordllama": {"adapters"},
    "tokenizers": {"adapters"},
    "psutil": {"adapters"},
    "yaml": {"adapters"},
    "pypdf": {"adapters"},
    "docx": {"adapters"},
    "selectolax": {"adapters"},
    "prometheus_client": set(),
}
"""Packages that only some layers may know; `app.py`, `metrics.py` and their like may know them all."""

CONTRACTS_MAY = {"msgspec", "sage_contracts"}
CHASSIS_MAY = {
    "aiohttp",
    "granian",
    "litestar",
    "msgspec",
    "prometheus_client",
    "redis",
    "sage_chassis",
    "sage_contracts",
    "uvloop",
}
REDIS_IN = {"bus.py", "redis_client.py", "redis_commands.py"}
CLIENT_MAY = {"aiohttp", "msgspec", "sage_client", "sage_contracts"}
EDGE_OF_A_SERVICE = {"app.py", "settings.py", "metrics.py", "__main__.py", "__init__.py"}


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import at line {node.lineno}"
            assert all(alias.name != "*" for alias in node.names), f"import * at line {node.lineno}"
            base = tuple((node.module or "").split("."))
            yield from ((*base, alias.name) for alias in node.names)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_flow_one_way(path: Path) -> None:
    package = package_of(path)
    parts = inside(path)
    layer = parts[0] if len(parts) > 1 else None

    for target in imports(path):
        top = target[0]
        if top in sys.stdlib_module_names:
            continue
        match package:
            case "sage_contracts":
                assert top in CONTRACTS_MAY, f"contracts import {top}"
            case "sage_chassis":
                assert top in CHASSIS_MAY, f"the chassis imports {top}"
                assert top != "redis" or parts[-1] in REDIS_IN, f"{parts[-1]} imports redis"
            case "sage_client":
                of_the_chassis = target[:2] == ("sage_chassis", "client")
                assert top in CLIENT_MAY or of_the_chassis, f"the client imports {'.'.join(target)}"
            case "sage_cli":
                assert top not in SERVICES, f"the CLI imports a service: {top}"
            case _:
                assert top not in SERVICES - {package}, f"a service imports a service: {top}"
                assert top not in {"sage_cli", "sage_client"}, "a service imports the CLI"
                if layer and top == package and len(target) > 1:
                    assert target[1] in MAY_IMPORT[layer], f"{layer} imports {'.'.join(target)}"
                if layer and top in ONLY_IN:
                    assert layer in ONLY_IN[top], f"{layer} imports {top}"


LATE = {"demo_engine.py"}
"""Needs a package that is not there on every machine, and says so itself."""


@pytest.mark.parametrize("path", [path for path in MODULES if path.name not in LATE], ids=named)
def test_nothing_is_imported_inside_a_function(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                assert not isinstance(inner, ast.Import | ast.ImportFrom), f"import inside {node.name}"


@pytest.mark.parametrize("path", [path for path in MODULES if package_of(path) in SERVICES], ids=named)
def test_a_service_has_only_the_known_places(path: Path) -> None:
    parts = inside(path)

    assert parts[0] in MAY_IMPORT.keys() | EDGE_OF_A_SERVICE


def test_a_violation_would_be_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("from chat_gateway.adapters import openai_engine\nimport redis.asyncio\n")

    assert list(imports(bad)) == [("chat_gateway", "adapters", "openai_engine"), ("redis", "asyncio")]
