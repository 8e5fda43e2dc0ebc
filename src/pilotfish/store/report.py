"""The answer to "would copying have paid?": per portfolio and leader, from the append-only tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, select

from pilotfish.core.shortfall import CLIPPED, FEWER_SHARES, MADE_UP, ORPHANED, PENDING, FillCost, Parts, Tally
from pilotfish.core.units import MICRO, price_of
from pilotfish.store import tables as t
from pilotfish.store.queries import Row, iso

NOT_OURS = ("SKIP_BACKFILL", "SKIP_SAME_ORDER", "SKIP_UNSUPPORTED", "SKIP_RESET", "SKIP_RETRACTED")
"""Decisions on what a whole copy would not contain: history, further fills of an order, combos, what was undone."""
_SKIPS, _EXITS = ("SKIP_", "WAIT_"), "EXIT_"


@dataclass(slots=True)
class Line:
    """One portfolio and leader."""

    ideal: int = 0
    actual: int = 0
    parts: Parts = field(default_factory=Parts)
    trades: int = 0
    copied: int = 0
    fills: int = 0
    turnover: int = 0
    open: int = 0


@dataclass(slots=True)
class _Books:
    """What decisions are looked up in."""

    intents: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    fills: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    marks: dict[tuple[str, str, str], int] = field(default_factory=dict)
    bids: dict[str, int] = field(default_factory=dict)
    payouts: dict[str, int] = field(default_factory=dict)


def lines(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None
) -> dict[tuple[str, str], Line]:
    """(portfolio, leader) -> what his prices would have earned, what we earned, and the parts between.

    ``since`` (µs) begins later: what was held then is taken over at its last traded price.
    """
    books = _read(c, portfolio, leader)
    result: dict[tuple[str, str], Line] = defaultdict(Line)
    for key, rows in groupby(_decisions(c, portfolio, leader), key=lambda r: (r.portfolio, r.leader, r.token_id)):
        tally, begun = Tally(), since is None
        line = result[key[:2]]
        for r in rows:
            if since is not None and not begun and r.decided_at >= since:
                tally.open_at(tally.last_price)
                begun = True
            _step(tally, r, books, line if begun else Line())
        if not begun:
            tally.open_at(tally.last_price)
        bid = books.bids.get(key[2], books.marks.get(key, tally.last_price))
        payout = books.payouts.get(key[2])
        tally.close_at(*((payout, payout) if payout is not None else (books.marks.get(key, bid), bid)))
        line.ideal += tally.ideal
        line.actual += tally.actual
        line.parts.add(tally.parts)
        line.open += tally.held > 0 and payout is None
    return dict(result)


def _decisions(c: Connection, portfolio: str | None, leader: str | None) -> Any:
    d, trade, moved = t.decisions, t.trades, t.holding_adjustments
    statement = (
        select(d, trade.c.shares_micro, trade.c.usdc_micro, trade.c.leader_pre_sell_shares_micro, trade.c.retracted_at,
               moved.c.before_micro, moved.c.delta_micro)
        .join(t.portfolios, t.portfolios.c.name == d.c.portfolio)
        .outerjoin(trade, trade.c.id == d.c.trade_id)
        .outerjoin(moved, moved.c.id == d.c.adjustment_id)
        .where(d.c.reason.not_in(NOT_OURS), d.c.decided_at > func.coalesce(t.portfolios.c.reset_at, 0))
        .order_by(d.c.portfolio, d.c.leader, d.c.token_id, d.c.id)
    )  # fmt: skip
    if portfolio is not None:
        statement = statement.where(d.c.portfolio == portfolio)
    if leader is not None:
        statement = statement.where(d.c.leader == leader)
    return c.execution_options(yield_per=1000).execute(statement)


def _read(c: Connection, portfolio: str | None, leader: str | None) -> _Books:
    books = _Books()

    def mine(table: Any) -> Any:
        statement = select(table)
        if portfolio is not None:
            statement = statement.where(table.c.portfolio == portfolio)
        return statement.where(table.c.leader == leader) if leader is not None else statement

    for intent in c.execute(mine(t.intents).order_by(t.intents.c.id)):
        books.intents[intent.decision_id].append(intent)
    for fill in c.execute(mine(t.fills).order_by(t.fills.c.id)):
        books.fills[fill.intent_id].append(fill)
    for p in c.execute(mine(t.positions)):
        if p.mark_price_micro is not None:
            books.marks[(p.portfolio, p.leader, p.token_id)] = p.mark_price_micro
    for m in c.execute(select(t.marks.c.token_id, t.marks.c.bid_micro)):
        books.bids[m.token_id] = m.bid_micro or 0
    settled = select(t.markets.c.token_id, t.markets.c.payout_micro).where(t.markets.c.payout_micro.is_not(None))
    for m in c.execute(settled):
        books.payouts[m.token_id] = m.payout_micro
    return books


def _step(tally: Tally, r: Any, books: _Books, line: Line) -> None:
    intents = [i for i in books.intents.get(r.id, ()) if r.trade_id is None or i.trade_id]
    fills = [f for i in intents for f in books.fills.get(i.id, ())]
    costs = [_cost(f) for f in fills]
    line.trades += r.rule is None
    line.copied += r.action == "copy"
    line.fills += len(fills)
    line.turnover += sum(f.usdc_micro for f in fills)
    late = r._mapping["class"] == "catch-up"
    price = intents[0].leader_price_micro if intents else price_of(r.usdc_micro or 0, r.shares_micro or 0)
    if r.rule is not None:
        tally.own_exit(price, costs, r.reason)
    elif r.side == "BUY":
        gone = r.retracted_at is not None
        wanted = (r.wanted_usdc_micro or 0) * MICRO // price if price and not gone else 0
        tally.buy(price, wanted, costs, *_why(r, intents, wanted, gone), late=late)
    else:
        sold, before = _sold(r)
        if r.retracted_at is not None:
            tally.own_exit(price, costs, ORPHANED)
        else:
            tally.sell(price, sold, before, costs, _cause(r, intents), late=late)
    for i in books.intents.get(r.id, ()):
        if r.trade_id is not None and not i.trade_id:
            way_out = [_cost(f) for f in books.fills.get(i.id, ())]
            tally.own_exit(i.leader_price_micro, way_out, ORPHANED)


def _sold(r: Any) -> tuple[int, int | None]:
    if r.shares_micro is None:
        return -r.delta_micro, r.before_micro
    return r.shares_micro, r.leader_pre_sell_shares_micro


def _why(r: Any, intents: list[Any], wanted: int, gone: bool) -> tuple[dict[str, int], str]:
    """Why a BUY's shares are missing: shares by cause, and the cause of what those leave."""
    if gone:
        return {}, ORPHANED
    if not intents:
        return {}, r.reason
    asked, granted = r.wanted_usdc_micro or 0, r.granted_usdc_micro or 0
    clipped = wanted * (asked - granted) // asked if granted < asked else 0
    return {CLIPPED: clipped}, MADE_UP if granted > asked else _cause(r, intents)


