import msgspec
import pytest

from chat_gateway.domain.ports import Whole
from chat_gateway.domain.refusing import passed_on
from sage_contracts.errors import ErrorBody, UpstreamError

ENVELOPE = b'{"error":{"message":"too long","type":"x","code":42,"extra":1}}'


def refusal(status: int, body: bytes, kind: str = "application/json") -> Whole:
    return Whole(status, kind, body, "7")


def test_a_good_answer_stays_as_it_is() -> None:
    answer = refusal(200, b"anything")

    assert passed_on(answer) is answer


@pytest.mark.parametrize("status", [400, 404, 413, 422, 429])
def test_an_engines_refusal_in_the_envelope_is_passed_on_verbatim(status: int) -> None:
    told = passed_on(refusal(status, ENVELOPE, "text/plain"))

    assert told == Whole(status, "application/json", ENVELOPE, "7")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"detail":"no such lora"}', "no such lora"),
        (b'{"detail":[{"loc":["body"]}]}', '[{"loc":["body"]}]'),
        (b'{"object":"error","message":"bad"}', "bad"),
        (b'{"error":"model missing"}', "model missing"),
        (b'{"error":{"message":5}}', '{"message":5}'),
        (b"plain words", "plain words"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"", "the engine answered 400"),
        (b"[]", "[]"),
        (b"x" * 9000, "x" * 500),
    ],
)
def test_any_other_refusal_is_wrapped(body: bytes, message: str) -> None:
    told = passed_on(refusal(400, body, "text/html"))

    assert told.content_type == "application/json"
    assert msgspec.json.decode(told.body, type=ErrorBody).error.message == message


@pytest.mark.parametrize("status", [301, 401, 403, 500, 501])
def test_what_is_not_the_clients_fault_is_an_upstream_error(status: int) -> None:
    with pytest.raises(UpstreamError):
        passed_on(refusal(status, ENVELOPE))


def test_a_refused_key_is_not_quoted() -> None:
    with pytest.raises(UpstreamError) as caught:
        passed_on(refusal(401, b'{"error":{"message":"Incorrect API key: sk-12"}}'))

    assert "sk-" not in caught.value.message
