"""The stand-in venue's memory: blocks, transactions with their logs, the Data API's rows, and who holds what."""

from __future__ import annotations

import heapq
import itertools
import time
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pilotfish.core.book import Take
from pilotfish.core.fees import taker_fee
from pilotfish.core.units import MICRO, cost_of
from pilotfish.polymarket.contracts import ORDER_FILLED, ORDERS_MATCHED, order_filled, topic_of
from pilotfish.sim.market import SimMarket, digest

BLOCK_SECONDS = 2
FIRST_BLOCK = 93_000_000
HISTORY = 2_000
"""Blocks that exist before the start, for fills with an age."""
BLOCKS_KEPT = 20_000


@dataclass(slots=True)
class Order:
    """One side of a match; amounts in millionths."""

    wallet: str
    side: str
    token_id: str
    shares: int
    price: int
    order_hash: str


@dataclass(slots=True)
class Row:
    """A row of the activity feed. ``data`` is in the v2 shape."""

    timestamp: int
    seq: int
    visible_at: float
    data: dict[str, Any]

    def __lt__(self, other: Row) -> bool:
        return (self.timestamp, self.seq) < (other.timestamp, other.seq)


@dataclass(slots=True)
class Tx:
    """A transaction: its logs as JSON-RPC objects, the rows that it makes, and when the logs are delivered."""

    tx_hash: str
    block: int
    logs: list[dict[str, Any]]
    rows: list[Row] = field(default_factory=list)
    chain_at: float | None = 0.0
    removed: bool = False


def word(value: int) -> str:
    """32 bytes of hex."""
    return f"{value:064x}"


