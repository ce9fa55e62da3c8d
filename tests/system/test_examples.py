"""Every example of the docs runs, as it stands, against a stack."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.stack import Stack

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SAYS = {
    "curl.sh": ['"object":"list"', "[DONE]", "My name is Ada.", '"status":"deleted"', '"passages"'],
    "streaming.py": ["tokens from"],
    "sessions.py": ["What is my name?", "tokens of prompt", "told again: true", "on the branch otherwise"],
    "citations.py": ["[1]", "0004-a-turn-is-stored-before-done.md"],
    "retrieval.py": ["[1] uploads/harbour.md, lines", "The harbour master of Quillport is Ada Finch."],
    "vector_stores.py": ["boiler.md: Keep the pressure of the boiler between 1.2 and 1.6 bar.", "(uploads/boiler.md"],
    "embeddings.py": ["["],
    "client.py": ["straight from", "no engine serves 'no-such-model'", "2 answers at once"],
}
"""What each must have printed."""


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"}} == SAYS.keys()


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(real_stack: Stack, name: str) -> None:
    command = ["sh"] if name.endswith(".sh") else [sys.executable]
    done = subprocess.run(
        [*command, str(EXAMPLES / name)],
        env=os.environ | {"SAGE_URL": real_stack.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert [text for text in SAYS[name] if text not in done.stdout] == []
