from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.domain.retrying import AT_LEAST, SHARE, WINDOW_SECONDS, RetryBudget


class Scene:
    def __init__(self) -> None:
        self.now = 1000.0
        self.budget = RetryBudget(lambda: self.now)

    def requests(self, count: int) -> None:
        for _ in range(count):
            self.budget.request()

    def retries(self, wanted: int = 1000) -> int:
        return sum(self.budget.retry() for _ in range(wanted))


def test_a_few_are_always_allowed() -> None:
    scene = Scene()
    scene.requests(1)

    assert scene.retries() == AT_LEAST


def test_of_much_traffic_a_share_is() -> None:
    scene = Scene()
    scene.requests(100)

    assert scene.retries() == SHARE * 100


def test_what_is_long_ago_does_not_count() -> None:
    scene = Scene()
    scene.requests(1000)
    used = scene.retries(150)
    scene.now += WINDOW_SECONDS + 1
    scene.requests(10)

    assert (used, scene.retries()) == (150, AT_LEAST)


@given(st.lists(st.tuples(st.sampled_from(["request", "retry"]), st.floats(0, 30)), max_size=300))
def test_within_any_window_no_more_than_the_share_or_the_few(events: list[tuple[str, float]]) -> None:
    scene = Scene()
    requests, retries = list[float](), list[float]()
    for kind, later in events:
        scene.now += later
        if kind == "request":
            scene.budget.request()
            requests.append(scene.now)
        elif scene.budget.retry():
            since = int(scene.now) - WINDOW_SECONDS + 1
            before = sum(at >= since for at in retries)
            assert before < max(AT_LEAST, SHARE * sum(at >= since for at in requests))
            retries.append(scene.now)
