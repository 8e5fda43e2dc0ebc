"""Which logs of the chain are asked for, and which of those that come are wanted.

A provider can filter by wallets, some in each subscription; with many wallets one subscription without a filter asks
for all fills of the exchanges, and the filter is here. That costs the delivery of what the whole venue trades, so both
figures are kept: what wallet filters deliver, and what no filter does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pilotfish.polymarket.contracts import topic_of

VENUE_LOGS_A_DAY = 960_000
"""What the exchanges emit in a day, at the least: 1.20 thousand million trades from 2022-11-21 to 2026-04-28 are so
many a day on average, and later days have far more than earlier ones (Polymarket-v1 Database, arXiv 2606.04217)."""
DAY = 86_400
LEAST_SECONDS = 60.0
"""How long logs are counted before that is taken for a day's rate."""
REMEMBERED = 8_192
"""Logs that are known again when they come twice."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One subscription: fills that name one of ``wallets`` as maker, or as taker; of anybody where there are none."""

    wallets: tuple[str, ...] = ()
    as_maker: bool = True


def filters_for(
    wallets: Iterable[str], *, chunk: int, takers: bool, above: int, unfiltered: bool
) -> tuple[Filter, ...]:
    """The subscriptions for these wallets: ``chunk`` in each, also as ``takers`` where that is wanted; above so many
    wallets (0 = never) one without a filter. Where there is none now (``unfiltered``) it stays until a tenth fewer are
    left, so that one wallet more or less does not change everything each time."""
    ordered = sorted(wallets)
    most = above - max(1, above // 10) if unfiltered else above
    if above and len(ordered) > most:
        return (Filter(),)
    chunks = [tuple(ordered[i : i + chunk]) for i in range(0, len(ordered), chunk)]
    return tuple(Filter(one, as_maker) for one in chunks for as_maker in ((True, False) if takers else (True,)))


class Wanted(Enum):
    """What a log that came is to us: a leader's own fill, evidence of one as the counterparty, nothing, or a log that
    must be looked at before that can be said."""

    OWN = "own"
    COUNTERPARTY = "counterparty"
    NOTHING = "nothing"
    UNREADABLE = "unreadable"


class LogFilter:
    """Knows the wallets, the logs that came already over this connection, and how many came."""

    def __init__(self) -> None:
        self._topics: frozenset[str] = frozenset()
        self._seen: OrderedDict[tuple[str, str, str], bool] = OrderedDict()
        """(transaction, index, block) -> whether it was last taken back."""
        self._since = 0.0
        self._unfiltered = False
        self._came = self._matched = 0

    def watch(self, wallets: Iterable[str]) -> None:
        """Want logs of exactly these wallets."""
        self._topics = frozenset(topic_of(w) for w in wallets)

    def begin(self, now: float, *, unfiltered: bool) -> None:
        """Logs are counted anew from ``now`` (steady s) where they are filtered in another way than before."""
        if unfiltered != self._unfiltered or not self._since:
            self._unfiltered, self._since, self._came, self._matched = unfiltered, now, 0, 0

    def forget(self) -> None:
        """Another connection: what comes twice over two of them is looked at twice."""
        self._seen.clear()

    def take(self, raw: Any) -> Wanted:
        """What a log is to us, counted as delivered."""
        self._came += 1
        topics = raw.get("topics") if isinstance(raw, dict) else None
        if not isinstance(topics, list) or len(topics) != 4 or not isinstance(topics[2], str):
            return Wanted.UNREADABLE
        if topics[2].lower() in self._topics:
            self._matched += 1
            return Wanted.OWN
        if isinstance(topics[3], str) and topics[3].lower() in self._topics:
            self._matched += 1
            return Wanted.COUNTERPARTY
        return Wanted.NOTHING

    def came_before(self, raw: Any) -> bool:
        """True for a log that two subscriptions have brought; one that was taken back, or is there again after that,
        is another one."""
        tx, index, block = (raw.get(name) for name in ("transactionHash", "logIndex", "blockHash"))
        if not (isinstance(tx, str) and isinstance(index, str) and isinstance(block, str)):
            return False
        key, removed = (tx, index, block), raw.get("removed") is True
        if self._seen.get(key) is removed:
            return True
        self._seen[key] = removed
        self._seen.move_to_end(key)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return False

    def a_day(self, now: float) -> tuple[int | None, int | None]:
        """Logs a day that wallet filters deliver, and that no filter does, by what came until ``now`` (steady s);
        ``None`` where that is not known yet. While wallets are filtered for, the second is what is said of the venue.
        """
        spent = now - self._since
        if not self._since or spent < LEAST_SECONDS:
            return None, None if self._unfiltered else VENUE_LOGS_A_DAY
        matched = round(self._matched * DAY / spent)
        return matched, round(self._came * DAY / spent) if self._unfiltered else max(matched, VENUE_LOGS_A_DAY)
