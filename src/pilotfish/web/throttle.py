"""Slowing down who guesses tokens: each address for itself, and all strangers together."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_FAILURES = 10
MAX_PENALTY_SECONDS = 30.0
REMEMBERED = 1_000
"""Addresses that are remembered: whose failures, and where a right token came from; the oldest go first."""
ALLOWED = 100
"""Wrong tokens in a row from all strangers together, and from one address that is known, before they are paced."""
PER_SECOND = 1.0
"""Wrong tokens a second that are looked at from then on."""
OTHERS = ""
"""The bucket of whatever is no address."""


@dataclass(slots=True)
class _Allowance:
    """``left`` wrong tokens at the time ``at`` (seconds of the throttle's clock); it fills up again."""

    left: float
    at: float

    def wait(self, now: float) -> float:
        """Seconds until another token is looked at."""
        return max(0.0, (1.0 - self._now(now)) / PER_SECOND)

    def spend(self, now: float) -> None:
        """A token was wrong."""
        self.left, self.at = self._now(now) - 1.0, now

    def _now(self, now: float) -> float:
        return min(ALLOWED, self.left + (now - self.at) * PER_SECOND)


class Throttle:
    """After some wrong tokens an address has to wait, twice as long each time; while it waits nothing is looked at.
    However many addresses guess, of all strangers' tokens few are looked at; where a right one came from is no stranger
    and waits for its own wrong ones alone. ``clock``: seconds that only go on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._known: OrderedDict[str, _Allowance] = OrderedDict()
        self._strangers = _Allowance(ALLOWED, clock())

    def wait(self, address: str) -> float:
        """Seconds that an address still has to wait."""
        now, where = self._clock(), bucket(address)
        _, until = self._failures.get(where, (0, 0.0))
        return max(0.0, until - now, self._known.get(where, self._strangers).wait(now))

    def failed(self, address: str) -> None:
        """A wrong token came from there."""
        now, where = self._clock(), bucket(address)
        self._known.get(where, self._strangers).spend(now)
        count = self._failures.pop(where, (0, 0.0))[0] + 1
        over = count - FREE_FAILURES
        pause = min(MAX_PENALTY_SECONDS, 2.0 ** min(over - 1, 10)) if over > 0 else 0.0
        self._failures[where] = (count, now + pause)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """A right token came from there."""
        where = bucket(address)
        self._failures.pop(where, None)
        self._known.setdefault(where, _Allowance(ALLOWED, self._clock()))
        self._known.move_to_end(where)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def bucket(address: str) -> str:
    """An address as it is counted: of IPv6 the network of 64 bits, within which one caller can choose any."""
    try:
        where = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return OTHERS
    if isinstance(where, ipaddress.IPv4Address):
        return str(where)
    return str(where.ipv4_mapped or ipaddress.IPv6Network((where, 64), strict=False))
