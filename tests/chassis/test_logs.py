"""One JSON object a line, with the id of its request."""

import json
import logging
import sys

from sage_chassis import logs
from sage_chassis.logs import JSONFormatter


def line(level: int = logging.INFO, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("a.b", level, __file__, 1, "engine %s", ("ejected",), None)
    vars(record).update(extra)
    told = json.loads(JSONFormatter("notes").format(record))
    assert isinstance(told, dict)
    return told


def test_an_event_with_its_fields() -> None:
    told = line(logging.WARNING, engine="e1", seconds=1.5, odd={1})

    assert told["time"].__class__ is str
    assert {name: told[name] for name in ("level", "service", "event", "logger", "engine", "seconds", "odd")} == {
        "level": "warning",
        "service": "notes",
        "event": "engine ejected",
        "logger": "a.b",
        "engine": "e1",
        "seconds": 1.5,
        "odd": [1],
    }


def test_a_line_belongs_to_its_request() -> None:
    assert "request_id" not in line()
    token = logs.request_id.set("abc-1")
    told = line()
    logs.request_id.reset(token)

    assert told["request_id"] == "abc-1"


def test_an_exception_is_in_the_same_line() -> None:
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        told = line(exc_info=sys.exc_info())

    assert "RuntimeError: boom" in str(told["exception"])
