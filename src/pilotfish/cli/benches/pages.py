"""What pages and REST ask, in many trades against few: a page should cost the same in a million rows."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, insert, select
from sqlalchemy import Engine as Database

from pilotfish.cli.benches.figure import Figure, Options, figure
from pilotfish.core.units import MICRO, SECOND
from pilotfish.store import look_backs_store, report, searches_store
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.copies import State
from pilotfish.store.database import open_database
from pilotfish.store.mapping import Values
from pilotfish.store.rollup import CopyCounts, DecisionCounts, TradeCounts
from pilotfish.store.round_trips import TripCounts
from pilotfish.store.views.decisions import read_decisions, read_trade
from pilotfish.store.views.feed import read_feed
from pilotfish.store.views.history import read_history
from pilotfish.store.views.latency import read_lag_over_time, read_latency, read_missing, read_pace
from pilotfish.store.views.leaders import read_figures
from pilotfish.store.views.look_backs import read_latest, read_look_back, read_look_backs
from pilotfish.store.views.order_feed import read_fills_of_order, read_happened, read_leader_orders
from pilotfish.store.views.orders import read_fills
from pilotfish.store.views.our_orders import OrderFilter, read_our_order, read_our_orders, read_our_totals
from pilotfish.store.views.portfolios import read_counts, read_equity, read_portfolios
from pilotfish.store.views.positions import read_positions
from pilotfish.store.views.sales import read_sales
from pilotfish.store.views.searches import (
    BoardFilter,
    categories_of,
    count_board,
    read_board,
    read_search,
    read_search_to_show,
    read_searches,
)
from pilotfish.store.views.sources import read_gaps
from pilotfish.store.views.trades import TradeFilter, read_trades
from pilotfish.store.views.trips import Sort, TripFilter, TripState, read_trips

MANY, FEW = 1_000_000, 10_000
CHUNK = 20_000
LEADERS, MARKETS = 20, 2_000
_AT = 1_700_000_000 * SECOND
_SKIPS = ("SKIP_SAME_ORDER", "SKIP_SLIPPAGE", "SKIP_SPREAD", "SKIP_CAP_MARKET", "SKIP_NO_POSITION")


def at_of(i: int) -> int:
    """When a trade was made (µs)."""
    return _AT + i * SECOND


def _wallet(i: int) -> str:
    return f"0x{i % LEADERS + 1:040x}"


def _token(i: int) -> str:
    return str(10**20 + i * 7 % MARKETS)


def fill_database(database: Database, trades: int) -> None:
    """A database with so many trades, each decided; every fifth is copied, and filled but for a few."""
    with database.begin() as c:
        c.execute(insert(t.portfolios).values(name="main", bankroll_micro=10**10, created_at=_AT))
        c.execute(
            insert(t.leaders),
            [{"wallet": _wallet(i), "label": f"Leader {i}", "status": "active", "added_at": _AT, "updated_at": _AT}
             for i in range(LEADERS)],
        )  # fmt: skip
        c.execute(insert(t.markets), [_market(i) for i in range(MARKETS)])
        c.execute(insert(t.leader_holdings), [_holding(i) for i in range(MARKETS)])
        c.execute(insert(t.positions), [_position(i) for i in range(min(trades // 10, 10_000))])
        c.execute(insert(t.equity_snapshots), [_snapshot(i) for i in range(trades // 10)])
        c.execute(insert(t.searches), [_search(i) for i in range(1, 6)])
        board = [_searched(search, i) for search in range(1, 6) for i in range(1, min(2 + trades // 15, 10_000))]
        c.execute(insert(t.searched_wallets), board)
        c.execute(insert(t.look_backs), [_look_back(i) for i in range(1, min(trades // 10, look_backs_store.KEPT) + 1)])
    for begin in range(1, trades + 1, CHUNK):
        numbers = range(begin, min(begin + CHUNK, trades + 1))
        with database.begin() as c:
            c.execute(insert(t.trades), [_trade(i) for i in numbers])
            c.execute(insert(t.trade_raw), [{"trade_id": i, "source": "polygon", "payload": "{}"} for i in numbers])
            c.execute(insert(t.decisions), [_decision(i) for i in numbers])
            copied = [i for i in numbers if i % 5 == 0]
            c.execute(insert(t.intents), [_intent(i) for i in copied])
            c.execute(insert(t.fills), [_fill(i) for i in copied if not _unfilled(i)])
            c.execute(insert(t.ledger_entries), [_entry(i) for i in copied if not _unfilled(i)])
            c.execute(insert(t.round_trips), [_trip(i) for i in copied if i % 2])
    _settle(database)


def _settle(database: Database) -> None:
    """What a worker keeps up while trades come in."""
    rows = True
    while rows:
        with database.connect() as c:
            found = report.next_stretch(c)
        rows = bool(found)
        with database.begin() as c:
            write(c, found)


def _market(i: int) -> Values:
    return {
        "token_id": _token(i), "condition_id": f"0x{i // 2:064x}", "outcome": "Yes",
        "title": f"Will number {i} come up?", "slug": f"number-{i}", "category": "other", "closed": False,
        "accepting_orders": True, "tick_micro": 10_000,
        "fee_rate_ppm": 0, "delay_ms": 0, "end_at": _AT + i * SECOND, "fetched_at": _AT,
    }  # fmt: skip


def _holding(i: int) -> Values:
    return {"leader": _wallet(i), "token_id": _token(i), "shares_micro": MICRO, "updated_at": _AT}


def _position(i: int) -> Values:
    return {
        "portfolio": "main", "leader": _wallet(i), "token_id": str(10**20 + i), "condition_id": "", "outcome": "Yes",
        "shares_micro": 50 * MICRO if i % 2 else 0, "cost_micro": 25 * MICRO if i % 2 else 0, "realized_pnl_micro": i,
        "fees_micro": 0, "mark_price_micro": 500_000, "status": "open" if i % 2 else "closed", "opened_at": _AT,
        "closed_at": None if i % 2 else _AT, "trip_bought_micro": 50 * MICRO if i % 2 else 0,
        "trip_paid_micro": 25 * MICRO if i % 2 else 0,
    }  # fmt: skip


def _snapshot(i: int) -> Values:
    return {
        "portfolio": "main", "at": _AT + i * SECOND, "equity_micro": 10**10 + i, "cash_micro": 10**10,
        "positions_value_micro": i, "cost_micro": 0, "realized_pnl_micro": 0, "unrealized_pnl_micro": i,
        "fees_micro": 0, "open_positions": 1, "peak_micro": 10**10 + i, "drawdown_micro": 0,
    }  # fmt: skip


def _order(i: int) -> list[int]:
    """The trades that are fills of one order with a trade: five of its leader's, one after the other."""
    first = i // (5 * LEADERS) * 5 * LEADERS + i % LEADERS
    return [first + n * LEADERS for n in range(5)]


