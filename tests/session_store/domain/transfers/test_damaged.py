"""Whatever stands in any place of what is sent: it is refused, or it can be used and taken out as anything else."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sage_contracts import sessions as wire
from sage_contracts import turns as turn_wire
from sage_contracts.errors import InvalidRequest
from tests.session_store.domain.transfers.test_transfers_formats import CHAT, ITEMS, OWN, changed
from tests.session_store.parts import Clock, desk_over, memory_store, said

LEARNT = {"id": "n1", "text": "a pin", "at_us": 1, "message_id": "m1"}
STATED = LEARNT | {"subject": "user", "key": "pin", "value": "12", "single": True}
OWN_WITH_NOTES = OWN | {
    "id": "own",
    "title": "mine",
    "memory": {"backend": "kv"},
    "notes": {
        "facts": [STATED | {"kind": "fact"}],
        "relations": [STATED | {"kind": "relation"}],
        "summaries": [LEARNT | {"kind": "summary", "last_message_id": "m2"}],
    },
}
ITEMS_OF_ALL_KINDS = [
    *ITEMS,
    {"role": "user", "content": [{"type": "input_image", "image_url": "x"}, {"type": "input_file", "file_id": "y"}]},
    {"type": "custom_tool_call", "call_id": "c2", "name": "n", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "x"}]},
    {"role": "assistant", "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}]},
]
CHAT_WITH_AN_IMAGE = changed(CHAT, "chat.history.messages.q.files", [{"type": "image", "url": "x"}])
SENT = {"own": [OWN_WITH_NOTES], "open-webui": CHAT_WITH_AN_IMAGE, "items": {"items": ITEMS_OF_ALL_KINDS}}
DAMAGE: list[Any] = [
    *(None, True, -1, 1.5, 10**18, -(10**18), 10**400, 1e300, "", "x", "m1", "\x00"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    *([], [5], ["x"], [[]], {}, {"x": []}, {"type": []}, [{"type": []}]),
]


def paths(value: Any, to: str = "") -> Iterator[str]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield f"{to}{key}"
        yield from paths(inner, f"{to}{key}.")


async def used(sent: Any) -> None:
    """Taken in, shown in every way there is, and talked on; InvalidRequest comes at once or not at all."""
    clock = Clock()
    desk = desk_over(memory_store(clock), clock, backend="kv")
    try:
        taken = await desk.transfers.take_in("local", sent)
    except InvalidRequest:
        return
    for summary in taken.sessions:
        shown: list[object] = [taken, await desk.sessions.read("local", summary.id)]
        shown.append(await desk.sessions.page("local", wire.ListQuery(q="x")))
        shown.append(await desk.remembering.items("local", summary.id))
        shown.append(await desk.transfers.export("local", summary.id, wire.ExportQuery(format="openai")))
        shown.append(await desk.transfers.export("local", summary.id, wire.ExportQuery(format="open-webui")))
        own = await desk.transfers.export("local", summary.id, wire.ExportQuery())
        asked = turn_wire.OpenTurn(turn_id="t", messages=[said("user")], question="my pin?")
        shown.append(await desk.turns.open("local", summary.id, asked))
        msgspec.json.encode(shown)
        await desk.transfers.take_in("local", msgspec.json.decode(msgspec.json.encode(own)))


@pytest.mark.slow
@pytest.mark.parametrize("name", SENT)
async def test_damage_in_any_place_is_refused_or_does_no_harm(name: str) -> None:
    sent = SENT[name]
    await used(sent)
    for path in paths(sent):
        for value in DAMAGE:
            damaged = changed({"sent": sent}, f"sent.{path}", value)["sent"]
            try:
                await used(damaged)
            except Exception as error:
                raise AssertionError(f"{path}: {value!r}") from error
