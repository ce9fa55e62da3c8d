"""What the JSON of a message must hold if its text holds some words: what the server looks for first."""

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

_PLAIN = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
"""What JSON writes as it is."""

_TRIED = 3
_LAST_CASED = 0x1E943
"""No character behind it has another form."""


def needles(words: str) -> list[bytes]:
    """
    Any one of them is in every text that holds `words`, which are casefolded; ASCII letters are in lower case.

    A ligature, a long s or a sign that is folded to a Latin letter, as that of kelvin, may be passed over.
    """
    # Two s may be an eszett.
    plain = max((run for part in words.split("ss") for run in _PLAIN.findall(part)), key=len, default="")
    caseless = _longest(words, is_cased=False)
    if caseless and len(caseless) * 3 >= len(plain):
        return [caseless.encode()]
    if len(plain) > 1:
        return [plain.encode()]
    if cased := _longest(words, is_cased=True):
        written = _written()
        choices = [written.get(character, {character}) | {character} for character in cased[:_TRIED]]
        return sorted("".join(chosen).encode() for chosen in itertools.product(*choices))
    return [plain.encode()]


def _longest(words: str, *, is_cased: bool) -> str:
    """The longest run of letters beyond ASCII that are, or are not, written in several ways."""
    written = _written()
    wanted = [not c.isascii() and (c in written) == is_cased and (not is_cased or c.isalpha()) for c in words]
    return max(
        "".join(c if is_in else " " for c, is_in in zip(words, wanted, strict=True)).split(), key=len, default=""
    )


@cache
def _written() -> Mapping[str, set[str]]:
    """The other ways to write each character that has some."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for code in range(128, _LAST_CASED + 1):
        folded = chr(code).casefold()
        if folded != chr(code):
            for character in folded:
                found[character].add(chr(code))
    return dict(found)
