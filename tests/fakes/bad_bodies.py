"""Bodies that every POST route must refuse with a 4xx in the OpenAI envelope: never a 5xx, never a hang."""

BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "not an object": b"[1, 2]",
    "a bare string": b'"hello"',
    "null": b"null",
    "truncated": b'{"model": "m", "messages": [',
    "trailing text": b"{} {}",
    "bad UTF-8": b'{"model": "\xff\xfe"}',
    "lone surrogate": b'{"model": "\\ud800"}',
    "NaN": b'{"temperature": NaN}',
    "infinite number": b'{"temperature": 1e999}',
    "100,000-deep nesting": b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "5,000-digit integer": b'{"seed": ' + b"1" * 5_000 + b"}",
}

HUGE_BODY = b'{"model": "' + b"x" * 30_000_000 + b'"}'
"""30 MB: over the limit of 20 MiB, so a 413."""

BAD_IDS = ("a%2Fb", "..%2F..%2Fetc", "%2e%2e", "a%00b", "a%20b", "x" * 129, "%F0%9F%98%80", "a%0Ab")
"""As they stand in a URL's path: none may name a session or an engine."""
