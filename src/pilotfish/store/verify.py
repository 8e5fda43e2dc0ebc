"""The proof: recompute the books from the append-only tables and name every difference (DESIGN.md section 10)."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from sqlalchemy import Connection, and_, func, or_, select

from pilotfish.core import ledger
from pilotfish.core.book import Take
from pilotfish.core.fees import FeeSchedule, taker_fee
from pilotfish.core.fills import costs
from pilotfish.core.ledger import Position
from pilotfish.core.records import EntryRecord, FillRecord, HoldingRecord, PositionRecord
from pilotfish.core.trade import Side
from pilotfish.core.units import Micros, Shares, Usdc, cost_of, format_micro, proceeds_of
from pilotfish.store import report
from pilotfish.store import tables as t
from pilotfish.store.mapping import read, read_row, read_rows, total
from pilotfish.store.round_trips import Trips, trip_of, trip_under_way
from pilotfish.store.views.orders import StoredFill

_LABELS = ("shares", "cost", "realised PnL", "bought", "paid", "got back", "fees of the round trip")
_NOTHING = (0,) * len(_LABELS)


def verify(c: Connection) -> list[str]:
    """All differences found, in words; empty = the books are right. Run it inside one transaction."""
    return [
        *_identity(c),
        *_decisions(c),
        *_intents(c),
        *_books(c),
        *_costs(c),
        *_shortfall(c),
        *_holdings(c),
    ]


class _Identical(msgspec.Struct, frozen=True):
    tx_hash: str
    token_id: str
    n: int
    last: int


def _identity(c: Connection) -> list[str]:
    key = (t.trades.c.leader, t.trades.c.tx_hash, t.trades.c.token_id, t.trades.c.side, t.trades.c.shares_micro)
    wrong = (
        select(*key, func.count().label("n"), func.max(t.trades.c.occurrence).label("last"))
        .group_by(*key)
        .having(func.count() != func.max(t.trades.c.occurrence))
    )
    return [
        f"trades of {r.tx_hash} token {r.token_id}: {r.n} rows but occurrence {r.last}"
        for r in read_rows(c, _Identical, wrong)
    ]


class _Decided(msgspec.Struct, frozen=True):
    trade_id: int
    portfolio: str
    n: int


def _decisions(c: Connection) -> list[str]:
    twice = (
        select(t.decisions.c.trade_id, t.decisions.c.portfolio, func.count().label("n"))
        .where(t.decisions.c.trade_id.is_not(None))
        .group_by(t.decisions.c.trade_id, t.decisions.c.portfolio)
        .having(func.count() > 1)
    )
    found = [f"trade {r.trade_id} was decided {r.n} times for {r.portfolio}" for r in read_rows(c, _Decided, twice)]
    neither = t.decisions.c.trade_id.is_(None) & t.decisions.c.adjustment_id.is_(None) & t.decisions.c.rule.is_(None)
    lost = c.execute(
        select(t.decisions.c.id).where(or_(t.decisions.c.trade_id.not_in(select(t.trades.c.id)), neither)).limit(20)
    )
    found += [f"decision {number} belongs to no trade" for number in lost.scalars()]
    copied = c.execute(
        select(t.decisions.c.id)
        .join(t.portfolios, t.portfolios.c.name == t.decisions.c.portfolio)
        .where(
            t.decisions.c.action == "copy",
            t.decisions.c.decided_at > func.coalesce(t.portfolios.c.reset_at, 0),
            t.decisions.c.id.not_in(select(t.intents.c.decision_id)),
        )
        .limit(20)
    )
    found += [f"decision {number} says copy but has no intent" for number in copied.scalars()]
    return found


class _OfTrade(msgspec.Struct, frozen=True):
    id: int
    trade_id: int


class _Filled(msgspec.Struct, frozen=True):
    id: int
    filled_shares_micro: Shares
    shares: Shares | None


def _intents(c: Connection) -> list[str]:
    history = (
        select(t.intents.c.id, t.intents.c.trade_id)
        .join(t.trades, t.trades.c.id == t.intents.c.trade_id)
        .where(t.trades.c["class"] == "backfill")
    )
    found = [f"intent {r.id} was made from backfill trade {r.trade_id}" for r in read_rows(c, _OfTrade, history)]
    filled = (
        select(t.fills.c.intent_id, total(t.fills.c.shares_micro).label("shares"))
        .group_by(t.fills.c.intent_id)
        .subquery()
    )
    wrong = (
        select(t.intents.c.id, t.intents.c.filled_shares_micro, filled.c.shares)
        .outerjoin(filled, filled.c.intent_id == t.intents.c.id)
        .where(t.intents.c.filled_shares_micro != func.coalesce(filled.c.shares, 0))
    )
    found += [
        f"intent {r.id}: says {format_micro(r.filled_shares_micro)} shares filled, its fills say"
        f" {format_micro(r.shares or 0)}"
        for r in read_rows(c, _Filled, wrong)
    ]
    over = c.execute(
        select(t.intents.c.id).where(
            or_(
                and_(t.intents.c.side == "SELL", t.intents.c.filled_shares_micro > t.intents.c.shares_micro),
                t.intents.c.filled_shares_micro < 0,
            )
        )
    )
    found += [f"intent {number} is filled beyond its size" for number in over.scalars()]
    return found


def _books(c: Connection) -> list[str]:
    found: list[str] = []
    stored = {(r.portfolio, r.leader, r.token_id): r for r in read_rows(c, PositionRecord, read(PositionRecord))}
    computed: dict[tuple[str, str, str], Position] = {}
    cash: dict[str, int] = defaultdict(int)
    fills = {r.id: r for r in read_rows(c, StoredFill, read(StoredFill))}
    entries = read(EntryRecord)
    charged = read_rows(c, EntryRecord, entries.where(t.ledger_entries.c.kind == "fee"))
    fees = {entry.fill_id: -entry.amount_micro for entry in charged}
    booked: set[int] = set()
    trips = Trips(c)
    for entry in read_rows(c, EntryRecord, entries.order_by(t.ledger_entries.c.id)):
        cash[entry.portfolio] += entry.amount_micro
        key = (entry.portfolio, entry.leader, entry.token_id)
        position = computed.setdefault(key, Position(leader=entry.leader, token_id=entry.token_id))
        if entry.kind == "dust":
            if entry.shares_micro != position.shares or entry.amount_micro:
                found.append(
                    f"ledger entry {entry.id} writes off {format_micro(entry.shares_micro or 0)} shares of"
                    f" {format_micro(position.shares)} for {format_micro(entry.amount_micro)}"
                )
            if position.shares:
                ledger.write_off(position, entry.at)
                trips.take(entry.portfolio, position, "dust")
            continue
        if entry.kind == "settle":
            position.realized_pnl += entry.amount_micro - position.cost
            position.trip.got += entry.amount_micro
            position.shares = position.cost = 0
            position.closed_at = entry.at
            trips.take(entry.portfolio, position, "resolved")
            continue
        if entry.kind == "fee":
            continue
        fill = None if entry.fill_id is None else fills.get(entry.fill_id)
        if fill is None:
            found.append(f"ledger entry {entry.id} belongs to no fill")
            continue
        booked.add(fill.id)
        fee = fees.get(fill.id, 0)
        if fee != fill.fee_micro or abs(entry.amount_micro) != fill.usdc_micro:
            found.append(f"fill {fill.id}: its ledger entries do not add up to it")
        if fill.side is Side.BUY:
            ledger.buy(position, fill.shares_micro, fill.usdc_micro, fee, fill.filled_at)
        elif fill.shares_micro > position.shares:
            found.append(f"fill {fill.id} sells {format_micro(fill.shares_micro)} of {format_micro(position.shares)}")
        else:
            ledger.sell(position, fill.shares_micro, fill.usdc_micro, fee, fill.filled_at)
            trips.take(entry.portfolio, position, trips.rule_of(fill.intent_id))
    found += [f"fill {fill_id} is not in the ledger" for fill_id in sorted(set(fills) - booked)]
    for key in sorted(set(stored) | set(computed)):
        row, mine = stored.get(key), computed.get(key)
        name = f"position {key[0]} / {key[1]} / {key[2][:12]}…"
        have = (row.shares_micro, row.cost_micro, row.realized_pnl_micro, *trip_of(row)) if row else _NOTHING
        want = (mine.shares, mine.cost, mine.realized_pnl, *trip_under_way(mine)) if mine else _NOTHING
        for label, a, b in zip(_LABELS, have, want, strict=True):
            if a != b:
                found.append(f"{name}: {label} is {format_micro(a)}, recomputed {format_micro(b)}")
        if have[0] < 0 or have[1] < 0:
            found.append(f"{name}: negative")
    found += trips.differences(c)
    found += _cash(c, cash)
    return found


def _costs(c: Connection) -> list[str]:
    """Each fill from its own levels: what was paid, the fee, and the cost against the leader's price."""
    found = []
    known = read(FillRecord).where(t.fills.c.mid2_micro.is_not(None)).execution_options(yield_per=1000)
    for f in read_rows(c, FillRecord, known):
        side, takes = f.side, [Take(price, shares) for price, shares in f.levels]
        of = cost_of if side is Side.BUY else proceeds_of
        usdc = sum(of(take.shares, take.price) for take in takes)
        fee = taker_fee(takes, FeeSchedule(rate_ppm=f.fee_rate_ppm, half_exponent=f.fee_half_exponent))
        fee = fee if side is Side.BUY else min(usdc, fee)
        delay, spread = costs(side, f.shares_micro, f.usdc_micro, f.mid2_micro, f.leader_price_micro)
        want = (sum(take.shares for take in takes), usdc, fee, delay, spread)
        have = (f.shares_micro, f.usdc_micro, f.fee_micro, f.delay_cost_micro, f.spread_cost_micro)
        for label, a, b in zip(("shares", "USDC", "fee", "delay cost", "spread cost"), have, want, strict=True):
            if a != b:
                found.append(f"fill {f.id}: {label} is {format_micro(a)}, its levels say {format_micro(b)}")
    return found


