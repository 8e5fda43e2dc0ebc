"""Where the dashboard may listen: decided by what a name stands for, before anything starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pilotfish.app import listening
from pilotfish.app.config import environment
from pilotfish.app.listening import ListenError

TOKENS = {"admin_token": "an-admin-token", "view_token": "a-view-token"}


def lan_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0", "192.0.2.1", "::ffff:0.0.0.0", "fe80::1", "LAN"])
def test_a_public_bind_without_both_tokens_is_refused(host: str) -> None:
    host = lan_address() if host == "LAN" else host
    for env in ({}, {"admin_token": "a"}, {"view_token": "b"}, {"admin_token": " ", "view_token": "\t"}):
        with pytest.raises(ListenError, match="ADMIN_TOKEN and VIEW_TOKEN"):
            listening.check_host(dict(env), host)
    listening.check_host(dict(TOKENS), host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "localhost", "LOCALHOST", "127.1", "127.0.0.53", "::ffff:127.0.0.1"]
)
def test_this_machine_alone_needs_no_token(host: str) -> None:
    listening.check_host({}, host)


@pytest.mark.parametrize(
    "host",
    ["no-such-host.invalid", "http://127.0.0.1", "127.0.0.1:80", "a b", "é" * 80, "x" * 300, "127.0.0.1\0", "::1::2"],
)
def test_what_is_no_address_is_refused_by_name(host: str) -> None:
    with pytest.raises(ListenError, match="WEB_HOST="):
        listening.check_host(dict(TOKENS), host)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_is_taken_or_not_ours_is_refused(taken: int) -> None:
    with pytest.raises(ListenError, match="WEB_PORT"):
        listening.check_port("127.0.0.1", taken)
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:8080"):
        listening.check_port("192.0.2.1", 8080)
    free = listening.check_port("127.0.0.1", 0)
    assert free > 0
    assert listening.check_port("127.0.0.1", free) == free


def test_blank_values_count_as_absent_and_brackets_are_taken_off() -> None:
    blank = environment({"WEB_HOST": "  ", "ADMIN_TOKEN": "   ", "VIEW_TOKEN": "", "WEB_PORT": ""})
    assert blank == {}
    assert listening.address(blank) == ("127.0.0.1", 8080)
    assert listening.address(environment({"WEB_HOST": "[::1]"}))[0] == "::1"


def test_who_starts_it_is_told_the_address_and_how_to_sign_in_and_never_a_token() -> None:
    off = listening.greeting({}, "127.0.0.1", 8080)
    assert off[0] == "Dashboard: http://127.0.0.1:8080"
    assert "set ADMIN_TOKEN" in off[1]
    on = "\n".join(listening.greeting(dict(TOKENS), "::1", 81))
    assert "http://[::1]:81/login" in on
    assert not [token for token in TOKENS.values() if token in on]
    everywhere = listening.greeting(dict(TOKENS), "0.0.0.0", 80)[0]
    assert "0.0.0.0" not in everywhere


@pytest.mark.parametrize("entry", ["*", "0.0.0.0/0", "::/0", "proxy.lan", "127.0.0.1:80", "10.0.0.1/8", "[::1]", "/"])
def test_a_proxy_is_named_by_an_address_or_a_network_and_never_everybody(entry: str) -> None:
    env = environment({"WEB_TRUSTED_PROXIES": f"127.0.0.1, {entry}"})
    with pytest.raises(ListenError, match="WEB_TRUSTED_PROXIES"):
        listening.check(env)
    assert listening.proxies({}) == ()
    named = environment({"WEB_TRUSTED_PROXIES": " 127.0.0.1, ::1,172.18.0.0/16 "})
    assert listening.proxies(named) == ("127.0.0.1", "::1", "172.18.0.0/16")
