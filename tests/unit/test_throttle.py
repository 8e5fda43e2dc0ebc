"""Wrong tokens are slowed down: by address, and from all strangers together."""

from __future__ import annotations

import pytest

from pilotfish.web import throttle
from pilotfish.web.throttle import ALLOWED, FREE_FAILURES, MAX_PENALTY_SECONDS, REMEMBERED, Throttle, bucket


class Clock:
    """Seconds that stand until they are moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def guess(held: Throttle, addresses: list[str]) -> int:
    """How many wrong tokens from there are looked at, one from each."""
    looked = 0
    for address in addresses:
        if not held.wait(address):
            held.failed(address)
            looked += 1
    return looked


def test_an_address_waits_twice_as_long_each_time_and_a_right_token_forgives() -> None:
    clock = Clock()
    held = Throttle(clock)
    assert guess(held, ["10.0.0.1"] * 50) == FREE_FAILURES + 1
    waits = []
    for _ in range(8):
        waits.append(held.wait("10.0.0.1"))
        clock.now += waits[-1]
        held.failed("10.0.0.1")
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, MAX_PENALTY_SECONDS]
    assert held.wait("10.0.0.2") == 0.0
    held.succeeded("10.0.0.1")
    assert held.wait("10.0.0.1") == 0.0


def test_however_many_addresses_guess_few_tokens_are_looked_at_and_who_is_known_waits_for_none_of_them() -> None:
    clock = Clock()
    held = Throttle(clock)
    held.succeeded("10.0.0.1")
    assert guess(held, [f"10.1.{n // 250}.{n % 250}" for n in range(1_000)]) == ALLOWED
    assert 0.0 < held.wait("10.2.0.1") <= 1.0
    assert held.wait("10.0.0.1") == 0.0
    looked = 0
    for second in range(60):
        clock.now += 1.0
        looked += guess(held, [f"10.3.{second}.{n}" for n in range(50)])
    assert looked == 60
    clock.now += 1.0
    assert held.wait("10.2.0.1") == 0.0
    clock.now += 10 * ALLOWED
    assert guess(held, [f"10.4.{n // 250}.{n % 250}" for n in range(1_000)]) == ALLOWED


def test_right_tokens_of_others_behind_one_proxy_do_not_make_guessing_there_free() -> None:
    clock = Clock()
    held = Throttle(clock)
    looked = 0
    for _ in range(1_000):
        if not held.wait("10.0.0.1"):
            held.succeeded("10.0.0.1")
        looked += guess(held, ["10.0.0.1"] * 5)
    assert looked == ALLOWED
    assert held.wait("10.9.9.9") == 0.0, "strangers do not wait for them"


def test_addresses_are_counted_as_what_one_caller_can_choose_from() -> None:
    assert bucket("2001:db8::1") == bucket("2001:db8::ffff:1") != bucket("2001:db8:0:1::1")
    assert bucket("::ffff:10.0.0.1") == bucket("10.0.0.1") != bucket("10.0.0.2")
    assert bucket("fe80::1%eth0") == bucket("fe80::2")
    assert {bucket(rubbish) for rubbish in ("", "unknown", "[", "x" * 60_000, "10.0.0.1:80", "testclient")} == {""}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "ALLOWED", 10 * REMEMBERED)
    held = Throttle(Clock())
    for n in range(REMEMBERED + 50):
        address = f"10.5.{n // 250}.{n % 250}"
        held.failed(address)
        held.succeeded(address)
        held.failed(address)
    assert len(held._failures) == len(held._known) == REMEMBERED
