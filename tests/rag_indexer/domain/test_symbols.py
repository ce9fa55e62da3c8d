"""Where the symbols of each language begin: at their comments and decorators, and nowhere else."""

import time

import pytest

from rag_indexer.domain import symbols

TYPESCRIPT = """import x from "y";
// says what
@decorated()
export class Foo extends Bar {
  constructor(private a: string) {
    if (x) {
    }
  }
  async run<T>(a: T): Promise<void> {
    return foo(1);
  }
}
export const go = async (x: number) => {
  y();
};
const z = 3;
export default function main() {
  const inner = function (x) {
  }
}
interface Shape { a: string }
type Name = string;
"""
JAVA = """package a;
import b;
/**
 * says what
 */
@Foo
public class A<T> extends B {
    private int x = f(3);
    public static <T> List<T> of(T a, int b) throws E {
        return new ArrayList<>(a);
    }
    @Override
    public String toString() {
        if (x) { y(); }
        else if (z) {
        foo.bar(x);
    }
}
"""
C = """#include <x.h>
#define LIMIT 1
typedef struct node { int x; } node_t;
struct forward;
static int *foo(int a,
                int b)
{
    bar(1, 2);
    return x(3);
}
int declared(int a);
int global = 3;
void Shape::draw() const {
}
"""
GO = "package x\n// says what\nfunc (s *S) Foo(a int) error {\n}\ntype S struct {\n}\nfunc Bar() {\n}\n"
RUST = "use x;\n/// says\n#[derive(Debug)]\npub struct A { x: T }\nimpl<T> Foo for A<T> {\n    pub(crate) async fn go(&self) {\n    }\n}\n"
SHELL = "#!/bin/sh\nset -e\n# says\nstart() {\n  x\n}\nfunction stop {\n y\n}\nstart\n"
SQL = "create table if not exists a.b (\n x int);\nCREATE OR REPLACE FUNCTION f() returns int as $$\n"
RUBY = "module A\n  class B\n    def c(x)\n    end\n  end\nend\n"


@pytest.mark.parametrize(
    ("suffix", "text", "expected"),
    [
        (
            ".ts",
            TYPESCRIPT,
            ["2 Foo", "5 constructor", "9 run", "13 go", "16 ", "17 main", "18 inner", "21 Shape", "22 Name"],
        ),
        (".java", JAVA, ["3 A", "9 of", "12 toString"]),
        (".c", C, ["2 LIMIT", "3 node", "5 foo", "11 ", "13 Shape::draw"]),
        (".go", GO, ["2 Foo", "5 S", "7 Bar"]),
        (".rs", RUST, ["2 A", "5 Foo for A<T>", "6 go"]),
        (".sh", SHELL, ["3 start", "7 stop", "10 "]),
        (".sql", SQL, ["1 a.b", "3 f"]),
        (".rb", RUBY, ["1 A", "2 B", "3 c"]),
        (".toml", "a = 1\n# says\n[tool.x]\nb = 1\n[[y]]\n", ["2 tool.x", "5 y"]),
        (".yaml", "a:\n  b: 1\n# says\nservices:\n  x: 1\n- z\n", ["1 a", "3 services"]),
        (".tf", 'resource "aws" "main" {\n  x = 1\n}\n', ["1 aws main"]),
        (".css", "a,\n.b { c: d }\n", ["2 .b"]),
        (".lua", "local function f(x)\nend\n", ["1 f"]),
        (".r", "f <- function(x) {\n}\n", ["1 f"]),
        (".kt", "data class P(val x: Int)\nfun <T> go(x: T) {\n}\n", ["1 P", "2 go"]),
        (".cs", "namespace N {\n    public record R(int X);\n    void Go() {\n    }\n}\n", ["1 N", "3 Go"]),
    ],
)
def test_symbols_are_found_by_how_their_lines_look(suffix: str, text: str, expected: list[str]) -> None:
    found = symbols.starts(text.split("\n"), symbols.LANGUAGES[suffix])

    assert [f"{row + 1} {heading.text if heading else ''}" for row, _, heading in found] == expected


@pytest.mark.parametrize(
    "line",
    [
        "a" + "* " * 200_000,
        "a " * 200_000,
        "(" * 200_000,
        "class " * 50_000,
        "public " * 50_000,
        "const x" + " " * 200_000,
        "a b" + "<" * 299,
        "x = (" + "a, " * 99,
        "template<" + "a" * 300,
        "@a " * 100,
        'resource "' + "x" * 300,
        "a " * 60 + "(" * 170,
    ],
)
def test_no_line_is_waited_for(line: str) -> None:
    began = time.process_time()
    for language in set(symbols.LANGUAGES.values()):
        symbols.starts([line] * 5, language)

    assert time.process_time() - began < 2.0
