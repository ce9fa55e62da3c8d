"""Where functions, classes and their like begin in source code, told by how its lines look."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_indexer.domain.blocks import Heading

MAX_LINE = 300
"""Characters of a line that are looked at."""
MAX_INDENT = 8
"""Columns: what is defined deeper inside is part of what is around it."""

Start = tuple[int, bool, Heading | None]

_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|fileprivate|static|final|abstract|sealed|open|data|inner|case|partial"
    r"|readonly|export|default|declare|unsafe|implicit|override|inline|suspend|virtual|async|synchronized|native|extern"
    r"|const|constexpr|mutating|lazy|required|convenience|template<[^>]{0,80}>|@\w+)\s+)*"
)
_TYPES = _MODIFIERS + (
    r"(?:class|interface|enum(?:\s+class)?|record|struct|object|trait|protocol|extension|namespace|module|actor|union"
    r"|service|message|typedef\s+struct)\s+(?P<name>[A-Za-z_$][\w$.]*)(?![^{]*;\s*$)"
)
_FUNCTIONS = _MODIFIERS + r"(?:fun|func|def|function\s*\*?|sub)\s+(?:<[^>]{0,80}>\s*)?(?P<name>[\w$.?!:]+)"
_METHODS = (
    _MODIFIERS
    + r"(?:<[^>]{0,80}>\s+)?[A-Za-z_][\w.:<>\[\],?*&]{0,80}(?:\s+[\w.:<>\[\],?*&]{1,80}){0,3}?[\s*&]+"
    + r"(?P<name>~?[A-Za-z_][\w:~]*)\s*\((?:[^;]*|[^;]*\{.*)$"
)
_NO_NAMES = frozenset(
    [
        "if",
        "for",
        "while",
        "switch",
        "catch",
        "return",
        "else",
        "do",
        "try",
        "new",
        "throw",
        "await",
        "using",
        "lock",
        "synchronized",
        "sizeof",
        "typeof",
        "with",
        "when",
        "foreach",
        "elif",
        "case",
        "default",
        "assert",
        "delete",
        "yield",
        "super",
        "this",
    ]
)
_ABOVE = ("#", "//", "/*", "*", "@", "--", "[", ";;")
"""What a line right above a definition begins with when it belongs to it: a comment, a decorator, an attribute."""
_PREPROCESSOR = re.compile(r"#\s*(?:include|import|define|undef|if|ifdef|ifndef|elif|else|endif|pragma|region|!)")
_CLOSERS = frozenset({"}", "};", "})", "});", "end", "end;", ")", ");", "EOF", "fi", "done"})


@dataclass(frozen=True, slots=True)
class Language:
    patterns: tuple[re.Pattern[str], ...]
    max_indent: int = MAX_INDENT


def _language(*patterns: str, max_indent: int = MAX_INDENT) -> Language:
    return Language(tuple(re.compile(pattern) for pattern in patterns), max_indent)


_BRACES = _language(_TYPES, _FUNCTIONS, _METHODS)
_C = _language(_TYPES, _METHODS, r"#\s*define\s+(?P<name>\w+)", max_indent=4)
_SCRIPT = _language(
    _TYPES,
    _MODIFIERS + r"type\s+(?P<name>[\w$]+)",
    _FUNCTIONS,
    r"(?:export\s+)?(?:const|let|var)\s+(?P<name>[\w$]+)\s*(?::[^=]{0,100})?="
    r"\s*(?:async\s*)?(?:function\b|\([^)]{0,200}\)\s*(?::[^=]{0,80})?=>|[\w$]+\s*=>|class\b|\(\s*$)",
    r"(?:(?:public|private|protected|static|async|get|set|readonly|override|abstract)\s+)*[*#]?"
    r"(?P<name>[A-Za-z_$][\w$]*)\s*(?:<[^>]{0,80}>)?\([^;]*\{\s*",
)
_RUST = _language(
    r"(?:pub(?:\([^)]{0,40}\))?\s+)?(?:(?:async|unsafe|const|default|extern(?:\s+\"[^\"]{0,20}\")?)\s+)*"
    r"(?:fn|struct|enum|trait|mod|union|macro_rules!)\s+(?P<name>\w+)",
    r"(?:unsafe\s+)?impl(?:<[^>]{0,100}>)?\s+(?P<name>[^{]{1,120})",
)
_SQL = _language(
    r"(?i:create\s+(?:or\s+replace\s+)?(?:(?:temp|temporary|unique|materialized|external)\s+)*"
    r"(?:table|view|function|procedure|index|trigger|type|schema)\s+(?:if\s+not\s+exists\s+)?)(?P<name>[\w.\"`\[\]]+)"
)
_SECTIONS = _language(r"\[+(?P<name>[^\[\]]{1,200})\]+", max_indent=0)

LANGUAGES: dict[str, Language] = {
    suffix: language
    for suffixes, language in {
        ".py .pyi": _language(r"(?:async\s+)?(?:def|class)\s+(?P<name>\w+)"),
        ".js .mjs .cjs .jsx .ts .tsx .vue .svelte": _SCRIPT,
        ".java .cs .kt .kts .scala .swift .php .dart .groovy": _BRACES,
        ".c .h .cc .cpp .cxx .hpp .hh .cu .cuh .m .mm": _C,
        ".go": _language(r"func\s+(?:\([^)]{0,100}\)\s*)?(?P<name>\w+)", r"type\s+(?P<name>\w+)", max_indent=0),
        ".rs": _RUST,
        ".rb .ex .exs .jl .lua .pl .pm .ps1": _language(
            r"(?:local\s+)?(?i:def|defp|defmodule|defmacro|class|module|function|sub|struct)\s+(?P<name>[\w.:?!-]+)"
        ),
        ".sh .bash .zsh .fish": _language(
            r"(?:function\s+)?(?P<name>[\w:.-]+)\s*\(\s*\)", r"function\s+(?P<name>[\w:.-]+)"
        ),
        ".r": _language(r"(?P<name>[\w.]+)\s*(?:<-|=)\s*function\b"),
        ".sql": _SQL,
        ".proto .graphql .gql .thrift": _language(_TYPES, r"(?:type|input|query|mutation|rpc)\s+(?P<name>\w+)"),
        ".tf .hcl": _language(r"\w+(?P<name>(?:\s+\"[^\"]{1,80}\"){1,3})\s*\{.*", max_indent=0),
        ".yaml .yml": _language(r"(?P<name>[\w./\"'-]{1,100}):(?:\s.*)?", max_indent=0),
        ".toml .ini .cfg .conf .properties": _SECTIONS,
        ".css .scss .less": _language(r"(?P<name>[^{};]{1,200})\{.*", max_indent=0),
    }.items()
    for suffix in suffixes.split()
}


def starts(lines: Sequence[str], language: Language) -> list[Start]:
    """The rows where symbols begin, and where one has ended and something without a name follows."""
    return tidied(list(_found(lines, language)), lines)


def tidied(found: Sequence[Start], lines: Sequence[str]) -> list[Start]:
    """
    In order, each moved up to the comments and decorators that stand right above it.

    A start without a name, where something has ended, stays only if anything stands before the next one.
    """
    tidy: list[Start] = []
    named = -1
    for row, whole, heading in sorted(found, key=_in_order):
        begins = row
        if heading and heading.text:
            begins = named = _with_what_is_above(row, named, lines)
        while tidy and _is_nameless(tidy[-1]) and not _filled(lines, tidy[-1][0], begins):
            tidy.pop()
        if not tidy or tidy[-1][0] < begins:
            tidy.append((begins, whole, heading))
    while tidy and _is_nameless(tidy[-1]) and not _filled(lines, tidy[-1][0], len(lines)):
        tidy.pop()
    return tidy


def _in_order(start: Start) -> tuple[int, bool, int]:
    """By row; of those that end on one row the innermost first, and what begins there last."""
    heading = start[2] or Heading(0, "", "")
    return start[0], bool(heading.text), -heading.level


def _is_nameless(start: Start) -> bool:
    return not (start[2] and start[2].text)


def _filled(lines: Sequence[str], start: int, end: int) -> bool:
    return any(line.strip() for line in lines[start:end])


def _with_what_is_above(row: int, last: int, lines: Sequence[str]) -> int:
    indent = _indent(lines[row])
    while row - 1 > last:
        above = lines[row - 1].lstrip()
        if not above.startswith(_ABOVE) or _PREPROCESSOR.match(above):
            break
        if _indent(lines[row - 1]) != indent and not above.startswith("*"):
            break
        row -= 1
    return row


def _found(lines: Sequence[str], language: Language) -> Iterator[Start]:
    indent_of_last = ended = -1
    for row, line in enumerate(lines):
        stripped = line[: MAX_LINE + MAX_INDENT].strip()
        if not stripped:
            continue
        indent = _indent(line)
        if stripped in _CLOSERS:
            ended = indent if 0 <= indent <= indent_of_last else ended
            continue
        name = _name(stripped[:MAX_LINE], language) if indent <= language.max_indent else None
        if name:
            yield row, True, Heading(indent + 1, name, "")
            indent_of_last, ended = indent, -1
        elif 0 <= indent <= ended:
            yield row, False, Heading(ended + 1, "", "")
            ended = -1


def _name(line: str, language: Language) -> str | None:
    for pattern in language.patterns:
        match = pattern.match(line)
        if match is None:
            continue
        name = " ".join(match.group("name").replace('"', "").split()).strip("'`").rstrip(".:")
        if (
            name
            and name != "function"
            and name not in _NO_NAMES
            and line.split(None, 1)[0].rstrip("(") not in _NO_NAMES
        ):
            return name
    return None


def _indent(line: str) -> int:
    """In columns; a tab is four."""
    head = line[: len(line) - len(line.lstrip())][:100]
    return len(head.expandtabs(4))
