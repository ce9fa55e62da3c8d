"""What gateways are told of an engine's metadata."""

from typing import Any

import pytest

from control_plane.domain.fleets import Fleets
from tests.control_plane.domain.fakes import FakeCounts, FlakyRegistry, record


@pytest.mark.parametrize(
    ("metadata", "aliases", "weight"),
    [
        ({}, (), 1.0),
        ({"aliases": ["chat", "gpt"], "weight": 3}, ("chat", "gpt"), 3.0),
        ({"aliases": "chat", "weight": "3"}, (), 1.0),
        ({"aliases": ["", 7, None, "x" * 257, "ok"], "weight": True}, ("ok",), 1.0),
        ({"aliases": {"chat": 1}, "weight": 0}, (), 1.0),
        ({"weight": -1}, (), 1.0),
        ({"weight": float("inf")}, (), 1.0),
        ({"weight": float("nan")}, (), 1.0),
        ({"weight": 0.5}, (), 0.5),
    ],
)
async def test_aliases_and_weight_come_from_the_metadata(
    metadata: dict[str, Any], aliases: tuple[str, ...], weight: float
) -> None:
    registry = FlakyRegistry()
    registry.put(record(metadata=metadata))
    (engine,) = (await Fleets(registry, FakeCounts()).read()).engines

    assert (engine.aliases, engine.weight) == (aliases, weight)
