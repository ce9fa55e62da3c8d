"""A conversation in the terminal: one session, answers shown as they are made."""

import uuid

from sage_cli.api import API


class Conversation:
    """`session` names it, so that it can be gone on with."""

    def __init__(self, *, model: str, session: str | None) -> None:
        self._model = model
        self.session = session or f"cli-{uuid.uuid4().hex[:12]}"

    async def say(self, api: API, text: str, *, quietly: bool = False) -> str:
        """Ask, print the answer as it comes unless `quietly`, and return it. Raises what sage_client raises."""
        said = [{"role": "user", "content": text}]
        pieces: list[str] = []
        async with await api.talk.stream_chat(said, model=self._model, session_id=self.session) as stream:
            self.session = stream.session_id or self.session
            async for frame in stream:
                pieces.append(frame.text)
                if not quietly:
                    print(frame.text, end="", flush=True)
        if not quietly:
            print(flush=True)
        return "".join(pieces)
