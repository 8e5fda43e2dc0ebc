"""A long and busy past for measuring, as a pull would leave it behind: a thousand trades a day of one wallet, on forty
markets at a time, with strangers on the tape after each. What is measured in it depends on its length alone.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pilotfish.core.fees import FeeSchedule
from pilotfish.core.units import MICRO
from pilotfish.history.columns import SHAPES
from pilotfish.history.folder import History
from pilotfish.history.records import PastMarket, PricePoint
from pilotfish.history.windows import State, Window

DAY, HOUR = 86_400, 3_600
FROM_AT = 1_600_000_000 // DAY * DAY
A_DAY = 1_000
"""Trades of the wallet a day."""
OF_A_MARKET = 250
LIFE = 10 * DAY
TURN = 25
"""Every so many trades everything is sold."""
FILE_DAYS = 30
WALLET = "0x" + "b0" * 20
STRANGERS = tuple(f"0x{n:040x}" for n in range(1, 400))
CENT = MICRO // 100
ROOM = {
    "max_copy_usdc": 0, "per_trade_cap_usdc": 0, "per_market_cap_usdc": 0, "per_leader_cap_usdc": 0,
    "total_cap_usdc": 0, "daily_cap_usdc": 0, "bankroll": 10**6 * MICRO,
}  # fmt: skip
"""No cap keeps a copy back: every trade is as dear as it can be."""


Whole = NDArray[np.int64]


def write_long_past(history: History, trades: int, seed: int = 1) -> tuple[str, int, int]:
    """Write the past of a wallet with so many trades; gives the wallet, and from when to when it is (epoch seconds)."""
    markets = max(1, trades // OF_A_MARKET)
    apart = OF_A_MARKET * DAY // A_DAY
    to_at = FROM_AT + markets * apart + LIFE + DAY
    table = pa.concat_tables([_market(history, Random(f"{seed}|{n}"), n, FROM_AT + n * apart) for n in range(markets)])
    ats = table.column("at").to_numpy()
    table = table.take(pa.array(np.argsort(ats, kind="stable")))
    ats = table.column("at").to_numpy()
    low = 1
    while low <= to_at:
        high = min(to_at, max(low, FROM_AT) + FILE_DAYS * DAY - 1)
        first, last = np.searchsorted(ats, (low, high + 1))
        history.keep("activity", WALLET, Window(low, high, State.COMPLETE), table.slice(first, last - first))
        low = high + 1
    return WALLET, FROM_AT, to_at


def _market(history: History, rng: Random, number: int, opens: int) -> pa.Table:
    """Write one market with its tape and prices; gives what the wallet did in it."""
    condition, tokens = f"0x{number + 1:064x}", (str(10**70 + 2 * number), str(10**70 + 2 * number + 1))
    closes, resolved = opens + LIFE, opens + LIFE + HOUR
    ats = np.sort(
        np.array([opens + HOUR + int(rng.random() * (LIFE - 2 * HOUR)) for _ in range(OF_A_MARKET)], np.int64)
    )
    mids = 50 * CENT + CENT * np.clip(np.cumsum([rng.choice((-1, 0, 0, 1)) for _ in ats]), -20, 20)
    buys, shares = _orders(rng, mids)
    prices = np.where(buys, mids, mids - CENT)
    hashes = [f"0x{rng.getrandbits(256):064x}" for _ in ats]
    won = rng.random() < 0.5
    title, slug = f"Will number {number} come?", f"number-{number}"
    market = PastMarket(
        condition_id=condition, tokens=tokens, outcomes=("Yes", "No"), title=title, slug=slug, event=slug,
        category="sports", tags=("sports",), fee=FeeSchedule(rate_ppm=30_000), delay_ms=1_000, end_at=closes,
        closed_at=closes, resolved_at=resolved, payouts=(MICRO, 0) if won else (0, MICRO),
    )  # fmt: skip
    history.write("markets", condition, Window(resolved, resolved, State.COMPLETE), [market])
    whole = Window(opens, resolved + DAY, State.COMPLETE)
    points = [PricePoint(at, int(mids[max(0, np.searchsorted(ats, at) - 1)])) for at in range(opens, closes, HOUR)]
    history.write("prices", tokens[0], whole, [*points, PricePoint(resolved, MICRO if won else 0)])
    history.keep("tape", condition, whole, _tape(rng, condition, tokens[0], ats, buys, shares, prices, hashes))
    return _activity(condition, tokens[0], slug, title, ats, buys, shares, prices, hashes)


def _orders(rng: Random, mids: Whole) -> tuple[NDArray[np.bool_], Whole]:
    """What is bought and sold, one after the other: never more than is held."""
    buys, sizes, held = [], [], 0
    for place, mid in enumerate(mids.tolist()):
        last = place % TURN == TURN - 1
        buy = held == 0 or (not last and rng.random() < 0.7)
        size = rng.randrange(100, 600) * MICRO * MICRO // mid // 10_000 * 10_000
        size = size if buy else held if last else max(10_000, held * 3 // 10 // 10_000 * 10_000)
        held += size if buy else -size
        buys.append(buy)
        sizes.append(size)
    return np.array(buys), np.array(sizes, np.int64)


def _tape(
    rng: Random, condition: str, token: str, ats: Whole, buys: NDArray[np.bool_], shares: Whole, prices: Whole,
    hashes: list[str],
) -> pa.Table:  # fmt: skip
    """The wallet's trades, and after each four of strangers: one taker against one or two."""
    rows: list[tuple[int, str, str, str, int, int]] = []
    for at, buy, size, price, tx in zip(
        ats.tolist(), buys.tolist(), shares.tolist(), prices.tolist(), hashes, strict=True
    ):
        rows += _match(rng, at, tx, WALLET, buy, size, price, 1)
        for makers, after in ((1, 1), (2, 4), (1, 9), (1, 40)):
            up = buy if after == 4 else rng.random() < 0.5
            level = price if up == buy else price - CENT if buy else price + CENT
            tx = f"0x{rng.getrandbits(256):064x}"
            size = (2_000 + int(rng.random() * 8_000)) * MICRO
            rows += _match(rng, at + after, tx, rng.choice(STRANGERS), up, size, level, makers)
    rows.sort(key=lambda row: row[0])
    names = ("at", "tx_hash", "wallet", "side", "shares", "price")
    columns: dict[str, object] = dict(zip(names, zip(*rows, strict=True), strict=True))
    columns |= {"condition_id": [condition] * len(rows), "token_id": [token] * len(rows)}
    return _table("tape", columns)


