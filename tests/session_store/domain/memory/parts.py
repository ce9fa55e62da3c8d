"""What the tests of memories are made of: a desk on each memory, a talk, a scribe that says what it is told to."""

from dataclasses import dataclass, field

from sage_contracts import sessions as wire
from sage_contracts import turns
from sage_contracts.errors import SageError
from session_store.domain.memory.relating import statements
from session_store.domain.records import SessionKey
from tests.session_store.parts import Desk, exchange

FACT = "Remember that my boat is called Albatross."
"""Every memory can know it: somebody asked for it, the rules can read it, and it is a turn."""

QUESTION = "What is the boat called?"


@dataclass
class ScriptedScribe:
    """`answers` are used up one a request; then `then` is said."""

    answers: list[str | SageError] = field(default_factory=list)
    then: str = '{"facts": []}'
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def write(self, instructions: str, text: str, *, max_tokens: int) -> str:
        assert max_tokens > 0
        self.asked.append((instructions, text))
        answer = self.answers.pop(0) if self.answers else self.then
        if isinstance(answer, SageError):
            raise answer
        return answer


async def say(desk: Desk, *texts: str, session_id: str = "s1", owner: str = "local") -> None:
    """A turn for each text, remembered when it returns."""
    for number, text in enumerate(texts):
        desk.clock.now += 1
        name = f"{desk.clock.now}-{number}"
        await desk.told(session_id, name, exchange(text, "I see."), owner=owner)
    await desk.remembered()


async def talk(desk: Desk, dialogs: int, session_id: str = "s1", owner: str = "local") -> None:
    """Of nothing."""
    await say(desk, *(f"Let us chat, part {number}?" for number in range(dialogs)), session_id=session_id, owner=owner)


async def ask(
    desk: Desk,
    question: str = QUESTION,
    *,
    session_id: str = "s1",
    owner: str = "local",
    budget: int | None = None,
    branch: str | None = None,
    model: str | None = None,
) -> turns.Context:
    asked = turns.OpenTurn(
        turn_id=f"look-{desk.clock.now}",
        messages=[wire.NewMessage(role="user", content=question)],
        question=question,
        budget_tokens=budget,
        branch=branch,
        model=model,
    )
    opened = await desk.turns.open(owner, session_id, asked)
    held = turns.HeldTurn(turn_id=asked.turn_id, token=opened.token, branch=opened.branch)
    await desk.turns.abandon(owner, session_id, held)
    return opened.context


def recalled(context: turns.Context) -> str:
    return "\n".join(hit.text for hit in context.hits)


def key(session_id: str = "s1", owner: str = "local") -> SessionKey:
    return SessionKey(owner, session_id)


def read(text: str) -> list[tuple[str, str, str]]:
    """Subject, key and value of each statement of the text."""
    return [(found.subject, found.key, found.value) for found in statements(text)]