def _trade(i: int) -> Values:
    at = _AT + i * SECOND
    return {
        t.ORDER_OF_TRADE: f"0x{_order(i)[0]:064x}",
        "id": i, "leader": _wallet(i), "tx_hash": f"0x{i:064x}", "token_id": _token(i),
        "side": "BUY" if i % 3 else "SELL", "shares_micro": 100 * MICRO, "occurrence": 1,
        "first_source": "polygon" if i % 7 else "api", "class": "live" if i % 11 else "catch-up",
        "moves_holding": True, "usdc_micro": 50 * MICRO, "traded_at": at, "traded_at_estimated": False,
        "first_seen_by_api_at": at + 6 * SECOND, "first_seen_by_polygon_at": at + 2 * SECOND, "is_combo": False,
        "condition_id": None, "outcome": None, "title": None, "slug": None,
        "leader_pre_sell_shares_micro": 1000 * MICRO, "api_lagged": False,
    }  # fmt: skip


def _decision(i: int) -> Values:
    copied = i % 5 == 0
    first = next((n for n in _order(i) if n % 3 and n), i)
    return {
        "order_decision_id": first if i % 3 and first != i else None,
        "id": i, "trade_id": i, "adjustment_id": None, "portfolio": "main", "action": "copy" if copied else "skip",
        "reason": "COPY" if copied else _SKIPS[i % len(_SKIPS)], "decided_at": _AT + i * SECOND + 2_100_000,
        "trace": [["age_ms", 2100, 15_000, True]] * 12, "rule": None, "leader": _wallet(i), "token_id": _token(i),
        "side": "BUY" if i % 3 else "SELL", "class": "live", "wanted_usdc_micro": 25 * MICRO,
        "asked_usdc_micro": 25 * MICRO, "sized_by_order": True if i % 3 else None,
        "granted_usdc_micro": 25 * MICRO if copied else 0,
    }  # fmt: skip


