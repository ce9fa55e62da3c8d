from ipaddress import ip_address

import pytest

from control_plane.domain import addressing
from control_plane.domain.addressing import Policy, policy
from sage_contracts.errors import AddressRefused

REFUSED_ALWAYS = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "::",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "2002:a9fe:a9fe::1",
    "2002:7f00:1::",
    "2001:db8::1",
    "::ffff:169.254.170.2",
    "::ffff:100.100.100.200",
    "::ffff:6464:64c8",
    "64:ff9b::6464:64c8",
    "2002:6464:64c8::",
    "203.0.113.9",
    "198.51.100.7",
    "100::1",
]

NOT_IN_ITS_USUAL_FORM = [
    "",
    " ",
    "2130706433",
    "2852039166",
    "0x7f000001",
    "0x7f.0.0.1",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "169.254.43518",
    "10.0.0.256",
    "1.2.3.4.5",
    "0x",
    "127.0.0.1.",
    "localhost.",
    ".localhost",
    "a..b",
    "-a",
    "a-",
    "a b",
    "a\nb",
    "a\x00b",
    "127.0.0.1:80",
    "localhost:80",
    "localhost/health",
    "http://localhost",
    "user@localhost",
    "user:pass@10.0.0.1",
    "10.0.0.1#x",
    "10.0.0.1?x",
    "10.0.0.1%2f",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "127\u30020\u30020\u30021",
    "\u24dbocalhost",
    "bücher.example",
    "[::1",
    "::1]",
    "[127.0.0.1]]",
    "::1%lo",
    "fe80::1%eth0",
    "[fe80::1%25eth0]",
    "a" * 64,
    "a." * 127,
]


@pytest.mark.parametrize("text", REFUSED_ALWAYS)
def test_no_engine_may_be_there_whatever_is_allowed(text: str) -> None:
    everything = policy(allow_loopback=False, networks=["private", "fd00::/8", "169.254.0.0/16", "100.64.0.0/10"])

    with pytest.raises(AddressRefused) as caught:
        everything.check(ip_address(text))
    assert caught.value.param == "host"


@pytest.mark.parametrize("text", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_for_local_mode(text: str) -> None:
    Policy(allow_loopback=True).check(ip_address(text))
    with pytest.raises(AddressRefused, match="local mode"):
        Policy(allow_loopback=False).check(ip_address(text))


@pytest.mark.parametrize(
    "text", ["10.1.2.3", "172.16.0.1", "192.168.9.9", "100.64.1.1", "fd12::1", "8.8.8.8", "2606:4700::1111"]
)
def test_private_networks_and_the_internet_are_allowed_by_default(text: str) -> None:
    Policy().check(ip_address(text))


def test_only_listed_private_networks_are_allowed_when_there_is_a_list() -> None:
    narrow = policy(allow_loopback=True, networks=["10.1.0.0/16"])

    narrow.check(ip_address("10.1.2.3"))
    for text in ("10.2.0.1", "192.168.0.1", "fd12::1", "::ffff:10.2.0.1"):
        with pytest.raises(AddressRefused, match="not allowed"):
            narrow.check(ip_address(text))


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "privat", ""])
def test_a_network_that_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        policy(allow_loopback=True, networks=[text])


@pytest.mark.parametrize("text", NOT_IN_ITS_USUAL_FORM)
def test_another_spelling_of_an_address_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        addressing.host(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("LocalHost", "localhost"),
        ("gpu-1.lan", "gpu-1.lan"),
        ("chat_gateway", "chat_gateway"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]", "::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("4gpu", "4gpu"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_host_is_kept_in_one_spelling(text: str, kept: str) -> None:
    assert addressing.host(text) == kept


def test_an_ipv6_host_stands_in_brackets_in_a_url() -> None:
    assert addressing.base_url("::1", 80) == "http://[::1]:80"
    assert addressing.base_url("gpu", 80) == "http://gpu:80"