class Chain:
    """Time is the wall clock; everything else comes from ``seed`` and what is submitted."""

    def __init__(self, seed: int, markets: Iterable[SimMarket]) -> None:
        self.seed = seed
        self.started_at = time.time()
        self.head = FIRST_BLOCK
        first = int(self.started_at)
        self.times: dict[int, int] = {self.head - n: first - BLOCK_SECONDS * n for n in range(HISTORY, -1, -1)}
        self.forks: dict[int, int] = {}
        """Block -> how often it was reorganised."""
        self.txs: dict[str, Tx] = {}
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.initial: dict[str, dict[str, int]] = defaultdict(dict)
        self.markets: dict[str, SimMarket] = {}
        for market in markets:
            self.add_market(market)
        self.api_lag: tuple[float, float] = (3.0, 8.0)
        self.late_logs = 0.12
        """Part of the transactions whose logs come later than the API's rows."""
        self._seq = itertools.count(1)
        self._pending: list[tuple[float, int, Tx, bool]] = []
        self._log_index: dict[int, itertools.count[int]] = {}
        self.on_logs: Callable[[list[dict[str, Any]]], None] = lambda _logs: None
        self.on_head: Callable[[dict[str, Any]], None] = lambda _head: None
        self.on_match: Callable[[Order, int], None] = lambda _taker, _price: None
        self.delivered: deque[str] = deque(maxlen=200_000)

    def add_market(self, market: SimMarket) -> None:
        """List a market."""
        for token in market.tokens:
            self.markets[token] = market

    # -- blocks ------------------------------------------------------------------------------------------------

    def block_hash(self, number: int) -> str:
        """A block's hash; another one after each reorg."""
        return "0x" + digest(self.seed, "block", number, self.forks.get(number, 0))

    def header(self, number: int) -> dict[str, Any]:
        """A block as JSON-RPC shows it."""
        return {
            "number": hex(number),
            "hash": self.block_hash(number),
            "parentHash": self.block_hash(number - 1),
            "timestamp": hex(self.times[number]),
            "transactions": [t.tx_hash for t in self.txs.values() if t.block == number and not t.removed],
        }

    def mine(self, now: float) -> int:
        """A new block, now."""
        self.head += 1
        self.times[self.head] = max(int(now), self.times[self.head - 1])
        if len(self.times) > BLOCKS_KEPT:
            self.times.pop(next(iter(self.times)))
        self.on_head(self.header(self.head))
        return self.head

    def tick(self, now: float) -> None:
        """Deliver the logs that are due."""
        while self._pending and self._pending[0][0] <= now:
            _, _, tx, removed = heapq.heappop(self._pending)
            if tx.removed and not removed:
                continue
            self.delivered.append(tx.tx_hash)
            self.on_logs([{**entry, "removed": removed} for entry in tx.logs])

    def settled(self, now: float) -> bool:
        """True when every log is delivered and every row visible."""
        if self._pending:
            return False
        return all(row.visible_at <= now for rows in self.rows.values() for row in rows[-200:])

    # -- matches -----------------------------------------------------------------------------------------------

    def match(
        self, taker: Order, makers: list[Order], *, now: float, tx_hash: str | None = None,
        chain_delay: float | None = -1.0, api_delay: float = -1.0, age: float = 0.0,
    ) -> Tx:  # fmt: skip
        """Fill ``makers`` against ``taker`` in one transaction of the newest block.

        ``chain_delay`` and ``api_delay`` (seconds) overrule the venue's own habits; ``chain_delay`` None = the logs are
        never delivered. ``age`` puts the transaction into an older block.
        """
        market = self.markets[taker.token_id]
        block = self.head if age <= 0 else self._block_before(now - age)
        tx_hash = tx_hash or "0x" + digest(self.seed, "tx", taker.order_hash, block, len(self.txs))
        usdc = sum(_paid(m, taker) for m in makers)
        fee = taker_fee([Take(min(MICRO - 1, usdc * MICRO // taker.shares), taker.shares)], market.fee)
        tx = Tx(tx_hash, block, [])
        rng = Random(f"{self.seed}|lag|{tx_hash}")
        lag = api_delay if api_delay >= 0 else rng.uniform(*self.api_lag)
        for maker in makers:
            paid = cost_of(maker.shares, maker.price)
            self._fill(tx, market, maker, paid, 0, taker.wallet, now + lag)
        self._fill(tx, market, taker, usdc, fee, market.exchange, now + lag)
        tx.logs.append(self._matched(tx, market, taker))
        self.txs[tx_hash] = tx
        if chain_delay is not None:
            late = rng.random() < self.late_logs
            delay = chain_delay if chain_delay >= 0 else rng.uniform(9.0, 12.0) if late else rng.uniform(0.1, 0.5)
            tx.chain_at = now + delay
            self._queue(tx, tx.chain_at, removed=False)
        else:
            tx.chain_at = None
        price = min(MICRO - 1, usdc * MICRO // taker.shares)
        market.last_trade = price if market.index(taker.token_id) == 0 else MICRO - price
        self.on_match(taker, price)
        return tx

    def _block_before(self, then: float) -> int:
        number = self.head
        while number - 1 in self.times and self.times[number] > then:
            number -= 1
        return number

    def _queue(self, tx: Tx, at: float, *, removed: bool) -> None:
        heapq.heappush(self._pending, (at, next(self._seq), tx, removed))

    def _envelope(self, tx: Tx, address: str) -> dict[str, Any]:
        index = next(self._log_index.setdefault(tx.block, itertools.count()))
        return {
            "address": address,
            "blockNumber": hex(tx.block),
            "blockHash": self.block_hash(tx.block),
            "transactionHash": tx.tx_hash,
            "transactionIndex": "0x1",
            "logIndex": hex(index),
        }

    def _fill(
        self, tx: Tx, market: SimMarket, order: Order, usdc: int, fee: int, counterparty: str, visible_at: float
    ) -> None:
        said = order_filled(
            order.order_hash, order.wallet, counterparty, order.side, order.token_id, order.shares, usdc, fee
        )
        tx.logs.append({**self._envelope(tx, market.exchange), **said})
        index = market.index(order.token_id)
        row = {
            "type": "TRADE",
            "proxy_wallet": order.wallet,
            "timestamp": self.times[tx.block],
            "transaction_hash": tx.tx_hash,
            "is_combo": False,
            "condition_id": market.condition_id,
            "token_id": order.token_id,
            "side": order.side,
            "size": order.shares / MICRO,
            "usdc_size": (usdc + fee) / MICRO,
            "price": round(usdc / order.shares, 10),
            "outcome": market.outcomes[index],
            "outcome_index": index,
            "title": market.question,
            "slug": market.slug,
            "icon": "",
            "event_slug": market.slug,
            "_taker": counterparty == market.exchange,
        }
        tx.rows.append(self.add_row(order.wallet, row, visible_at))

    def _matched(self, tx: Tx, market: SimMarket, taker: Order) -> dict[str, Any]:
        amounts = [0 if taker.side == "BUY" else 1, int(taker.token_id), taker.shares, taker.shares]
        return {
            **self._envelope(tx, market.exchange),
            "topics": [ORDERS_MATCHED, taker.order_hash, topic_of(taker.wallet), "0x" + word(0)],
            "data": "0x" + "".join(word(v) for v in amounts),
        }

    def add_row(self, wallet: str, row: dict[str, Any], visible_at: float) -> Row:
        """Put a row into a wallet's activity."""
        entry = Row(int(row["timestamp"]), next(self._seq), visible_at, row)
        insort(self.rows[wallet], entry)
        return entry

    def add_tx(self, tx: Tx, deliver_at: float | None) -> None:
        """Put in (more of) a transaction whose logs are given (replays)."""
        known = self.txs.setdefault(tx.tx_hash, Tx(tx.tx_hash, tx.block, []))
        known.logs += tx.logs
        known.rows += tx.rows
        if deliver_at is not None:
            self._queue(tx, deliver_at, removed=False)

    def reorg(self, tx_hash: str, *, now: float, remine_after: float | None) -> None:
        """Take a transaction back; mine it again in another block after some seconds, or never."""
        tx = self.txs[tx_hash]
        tx.removed = True
        self.forks[tx.block] = self.forks.get(tx.block, 0) + 1
        self._queue(tx, now, removed=True)
        for row in tx.rows:
            wallet = str(row.data["proxy_wallet"])
            self.rows[wallet] = [r for r in self.rows[wallet] if r is not row]
        if remine_after is None:
            return
        again = Tx(tx_hash, self.mine(now), [], chain_at=now + remine_after)
        for entry in tx.logs:
            again.logs.append({**entry, **self._envelope(again, entry["address"])})
        for row in tx.rows:
            fresh = {**row.data, "timestamp": self.times[again.block]}
            again.rows.append(self.add_row(str(fresh["proxy_wallet"]), fresh, now + remine_after + self.api_lag[0]))
        self.txs[tx_hash] = again
        self._queue(again, now + remine_after, removed=False)

    # -- questions ---------------------------------------------------------------------------------------------

    def visible(self, wallet: str, now: float) -> list[Row]:
        """A wallet's rows that the API shows by now, oldest first."""
        return [row for row in self.rows.get(wallet, ()) if row.visible_at <= now]

    def holdings(self, wallet: str, now: float, *, all_rows: bool = False) -> dict[str, int]:
        """What the API says that a wallet holds by now (or, ``all_rows``, what it truly holds)."""
        held = dict(self.initial.get(wallet, {}))
        for row in self.rows.get(wallet, ()):
            if not all_rows and row.visible_at > now:
                continue
            data = row.data
            if data["type"] == "TRADE":
                sign = 1 if data["side"] == "BUY" else -1
                held[data["token_id"]] = held.get(data["token_id"], 0) + sign * round(data["size"] * MICRO)
            for token, delta in data.get("_moves", {}).items():
                held[token] = held.get(token, 0) + delta
        return {token: max(0, shares) for token, shares in held.items() if shares > 0}

    def legs_of(self, wallets: Iterable[str]) -> tuple[int, int]:
        """Delivered logs with one of these wallets as maker, and as taker."""
        watched = {topic_of(w) for w in wallets}
        own = other = 0
        for tx_hash in self.delivered:
            for entry in self.txs[tx_hash].logs:
                if entry["topics"][0] == ORDER_FILLED:
                    own += entry["topics"][2] in watched
                    other += entry["topics"][3] in watched
        return own, other

    def trades_of(self, wallets: Iterable[str]) -> int:
        """How many fills of these wallets' own orders stand."""
        return sum(1 for w in wallets for row in self.rows.get(w, ()) if row.data["type"] == "TRADE")


def _paid(maker: Order, taker: Order) -> int:
    """What the taker pays or gets for a maker's shares; at the complementary price in a mint or merge."""
    price = maker.price if maker.token_id == taker.token_id else MICRO - maker.price
    return cost_of(maker.shares, price)
