"""One endpoint as a value: its route and its URL come from the same path."""

from msgspec import Struct

from sage_contracts.call import Call, Empty


class Page(Struct, frozen=True, kw_only=True):
    limit: int = 20
    after: str | None = None
    deep: bool = False


READ = Call("GET", "/things/{thing_id}/parts/{part}", Page, Empty)


def test_the_route_is_litestars() -> None:
    assert READ.route == "/things/{thing_id:str}/parts/{part:str}"


def test_the_last_part_may_hold_slashes() -> None:
    deep = Call("GET", "/things/{thing_id}/parts/{part}", Empty, Empty, ends_in_path=True)

    assert deep.route == "/things/{thing_id:str}/parts/{part:path}"
    assert deep.url(thing_id="a", part="b/c") == "/things/a/parts/b%2Fc"


def test_parts_of_a_path_are_escaped() -> None:
    assert READ.url(thing_id="a/../b", part="ü ?") == "/things/a%2F..%2Fb/parts/%C3%BC%20%3F"


def test_a_query_leaves_out_what_is_null() -> None:
    assert READ.url(Page(deep=True), thing_id="a", part="b") == "/things/a/parts/b?limit=20&deep=true"


def test_only_a_body_method_has_a_body() -> None:
    assert [Call(method, "/x", Page, Empty).has_body for method in ("GET", "DELETE", "POST", "PUT", "PATCH")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert not Call("POST", "/x", Empty, Empty).has_body
