"""The trades that the store is measured with: many leaders, many tokens, BUY and SELL, each seen by the chain first and
confirmed by the API, with payloads as long as the venue's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.drive import Ask
from pilotfish.core.effects import NeedBook
from pilotfish.core.settings import policy_from
from pilotfish.core.trade import LeaderFill, Source
from pilotfish.core.units import MICRO, SECOND
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.polymarket.decode import decode_order_filled

AT = 1_800_000_000 * SECOND
LEADERS, TOKENS = 50, 500
FILLS = 5
"""Fills of one order of a leader: of fixed sizes one of five is copied, as ``bench_pages`` has it."""
APART = 5_000
"""Microseconds between two trades: 200 a second."""
CONFIRMED_TOGETHER = 100
"""Trades after which the API is read."""
PORTFOLIO = "main"
BANKROLL = 10**15


def wallet(i: int) -> str:
    """The ``i``-th leader."""
    return f"0x{int(_hash(i % LEADERS, 5), 16) >> 96:040x}"


def token(i: int) -> str:
    """The ``i``-th token, as long as the venue's."""
    return str(int(_hash(i % TOKENS, 6), 16))


@lru_cache(maxsize=1 << 16)
def _hash(i: int, what: int) -> str:
    return "0x" + sha256(f"{what} {i}".encode()).hexdigest()


def begin(at: int = AT) -> list[ev.Event]:
    """What stands before the first trade: a portfolio, leaders, markets and their books."""
    policy = policy_from({"per_market_cap_usdc": 10**12, "total_cap_usdc": 10**12, "per_leader_cap_usdc": 10**12})
    state = ev.PortfolioState(name=PORTFOLIO, bankroll=BANKROLL, cash=BANKROLL, policy=policy)
    events: list[ev.Event] = [ev.Restored(at=at, portfolios=(state,))]
    for i in range(LEADERS):
        second = at // SECOND
        events.append(
            ev.LeaderFollowed(
                at=at,
                leader=wallet(i),
                follow_from=at,
                floor_ts=second,
                cursor_ts=second,
                is_new=True,
                bootstrapped=True,
            )
        )
    for i in range(TOKENS):
        title = f"Will number {i} come up before the end of the year?"
        market = ev.Market(token_id=token(i), condition_id=_hash(i, 1), fetched_at=at, outcome="Yes", title=title,
                           slug=f"will-number-{i}-come-up-before-the-end-of-the-year")  # fmt: skip
        events.append(ev.MarketSeen(at=at, market=market))
    return events


def answer(ask: Ask, at: int) -> Iterator[ev.Event]:
    """The venue: a book whenever one is asked for."""
    if isinstance(ask, NeedBook):
        bids, asks = [(490_000, 10**12)], [(500_000, 10**12)]
        yield ev.BookSeen(at=at, book=make_book(ask.token_id, bids, asks, requested_at=at, received_at=at))


def trades(n: int, at: int = AT) -> Iterator[ev.Event]:
    """``n`` trades by the chain, each confirmed by the API soon after."""
    late: dict[str, list[LeaderFill]] = {}
    for i in range(n):
        now = at + (i + 1) * APART
        seen = chain_fill(i, now // SECOND * SECOND)
        yield ev.ChainFillSeen(at=now, fill=seen)
        late.setdefault(seen.leader, []).append(_listed(seen, i))
        if i % CONFIRMED_TOGETHER == CONFIRMED_TOGETHER - 1 or i == n - 1:
            for leader, fills in late.items():
                yield ev.ApiWindowRead(at=now, leader=leader, fills=tuple(fills), cursor_ts=now // SECOND)
            late = {}


def chain_fill(i: int, traded_at: int) -> LeaderFill:
    """The ``i``-th trade as its log: two BUYs of each token, then a SELL, each of :data:`FILLS` fills."""
    order = i // FILLS
    side = "SELL" if order // TOKENS % 3 == 2 else "BUY"
    shares = (20 + i % 90) * MICRO
    log = {
        **order_filled(_hash(order, 2), wallet(order), CTF_EXCHANGE_V2, side, token(order), shares,
                       shares * 495 // 1000, i % 7 * 100),
        "address": CTF_EXCHANGE_V2,
        "blockNumber": hex(80_000_000 + traded_at // SECOND // 2),
        "blockHash": _hash(traded_at // SECOND // 2, 3),
        "blockTimestamp": hex(traded_at // SECOND),
        "transactionHash": _hash(i, 4),
        "transactionIndex": hex(i % 90),
        "logIndex": hex(i % 400),
        "removed": False,
    }  # fmt: skip
    return decode_order_filled(log).observed(traded_at, msgspec.json.encode(log).decode())


def _listed(fill: LeaderFill, i: int) -> LeaderFill:
    """The same trade as the Data API lists it."""
    return LeaderFill(
        source=Source.API, leader=fill.leader, tx_hash=fill.tx_hash, token_id=fill.token_id, side=fill.side,
        shares=fill.shares, usdc=fill.usdc, traded_at=fill.traded_at, condition_id=_hash(i // FILLS % TOKENS, 1),
        outcome="Yes", title="Will it come up?", slug="number",
    )  # fmt: skip
