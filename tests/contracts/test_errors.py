"""An error crosses a hop and is raised again as the same class."""

import pytest

from sage_contracts import errors
from sage_contracts.errors import ErrorBody, ErrorDetail, SageError, from_body


@pytest.mark.parametrize("kind", errors.tree().values(), ids=lambda kind: kind.__name__)
def test_every_error_is_itself_after_a_hop(kind: type[SageError]) -> None:
    raised = kind("what happened", param="model", retry_after=3)

    again = from_body(kind.status, raised.body(), retry_after=3)

    assert (type(again), again.message, again.param, again.retry_after) == (kind, "what happened", "model", 3)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.Unauthenticated),
        (403, errors.Unauthenticated),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (418, errors.InvalidRequest),
        (429, errors.RateLimited),
        (500, errors.UpstreamError),
        (502, errors.UpstreamError),
        (503, errors.Unavailable),
    ],
)
def test_an_unknown_code_becomes_the_class_of_its_status(status: int, kind: type[SageError]) -> None:
    body = ErrorBody(error=ErrorDetail(message="m", type="t", code="of_the_future"))

    assert type(from_body(status, body)) is kind


def test_every_class_has_a_code_of_its_own() -> None:
    kinds = list(subclasses(SageError))

    assert len({kind.code for kind in kinds}) == len(kinds)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    lines = [line.split() for line in (errors.__doc__ or "").splitlines() if line.strip().startswith("*")]
    written = {(name, int(status), code) for _, name, status, code in lines}

    assert written == {(kind.__name__, kind.status, kind.code) for kind in subclasses(SageError)}


def subclasses(kind: type[SageError]) -> set[type[SageError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))
