import pytest

from chat_gateway.adapters.guarded_sockets import is_forbidden
from chat_gateway.adapters.openai_engine import OpenAIEngines, Patience, engine_session
from chat_gateway.domain.ports import EngineRefused, Target


@pytest.mark.parametrize(
    ("host", "forbidden"),
    [
        ("169.254.169.254", True),
        ("169.254.1.1", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%2", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("0.0.0.0", True),
        ("::", True),
        ("224.0.0.1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.0.0.7", False),
        ("fd00::7", False),
        ("93.184.216.34", False),
    ],
)
def test_no_engine_is_where_clouds_keep_credentials(host: str, forbidden: bool) -> None:
    assert is_forbidden(host) == forbidden


@pytest.mark.parametrize("url", ["http://169.254.169.254/v1", "http://[::ffff:a9fe:a9fe]:80/v1", "http://0.0.0.0:1/v1"])
async def test_such_an_address_is_not_connected_to(url: str) -> None:
    async with engine_session() as http:
        engines = OpenAIEngines(http, Patience(connect=0.2))
        with pytest.raises(EngineRefused, match="no engine may be at this address"):
            await engines.open(Target("e", url), "/chat/completions", b"{}", streamed=True)