def _match(
    rng: Random, at: int, tx: str, taker: str, buy: bool, shares: int, price: int, makers: int
) -> list[tuple[int, str, str, str, int, int]]:
    side, other = ("BUY", "SELL") if buy else ("SELL", "BUY")
    parts = [shares // makers] * makers
    return [
        (at, tx, taker, side, sum(parts), price),
        *((at, tx, rng.choice(STRANGERS), other, part, price) for part in parts),
    ]


def _activity(
    condition: str, token: str, slug: str, title: str, ats: Whole, buys: NDArray[np.bool_], shares: Whole,
    prices: Whole, hashes: list[str],
) -> pa.Table:  # fmt: skip
    n = len(ats)
    usdc = shares // 10_000 * prices // 100
    columns: dict[str, object] = {
        "kind": ["TRADE"] * n, "at": ats, "tx_hash": hashes, "condition_id": [condition] * n, "token_id": [token] * n,
        "side": ["BUY" if buy else "SELL" for buy in buys], "shares": shares, "usdc": usdc, "usdc_size": usdc,
        "size": [str(size / MICRO) for size in shares.tolist()], "price": [str(p / MICRO) for p in prices.tolist()],
        "outcome": ["Yes"] * n, "title": [title] * n, "slug": [slug] * n, "event_slug": [slug] * n,
        "is_combo": [False] * n,
    }  # fmt: skip
    return _table("activity", columns)


def _table(kind: str, columns: dict[str, object]) -> pa.Table:
    schema = SHAPES[kind].schema
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)