class _Moved(msgspec.Struct, frozen=True):
    portfolio: str
    n: Usdc


def _shortfall(c: Connection) -> list[str]:
    """What the shortfall report says that we earned is what the books say."""
    earned: dict[str, int] = defaultdict(int)
    found = []
    for (portfolio, leader), line in report.lines(c).items():
        earned[portfolio] += line.actual
        if line.ideal != line.actual + line.parts.total:
            found.append(f"portfolio {portfolio}, leader {leader}: the parts of the shortfall do not add up")
    booked: dict[str, int] = defaultdict(int)
    moved = select(t.ledger_entries.c.portfolio, total(t.ledger_entries.c.amount_micro).label("n"))
    for r in read_rows(c, _Moved, moved.group_by(t.ledger_entries.c.portfolio)):
        booked[r.portfolio] += r.n
    for p in read_rows(c, PositionRecord, read(PositionRecord).where(t.positions.c.shares_micro > 0)):
        booked[p.portfolio] += proceeds_of(p.shares_micro, p.mark_price_micro or 0)
    return found + [
        f"portfolio {name}: the shortfall report has earnings of {format_micro(earned[name])}, the books"
        f" {format_micro(booked[name])}"
        for name in sorted(set(earned) | set(booked))
        if earned[name] != booked[name]
    ]