def _unfilled(i: int) -> bool:
    """True for the copies that found nothing."""
    return i % 25 == 0


def _intent(i: int) -> Values:
    at = _AT + i * SECOND
    return {
        "id": i, "decision_id": i, "trade_id": i, "portfolio": "main", "leader": _wallet(i), "token_id": _token(i),
        "condition_id": "", "side": "BUY" if i % 3 else "SELL", "shares_micro": 50 * MICRO, "budget_micro": 25 * MICRO,
        "limit_price_micro": 510_000, "leader_price_micro": 500_000, "traded_at": at, "created_at": at, "due_at": at,
        "give_up_at": at, "attempts": 0, "share_cap_micro": 0, "state": "cancelled" if _unfilled(i) else "filled",
        "reason": "UNFILLED_PRICE" if _unfilled(i) else None, "filled_shares_micro": 0 if _unfilled(i) else 50 * MICRO,
    }  # fmt: skip


def _fill(i: int) -> Values:
    return {
        "id": i, "intent_id": i, "portfolio": "main", "leader": _wallet(i), "token_id": _token(i),
        "side": "BUY" if i % 3 else "SELL", "shares_micro": 50 * MICRO, "usdc_micro": 25 * MICRO,
        "price_micro": 500_000, "fee_micro": 0, "filled_at": _AT + i * SECOND + 2_500_000, "levels": [[500_000, 1]],
        "delay_cost_micro": 10, "spread_cost_micro": 20, "status": "ok", "leader_price_micro": 500_000,
        "mid2_micro": 1_000_000, "fee_rate_ppm": 0, "fee_half_exponent": 2,
    }  # fmt: skip


def _entry(i: int) -> Values:
    buys = i % 3
    return {
        "id": i, "portfolio": "main", "at": _AT + i * SECOND + 2_500_000, "kind": "buy" if buys else "sell",
        "amount_micro": -25 * MICRO if buys else 25 * MICRO, "leader": _wallet(i), "token_id": _token(i), "fill_id": i,
    }  # fmt: skip


def _trip(i: int) -> Values:
    at = _AT + i * SECOND
    return {
        "portfolio": "main", "leader": _wallet(i), "token_id": _token(i), "opened_at": at, "closed_at": at + SECOND,
        "bought_micro": 50 * MICRO, "paid_micro": 25 * MICRO, "got_micro": 25 * MICRO + i % 3 - 1, "fees_micro": 0,
        "pnl_micro": i % 3 - 1, "ended": "leader" if i % 4 == 1 else "resolved",
    }  # fmt: skip


def _look_back(i: int) -> Values:
    return {
        "id": i, "wallet": _wallet(i), "name": "", "asked_at": _AT + i, "by": "web", "days": 90, "values": {},
        "state": "done", "attempts": 1, "stage": "running", "done": 15, "of": 15, "requests": 100,
        "verdict": "cannot_tell", "why": "Cannot tell.", "started_at": _AT + i, "finished_at": _AT + i,
        "result": {"why": "Cannot tell."},
    }  # fmt: skip


def _search(i: int) -> Values:
    return {
        "id": i, "asked_at": _AT + i, "by": "web", "source": "leaderboard", "wallets": [], "categories": [],
        "most": 500, "budget": 5_000, "days": 90, "values": {}, "state": "done", "attempts": 1,
        "stage": "looking back", "done": 100, "of": 100, "requests": 4_000, "tested": 100, "copyable": 0,
        "why": "None.", "started_at": _AT + i, "finished_at": _AT + i, "result": {"why": "None.", "rows": []},
    }  # fmt: skip


def _searched(search: int, i: int) -> Values:
    return {
        "search_id": search, "place": i, "wallet": _wallet(i), "name": "", "verdict": "cannot_tell", "why": "",
        "edge_per_usdc": 0.1, "low": 0.3 - i / 1000, "high": 0.4, "shrunk": 0.0, "p_value": 0.2, "q_value": 1.0,
        "events": i, "trades": i, "filled_share": 0.5, "result_micro": i, "flags": [], "incomplete": "",
        "category": f"category {i % 7}",
    }  # fmt: skip


