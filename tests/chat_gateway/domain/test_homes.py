from chat_gateway.domain.homes import Homes


def test_every_engine_a_prefix_was_sent_to_is_a_home_of_it() -> None:
    homes = Homes()
    for engine in ("a", "b", "a"):
        homes.sent(b"x", engine)

    assert (homes.of(b"x"), homes.of(b"y")) == (("a", "b"), ())


def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    homes = Homes(remembered=2)
    for prefix in (b"1", b"2", b"1", b"3"):
        homes.sent(prefix, "a")

    assert [homes.of(prefix) for prefix in (b"1", b"2", b"3")] == [("a",), (), ("a",)]