class _Cash(msgspec.Struct, frozen=True):
    cash_micro: Usdc
    at: Micros


class _Bankroll(msgspec.Struct, frozen=True):
    name: str
    bankroll_micro: Usdc


def _cash(c: Connection, moved: dict[str, int]) -> list[str]:
    found = []
    e, entries = t.equity_snapshots.c, t.ledger_entries.c
    for p in read_rows(c, _Bankroll, select(t.portfolios)):
        cash = p.bankroll_micro + moved.get(p.name, 0)
        if cash < 0:
            found.append(f"portfolio {p.name}: cash is {format_micro(cash)}")
        newest = select(e.cash_micro, e.at).where(e.portfolio == p.name).order_by(e.id.desc()).limit(1)
        last = read_row(c, _Cash, newest)
        if last is None:
            continue
        then = select(total(entries.amount_micro)).where(entries.portfolio == p.name, entries.at <= last.at)
        told = p.bankroll_micro + (c.execute(then).scalar_one() or 0)
        if last.cash_micro not in (told, cash):  # a clock that ran ahead leaves entries of after what followed them
            found.append(
                f"portfolio {p.name}: cash was recorded as {format_micro(last.cash_micro)}, the ledger says"
                f" {format_micro(told)}"
            )
    return found


class _Traded(msgspec.Struct, frozen=True):
    leader: str
    token_id: str
    side: Side
    n: Shares


class _Adjusted(msgspec.Struct, frozen=True):
    leader: str
    token_id: str
    n: Shares


def _holdings(c: Connection) -> list[str]:
    want: dict[tuple[str, str], int] = defaultdict(int)
    tr, h = t.trades.c, t.holding_adjustments.c
    moved = (
        select(tr.leader, tr.token_id, tr.side, total(tr.shares_micro).label("n"))
        .where(tr.moves_holding, tr.retracted_at.is_(None))
        .group_by(tr.leader, tr.token_id, tr.side)
    )
    for r in read_rows(c, _Traded, moved):
        want[(r.leader, r.token_id)] += r.n if r.side is Side.BUY else -r.n
    adjusted = select(h.leader, h.token_id, total(h.delta_micro).label("n")).group_by(h.leader, h.token_id)
    for a in read_rows(c, _Adjusted, adjusted):
        want[(a.leader, a.token_id)] += a.n
    have = {(r.leader, r.token_id): r.shares_micro for r in read_rows(c, HoldingRecord, read(HoldingRecord))}
    return [
        f"holding {key[0]} / {key[1][:12]}…: is {format_micro(have.get(key, 0))},"
        f" recomputed {format_micro(want.get(key, 0))}"
        for key in sorted(set(want) | set(have))
        if have.get(key, 0) != want.get(key, 0) or have.get(key, 0) < 0
    ]