def questions(
    counts: DecisionCounts, trade_counts: TradeCounts, reports: report.Reports, copies: CopyCounts | None = None
) -> dict[str, Callable[[Connection], object]]:
    """By page: what it asks of the database."""
    copies = copies or CopyCounts()
    trips = TripCounts()
    ours = OrderFilter
    few = BoardFilter(verdict="cannot_tell", events=30, category="category 3", low=0.0)
    f, rare = TradeFilter, TradeFilter(reason="SKIP_RESET")

    def held(sort: Sort, **more: str | TripState | None) -> Callable[[Connection], object]:
        wanted = msgspec.convert({"portfolio": "main", **more}, TripFilter)
        return lambda c: read_trips(c, wanted, trips, sort=sort, limit=100)

    def trip_of(c: Connection) -> int:
        first = select(func.min(t.round_trips.c.id)).where(t.round_trips.c.token_id == _token(5))
        return c.execute(first).scalar() or 0

    return {
        "trades, newest page": lambda c: read_trades(c, f(), limit=50),
        "trades, far back": lambda c: read_trades(c, f(), limit=50, before=FEW // 2),
        "trades of a leader": lambda c: read_trades(c, f(leader=_wallet(3)), limit=50),
        "trades by a reason": lambda c: read_trades(c, f(reason="SKIP_SPREAD"), limit=50),
        "trades by a reason nobody has": lambda c: read_trades(c, rare, limit=50),
        "trades of a market": lambda c: read_trades(c, f(market=_token(4)), limit=5),
        "trades by words": lambda c: read_trades(c, f(words="number 77"), limit=50),
        "trades of a leader by reason": lambda c: read_trades(
            c, f(leader=_wallet(3), reason="SKIP_SLIPPAGE"), limit=50
        ),
        "trades filled": lambda c: read_trades(c, f(state="filled"), limit=50),
        "trades not filled": lambda c: read_trades(c, f(state="not_filled"), limit=50),
        "trades not filled, of a leader": lambda c: read_trades(
            c, f(state="not_filled", leader=_wallet(0)), limit=10
        ),
        "trades with the order out": lambda c: read_trades(c, f(state="out"), limit=50),
        "trades taken back": lambda c: read_trades(c, f(status="retracted"), limit=50),
        "orders, newest page": lambda c: read_leader_orders(c, f(), limit=50),
        "orders, far back": lambda c: read_leader_orders(c, f(), limit=50, before=FEW // 2),
        "orders of a leader": lambda c: read_leader_orders(c, f(leader=_wallet(3)), limit=10),
        "orders of a market": lambda c: read_leader_orders(c, f(market=_token(4)), limit=5),
        "orders by a reason": lambda c: read_leader_orders(c, f(reason="SKIP_SPREAD"), limit=50),
        "orders by a reason nobody has": lambda c: read_leader_orders(c, rare, limit=50),
        "orders filled": lambda c: read_leader_orders(c, f(state="filled"), limit=50),
        "orders not filled": lambda c: read_leader_orders(c, f(state="not_filled"), limit=50),
        "orders skipped": lambda c: read_leader_orders(c, f(state="skipped"), limit=50),
        "fills of an order": lambda c: read_fills_of_order(c, "main", 1234),
        "overview: what just happened": lambda c: read_happened(c, "main", 60),
        "overview: what just happened to another portfolio": lambda c: read_happened(c, "another", 60),
        "our orders, newest page": lambda c: read_our_orders(c, ours(), limit=50),
        "our orders, far back": lambda c: read_our_orders(c, ours(), limit=20, before=FEW // 20),
        "our orders, filled": lambda c: read_our_orders(c, ours(state=State.FILLED), limit=50),
        "our orders, not filled": lambda c: read_our_orders(c, ours(state=State.NOT_FILLED), limit=50),
        "our orders, out": lambda c: read_our_orders(c, ours(state=State.OUT), limit=50),
        "our orders of a leader": lambda c: read_our_orders(c, ours(leader=_wallet(5)), limit=50),
        "our orders in a market": lambda c: read_our_orders(c, ours(market=_token(5)), limit=50),
        "our orders of another portfolio": lambda c: read_our_orders(c, ours(portfolio="another"), limit=50),
        "our orders: totals": lambda c: read_our_totals(c, ours()),
        "one of our orders": lambda c: read_our_order(c, 1235),
        "one trade with its trace": lambda c: read_trade(c, 1234),
        "overview: decisions": lambda c: read_feed(c, 60),
        "overview: portfolios": lambda c: read_portfolios(c, trips),
        "overview: equity curve": lambda c: read_equity(c, "main"),
        "overview: sources": read_latency,
        "every page: what is missing": read_gaps,
        "status: counts": lambda c: read_counts(c, counts, trade_counts, copies),
        "leaders: figures": lambda c: read_figures(c, "main", counts, copies),
        "leaders: report": reports.report,
        "portfolios: what became of copies": lambda c: copies.states(c, "main"),
        "positions, open": lambda c: read_positions(c, portfolio="main", limit=100),
        "positions, closed": lambda c: read_positions(c, portfolio="main", status="closed", sort="closed", limit=100),
        "positions, held, by worth": held(Sort.WORTH),
        "positions, sold": held(Sort.CLOSED, state=TripState.CLOSED),
        "positions, sold, by profit": held(Sort.REALIZED, state=TripState.CLOSED),
        "positions, sold, by cost": held(Sort.COST, state=TripState.CLOSED),
        "positions, sold, by return": held(Sort.RETURN, state=TripState.CLOSED),
        "positions, sold, by exit price": held(Sort.EXIT, state=TripState.CLOSED),
        "positions, sold, by market": held(Sort.TITLE, state=TripState.CLOSED),
        "positions, sold, of a leader": held(Sort.CLOSED, state=TripState.CLOSED, leader=_wallet(5)),
        "positions, sold, of a market": held(Sort.CLOSED, state=TripState.CLOSED, market=_token(5)),
        "positions, resolved": held(Sort.CLOSED, state=TripState.RESOLVED),
        "positions, all": held(Sort.CLOSED, state=None),
        "positions: what is being sold": lambda c: read_sales(c, "main", _AT + MANY * SECOND),
        "position: its history": lambda c: read_history(c, "main", _wallet(5), _token(5), trip_of(c)),
        "latency: pace": read_pace,
        "latency: over time": read_lag_over_time,
        "latency: missing": read_missing,
        "look backs: newest page": lambda c: read_look_backs(c, limit=20),
        "look backs: of a wallet": lambda c: read_latest(c, _wallet(5)),
        "look backs: one with its answer": lambda c: read_look_back(c, 5),
        "look backs: whether one waits": look_backs_store.JOBS.anything_to_do,
        "searches: newest page": lambda c: read_searches(c, limit=20),
        "searches: the newest that found something": lambda c: read_search_to_show(c, None),
        "searches: whether one waits": searches_store.next_in_line,
        "search: its board": lambda c: read_board(c, 3, BoardFilter(), limit=25, after=20),
        "search: its board by everything": lambda c: read_board(c, 3, few, limit=25),
        "search: how many": lambda c: count_board(c, 3, few),
        "search: categories": lambda c: categories_of(c, 3),
        "search: all of it": lambda c: read_search(c, 3),
        "REST: fills": lambda c: read_fills(c, limit=100),
        "REST: decisions": lambda c: read_decisions(c, limit=100),
    }  # fmt: skip


def measure(trades: int, rounds: int = 5) -> Iterator[tuple[str, float]]:
    """Question -> median seconds, in a database with so many trades."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'bench.db'}")
        fill_database(database, trades)
        for name, ask in questions(DecisionCounts(), TradeCounts(), report.Reports()).items():
            spent = []
            for _ in range(rounds):
                with database.connect() as c:
                    started = time.perf_counter()
                    ask(c)
                    spent.append(time.perf_counter() - started)
            yield name, statistics.median(spent)
        database.dispose()


def figures(options: Options) -> list[Figure]:
    """What each page asks, in many trades against few: a ratio near 1 means that it costs the same."""
    trades = options.trades
    many, few = dict(measure(trades)), dict(measure(FEW))
    return [
        figure(name, "answers/s", 1 / seconds, f"{FEW:,} trades", 1 / few[name],
                f"{1000 * seconds:.1f} ms in {trades:,} trades")
        for name, seconds in many.items()
    ]  # fmt: skip
