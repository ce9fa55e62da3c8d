"""Where the values of a JSON text stand, found without building them: nothing here grows with how deep they nest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKENS = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[{}\[\],:\n]|[^\s{}\[\],:"]+')

Key = str | int | None


@dataclass(frozen=True, slots=True)
class Place:
    """
    A value: its first token, the row that it, or its key, begins at, and its own row, from 0.

    `path` are the keys and indices that lead to it. The list is reused: read it before the next value is asked for.
    """

    path: list[Key]
    said: str
    start: int
    row: int

    @property
    def opens(self) -> bool:
        return self.said in {"{", "["}


def places(text: str) -> Iterator[Place]:
    """In order, an object or array before what is in it. A text that is no JSON gives some places, and no error."""
    path: list[Key] = []
    objects: list[bool] = []
    row = start = 0
    for match in _TOKENS.finditer(text):
        said = match.group()
        if said == "\n":
            row += 1
        elif said in {"}", "]"}:
            if objects:
                objects.pop()
                path.pop()
        elif said == ",":
            if objects:
                last = path[-1]
                path[-1] = None if objects[-1] else (last + 1 if isinstance(last, int) else 0)
        elif said != ":":
            if objects and objects[-1] and path[-1] is None and said[0] == '"':
                path[-1], start = said[1:-1], row
                continue
            yield Place(path, said, start if objects and objects[-1] else row, row)
            if said in {"{", "["}:
                objects.append(said == "{")
                path.append(None if said == "{" else 0)
