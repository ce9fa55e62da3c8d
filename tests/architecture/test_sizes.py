"""Short files, short functions, one sentence that says what a module is for."""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import MODULES, ROOT

LINES_A_MODULE = 400
LINES_A_FUNCTION = 60
BANNED = {"utils", "helpers", "common", "misc", "base", "manager", "handler", "service"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_modules_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LINES_A_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LINES_A_FUNCTION, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=named)
def test_a_module_opens_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=named)
def test_an_init_is_empty(path: Path) -> None:
    assert path.read_text() == ""


@pytest.mark.parametrize("path", [path for path in MODULES if "sage_contracts" not in path.parts], ids=named)
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert path.stem not in BANNED
