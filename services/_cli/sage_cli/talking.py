"""A conversation in the terminal: one session, answers shown as they are made, and under each what it stands on."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sage_cli.api import API
from sage_cli.output import err, one_line, printable
from sage_contracts.chat import Citation


@dataclass(slots=True)
class Said:
    """`without` is why no document stands behind the text, where they were looked for."""

    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    without: str | None = None


class Conversation:
    """`session` names it, so that it can be gone on with; `collection` is the one looked into, where one is named."""

    def __init__(self, *, model: str, session: str | None, collection: str | None = None) -> None:
        self._model = model
        self._grounding: dict[str, Any] = {} if collection is None else {"rag": {"collection": collection}}
        self.session = session or f"cli-{uuid.uuid4().hex[:12]}"

    async def say(self, api: API, text: str, *, quietly: bool = False) -> Said:
        """Ask, print the answer as it comes unless `quietly`, and return it. Raises what sage_client raises."""
        asked = [{"role": "user", "content": text}]
        said = Said()
        opening = api.talk.stream_chat(asked, model=self._model, session_id=self.session, **self._grounding)
        async with await opening as stream:
            self.session = stream.session_id or self.session
            async for frame in stream:
                said.text += frame.text
                for choice in frame.choices:
                    context = (choice.delta.context if choice.delta else None) or {}
                    said.citations += _sources(context)
                    if isinstance(reason := context.get("reason"), str):
                        said.without = reason
                if not quietly:
                    print(printable(frame.text), end="", flush=True)
        if not quietly:
            print(flush=True)
            _tell_sources(said)
        return said


def _sources(context: dict[str, Any]) -> list[Citation]:
    """A gateway of another version may tell them otherwise: then there is nothing to show."""
    try:
        return msgspec.convert(context.get("citations", []), list[Citation])
    except msgspec.ValidationError:
        return []


def _tell_sources(said: Said) -> None:
    """Those that the answer cites, or why there are none."""
    if said.without is not None:
        err.print(f"without sources: {one_line(said.without)}", markup=False)
    for number, one in enumerate(said.citations, 1):
        if f"[{number}](" not in said.text:
            continue
        place = f"lines {one.lines[0]} to {one.lines[1]}"
        page = "" if one.page is msgspec.UNSET else f"page {one.page}, "
        err.print(f"[{number}] {one_line(one.filepath)}, {page}{place}", markup=False)
