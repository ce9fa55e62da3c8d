"""The docs are true: every setting, error code, metric, route and link in them exists, and every one that exists is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sage_chassis.metrics import HTTPMetrics
from sage_contracts import errors
from tests.architecture.settings_table import PAGE, rendered, sections
from tests.architecture.test_contracts import FOLDERS, calls
from tests.architecture.tree import ROOT

DOCS = ROOT / "docs"
OF_TESTS = {"SAGE_REQUIRE_DOCKER", "SAGE_TEST_QDRANT_URL", "SAGE_TEST_REDIS_URL", "SAGE_URL"}
OF_OPTIONS = {"SAGE_API_BASE"}
OF_COMPOSE = {"SAGE_BASE_IMAGE", "SAGE_NGINX_IMAGE", "SAGE_REDIS_IMAGE", "SAGE_QDRANT_IMAGE"}
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md"])


def test_the_configuration_page_is_what_the_settings_say() -> None:
    assert rendered(PAGE.read_text()) == PAGE.read_text(), "run: python -m tests.architecture.settings_table"


def test_every_setting_says_what_it_is_for() -> None:
    assert [row.name for rows in sections().values() for row in rows if not row.description] == []


@pytest.mark.parametrize("code", sorted(errors.tree()))
def test_every_error_code_is_documented(code: str) -> None:
    assert re.search(
        rf"^\| {errors.tree()[code].status} \| `{code}` \| .+\|$", (DOCS / "api.md").read_text(), re.MULTILINE
    )


def test_the_readme_names_every_page() -> None:
    readme = (ROOT / "README.md").read_text()

    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_public_route_is_documented(folder: str) -> None:
    page = (DOCS / "api.md").read_text()
    paths = {path.path for path in calls(folder).values() if not path.path.startswith("/internal")}

    assert {path for path in paths if f"{path}`" not in page and f"{path}?" not in page} == set()


def metric_names() -> set[str]:
    registry = CollectorRegistry()
    HTTPMetrics(registry, "any")
    for folder in FOLDERS:
        module = import_module(f"{folder.replace('-', '_')}.metrics")
        own = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]
        (metrics,) = own
        metrics(registry)
    return {family.name for family in registry.collect()}


def test_every_metric_is_documented() -> None:
    page = (DOCS / "operations.md").read_text()

    assert {name for name in metric_names() if name not in page} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), f"{target} is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_in_the_docs_exists(page: Path) -> None:
    known = {row.name for rows in sections().values() for row in rows}
    known |= OF_TESTS | OF_COMPOSE | OF_OPTIONS

    assert {name for name in re.findall(r"\bSAGE_[A-Z_]+[A-Z]\b", page.read_text()) if name not in known} == set()