def _cause(r: Any, intents: list[Any]) -> str:
    if not intents:
        return str(r.reason)
    last = intents[-1]
    if last.state in ("pending", "working"):
        return PENDING
    return str(last.reason or FEWER_SHARES)


def _cost(f: Any) -> FillCost:
    return FillCost(
        shares=f.shares_micro,
        usdc=f.usdc_micro,
        fee=f.fee_micro,
        delay=f.delay_cost_micro,
        spread=f.spread_cost_micro,
    )


def report(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None
) -> list[Row]:
    """The lines as pages, REST and commands show them, the largest turnover first."""
    labels = {r.wallet: r.label for r in c.execute(select(t.leaders.c.wallet, t.leaders.c.label))}
    found = lines(c, portfolio=portfolio, leader=leader, since=since)
    rows = [
        {"portfolio": p, "leader": w, "label": labels.get(w, ""), "since": iso(since), **figures(line)}
        for (p, w), line in found.items()
    ]
    return sorted(rows, key=lambda r: (r["portfolio"], -r["turnover_micro"], r["leader"]))


def figures(line: Line) -> Row:
    """One line's figures; ``ideal`` = ``actual`` + all parts, exactly."""
    missed = line.parts.missed
    skipped = {k: v for k, v in sorted(missed.items()) if k.startswith(_SKIPS)}
    own = {k: v for k, v in sorted(missed.items()) if k.startswith(_EXITS) or k == ORPHANED}
    clipped = {k: v for k, v in sorted(missed.items()) if k not in skipped and k not in own}
    return {
        "ideal_micro": line.ideal,
        "actual_micro": line.actual,
        "difference_micro": line.parts.total,
        "parts": {
            "delay_micro": line.parts.delay,
            "spread_micro": line.parts.spread,
            "fees_micro": line.parts.fees,
            "catch_up_micro": line.parts.catch_up,
            "skipped_micro": sum(skipped.values()),
            "clipped_micro": sum(clipped.values()),
            "own_exits_micro": sum(own.values()),
        },
        "skipped_by_reason": skipped,
        "clipped_by_cause": clipped,
        "own_exits_by_cause": own,
        "trades": line.trades,
        "copied": line.copied,
        "fills": line.fills,
        "turnover_micro": line.turnover,
        "open_positions": line.open,
    }
