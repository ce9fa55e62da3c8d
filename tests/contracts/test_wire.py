"""The wire does not change by accident: each message has a golden file, which still decodes and encodes to itself."""

import importlib
import json
import pkgutil
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

import sage_contracts
from sage_contracts import errors
from sage_contracts.call import Call, Empty, Opaque

GOLDEN = Path(__file__).parent / "wire" / "v1"


def messages() -> dict[str, type[Struct]]:
    """Every struct that some Call sends or receives, as `module.Name`, and the error body."""
    found: dict[str, type[Struct]] = {"errors.ErrorBody": errors.ErrorBody}
    for info in pkgutil.iter_modules(sage_contracts.__path__):
        module = importlib.import_module(f"sage_contracts.{info.name}")
        for call in vars(module).values():
            if isinstance(call, Call):
                for kind in (call.request, call.response, call.query):
                    if kind not in {Empty, Opaque}:
                        found[f"{kind.__module__.removeprefix('sage_contracts.')}.{kind.__qualname__}"] = kind
    return found


MESSAGES = messages()


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_golden_message_decodes_and_encodes_to_itself(name: str) -> None:
    path = GOLDEN / f"{name}.json"
    assert path.exists(), f"no golden message: write {path.relative_to(GOLDEN.parents[3])}"
    golden = path.read_bytes()

    value = msgspec.json.decode(golden, type=MESSAGES[name])

    assert json.loads(msgspec.json.encode(value)) == json.loads(golden)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_from_a_newer_version_still_decodes(name: str) -> None:
    newer = json.loads((GOLDEN / f"{name}.json").read_bytes()) | {"a_field_of_the_future": {"deep": [1, None]}}

    msgspec.json.decode(json.dumps(newer).encode(), type=MESSAGES[name])


def test_no_golden_message_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == MESSAGES.keys() | {"errors.codes"}


def test_error_codes_and_statuses_are_the_golden_ones() -> None:
    told = {code: [kind.status, kind.type] for code, kind in sorted(errors.tree().items())}

    assert told == json.loads((GOLDEN / "errors.codes.json").read_bytes())
