"""One URL for a server, for Sentinels, for a cluster; what is none of them is refused at the start."""

import pytest
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from sage_chassis import redis_client
from sage_chassis.redis_urls import servers_of
from sage_chassis.settings import SettingsError, load
from tests.chassis.test_settings import Settings

GOOD = [
    "redis://r",
    "redis://user:pw@127.0.0.1:6379/3",
    "rediss://[::1]:6379/0?ssl_cert_reqs=none",
    "unix:///run/redis.sock",
    "redis+sentinel://a:26379,b:26380/sage/0",
    "redis+sentinel://:pw@a,b,c/sage?sentinel_password=x",
    "rediss+sentinel://a/sage/2",
    "redis+cluster://a:6379,b:6379",
    "redis+cluster://user:pw@[::1]:7000/0",
    "rediss+cluster://a",
]
BAD = [
    "http://r",
    "redis+sentinel://a:26379",
    "redis+sentinel:///sage",
    "redis+cluster://",
    "redis+cluster://a/3",
    "redis+cluster://a,",
    "redis+magic://a/b",
]


@pytest.mark.parametrize("url", GOOD)
def test_a_url_of_each_kind_is_a_setting(url: str) -> None:
    assert load(Settings, prefix="SAGE_X_", env={"SAGE_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_such_url_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="SAGE_REDIS_URL"):
        load(Settings, prefix="SAGE_X_", env={"SAGE_REDIS_URL": url})


def test_hosts_have_the_usual_ports_where_none_is_given() -> None:
    assert servers_of("redis+sentinel://a,[::1],c:1/m").nodes == (("a", 26379), ("::1", 26379), ("c", 1))
    assert servers_of("redis+cluster://a,[::1]:7000").nodes == (("a", 6379), ("::1", 7000))
    assert servers_of("redis+sentinel://a/m/3").master == "m"


async def test_the_client_is_told_all_that_the_url_says() -> None:
    client = redis_client.connect("rediss+sentinel://user:p%40w@a,b/sage/2?sentinel_password=x&ssl_cert_reqs=none")
    assert isinstance(client, Redis)
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert isinstance(pool, BlockingConnectionPool)
    told = pool.connection_kwargs
    asked = pool.sentinel_manager.sentinels[1].connection_pool.connection_kwargs
    await client.aclose()

    assert (told["username"], told["password"], told["db"], pool.service_name) == ("user", "p@w", 2, "sage")
    assert (asked["host"], asked["password"], asked.get("username")) == ("b", "x", None)
    assert "SSL" in pool.connection_class.__name__
    assert told["socket_timeout"] + asked["socket_timeout"] < redis_client.BUDGET_SECONDS


async def test_a_cluster_is_told_all_that_the_url_says() -> None:
    client = redis_client.connect("rediss+cluster://user:pw@a,b:7001/0?ssl_cert_reqs=none")
    assert isinstance(client, RedisCluster)
    told = client.connection_kwargs
    nodes = {(node.host, node.port) for node in client.startup_nodes}
    await client.aclose()

    assert (told["username"], told["password"], nodes) == ("user", "pw", {("a", 6379), ("b", 7001)})
    assert "SSL" in told["connection_class"].__name__
