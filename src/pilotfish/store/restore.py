"""Reading the worker's state back at start: portfolios, open business, recent identities, leaders and their cursors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, ScalarSelect, Table, and_, func, or_, select

from pilotfish.core.events import (
    LeaderFollowed,
    LeaderRemoved,
    Past,
    PendingDecision,
    PortfolioState,
    Restored,
)
from pilotfish.core.leader_orders import ORDER_LIFE, ORDERS_KEPT, LeaderOrder, begun_by
from pilotfish.core.leading import BOOTSTRAP, GONE
from pilotfish.core.orders import Order
from pilotfish.core.reasons import Action
from pilotfish.core.recall import Forgotten
from pilotfish.core.recording import order_of, position_of, trade_of
from pilotfish.core.records import (
    AdjustmentRecord,
    CursorRecord,
    GapRecord,
    HoldingRecord,
    IntentRecord,
    LevelTaken,
    PositionRecord,
    SavingRecord,
    TradeRecord,
)
from pilotfish.core.settings import Globals, Policy
from pilotfish.core.trade import Side, Trade, TradeKey, exit_without_trade
from pilotfish.core.units import SECOND, Micros, Price, Shares
from pilotfish.store import portfolios_store
from pilotfish.store import tables as t
from pilotfish.store.mapping import read, read_row, read_rows

DAY = 86_400 * SECOND
KEEP_IDENTITIES = 8 * DAY
SEEN_LATELY = 20_000
"""Trades of one source that are looked through for what the other is late with."""
AT_ONCE = 500
"""Values in one question to the database."""
REORG_REACH = DAY // 24
"""How far back a reorg is reckoned with after a restart: an hour is far beyond the deepest ones."""
V = TypeVar("V", int, str)


class _Asked(IntentRecord, frozen=True, kw_only=True):
    """An order, with what asked for it: its decision's rule, and the trade that was decided on."""

    rule: str | None
    decided_trade: int | None


_ASKED = select(t.intents, t.decisions.c.rule, t.decisions.c.trade_id.label("decided_trade")).join(
    t.decisions, t.decisions.c.id == t.intents.c.decision_id
)
"""Reads :class:`_Asked`."""


def restored(
    c: Connection, policies: dict[str, Policy], globals_: Globals, at: int, *, keep: int | None = None
) -> Restored:
    """The first event of a run. ``policies`` holds every portfolio's effective policy. ``keep`` (µs): only trades of so
    late, and those that something waits for; who drives the engine brings the others by :func:`past`."""
    tr = t.trades.c
    oldest = c.execute(select(func.min(t.cursors.c.api_cursor_ts))).scalar()
    since = min(at - KEEP_IDENTITIES, ((oldest or at // SECOND) - 7200) * SECOND) if keep is None else at - keep
    waits = select(t.decisions.c.trade_id).where(t.decisions.c.action == "wait")
    working = select(t.intents.c.trade_id).where(t.intents.c.state.in_(("pending", "working")))
    ids = {n for query in (waits, working) for n in c.execute(query).scalars() if n}
    ids |= set() if keep is None else _unconfirmed(c, since)
    trades = _trades(c, tr.traded_at >= since)
    trades |= _trades_by(c, tr.id, ids - trades.keys())
    lone = {x.tx_hash for x in trades.values() if x.occurrence > 1 or x.traded_at_estimated or x.traded_at < since}
    trades |= _trades_by(c, tr.tx_hash, lone)
    pairs = None if keep is None else {(x.leader, x.token_id) for n in ids if (x := trades.get(n)) is not None}
    return Restored(
        at=at,
        portfolios=tuple(portfolio(c, name, policy, at, trades, pairs) for name, policy in sorted(policies.items())),
        globals=globals_,
        trades=_whole_keys(tuple(trades[n] for n in sorted(trades))),
        keep=keep or 0,
        recalled=tuple(sorted(pairs or ())),
        last_trade_id=_last(c, t.trades),
        last_decision_id=_last(c, t.decisions),
        last_intent_id=_last(c, t.intents),
        last_fill_id=_last(c, t.fills),
        last_entry_id=_last(c, t.ledger_entries),
        last_adjustment_id=_last(c, t.holding_adjustments),
    )


def _trades(c: Connection, which: ColumnElement[bool]) -> dict[int, Trade]:
    query = select(t.trades).where(which).order_by(t.trades.c.id)
    return {row.id: trade_of(row) for row in read_rows(c, TradeRecord, query)}


def _unconfirmed(c: Connection, since: int) -> set[int]:
    """Trades that the other source may still be late with: a lag to be told of, or a log that is missing."""
    tr = t.trades.c
    once = select(tr.id, tr.first_seen_by_api_at, tr.api_lagged).where(t.SEEN_ONCE).order_by(tr.id.desc())
    found = c.execute(once.limit(SEEN_LATELY)).all()
    return {n for n, api, lagged in found if (not lagged if api is None else api >= since)}


def _trades_by(c: Connection, column: ColumnElement[V], values: Collection[V]) -> dict[int, Trade]:
    found: dict[int, Trade] = {}
    left = iter(sorted(values))
    while some := list(islice(left, AT_ONCE)):
        found |= _trades(c, column.in_(some))
    return found


def past(c: Connection, portfolios: Iterable[str], forgotten: Iterable[Forgotten], at: int) -> tuple[Past, ...]:
    """What an event needs that is no longer in memory."""
    names = list(portfolios)
    return tuple(_past(c, names, what, at) for what in forgotten)


def _known_from(c: Connection, leader: str, token_id: str, since: int) -> int:
    """The instant at or before ``since`` (µs) from which on what was held can be worked out: of a snapshot, else of a
    SELL, which tell what was held; of what the first snapshot of a following contains, when that began."""
    tr, moved = t.trades.c, t.holding_adjustments.c
    of_trades, of_moves = (
        (tr.leader == leader, tr.token_id == token_id), (moved.leader == leader, moved.token_id == token_id)
    )  # fmt: skip
    sold = select(func.max(tr.traded_at)).where(
        *of_trades, tr.traded_at < since, tr.side == "SELL", tr.moves_holding.is_(True), tr.retracted_at.is_(None),
        tr.leader_pre_sell_shares_micro.is_not(None),
    )  # fmt: skip
    told = select(func.max(moved.as_of)).where(*of_moves, moved.as_of < since)
    first = select(func.min(tr.traded_at)).where(*of_trades)
    anchors = [at for query in (sold, told) if (at := c.execute(query).scalar()) is not None]
    begin = max(anchors) if anchors else min(since, c.execute(first).scalar() or since)
    begin = begin // SECOND * SECOND
    begun = select(func.count()).where(*of_moves, moved.as_of >= begin, moved.cause == BOOTSTRAP)
    if c.execute(begun).scalar():
        floor = c.execute(select(t.cursors.c.floor_ts).where(t.cursors.c.leader == leader)).scalar()
        begin = min(begin, (floor or 0) * SECOND) if floor else begin
    return begin


def _past(c: Connection, portfolios: list[str], what: Forgotten, at: int) -> Past:
    tr, moved = t.trades.c, t.holding_adjustments.c
    trades: tuple[Trade, ...] = ()
    sets: tuple[tuple[int, int, bool], ...] = ()
    since = what.since
    if what.transactions:
        mined = select(func.min(tr.traded_at)).where(
            tr.tx_hash.in_(what.transactions), tr.leader == what.leader, tr.token_id == what.token_id
        )
        times = [at for at in (since, c.execute(mined).scalar()) if at is not None]
        since = min(times) if times else None
    if since is not None:
        since = _known_from(c, what.leader, what.token_id, since)
    if since is not None:
        mine = and_(tr.leader == what.leader, tr.token_id == what.token_id, tr.traded_at >= since)
        found = _trades(c, mine)
        found |= _trades_by(c, tr.tx_hash, {x.tx_hash for x in found.values() if x.occurrence > 1})
        trades = _whole_keys(
            tuple(x for _, x in sorted(found.items()) if x.leader == what.leader and x.token_id == what.token_id)
        )
        told = select(t.holding_adjustments).where(
            moved.leader == what.leader, moved.token_id == what.token_id, moved.as_of >= since
        )
        sets = tuple(
            (r.said_micro, r.as_of, r.cause == BOOTSTRAP) for r in read_rows(c, _Told, told.order_by(moved.id))
        )
    orders = (
        [(name, o) for name in portfolios for o in _orders_of(c, name, at, what.leader, what.token_id)]
        if what.orders
        else []
    )
    return Past(leader=what.leader, token_id=what.token_id, since=since, trades=trades, sets=sets, orders=tuple(orders))


def _whole_keys(trades: tuple[Trade, ...]) -> tuple[Trade, ...]:
    """Keys whose occurrences are consecutive from 1 (all trades of a key share a block, so this drops none)."""
    counts: dict[TradeKey, int] = {}
    whole = []
    for trade in sorted(trades, key=lambda x: (x.occurrence, x.id)):
        if counts.get(trade.key, 0) + 1 == trade.occurrence:
            counts[trade.key] = trade.occurrence
            whole.append(trade)
    return tuple(whole)


def _last(c: Connection, table: Table) -> int:
    """The highest id ever given; wiped tables keep counting through what refers to them."""
    highest = int(c.execute(select(func.max(table.c.id))).scalar() or 0)
    kept = c.execute(select(t.worker_status.c.data).where(t.worker_status.c.name == "ids")).scalar()
    return max(highest, int((kept or {}).get(table.name, 0)))


def portfolio(
    c: Connection, name: str, policy: Policy, at: int, trades: Mapping[int, Trade] | None = None,
    pairs: Collection[tuple[str, str]] | None = None,
) -> PortfolioState:  # fmt: skip
    """One portfolio's books and open business. ``trades``: what is read already, by id. ``pairs``: (leader, token)
    whose orders are wanted; ``None`` = all."""
    bankroll = c.execute(select(t.portfolios.c.bankroll_micro).where(t.portfolios.c.name == name)).scalar()
    assert bankroll is not None, f"portfolio {name} has a row"
    moved = c.execute(
        select(func.sum(t.ledger_entries.c.amount_micro)).where(t.ledger_entries.c.portfolio == name)
    ).scalar()
    day = at // DAY
    mine = t.intents.c.portfolio == name
    buys = and_(mine, t.intents.c.side == "BUY")
    today = and_(buys, t.intents.c.created_at >= day * DAY)
    filled = select(func.sum(t.fills.c.usdc_micro)).join(t.intents, t.intents.c.id == t.fills.c.intent_id)
    filled = filled.where(today, t.fills.c.filled_at >= day * DAY)  # an index finds them
    promised = select(func.sum(t.intents.c.budget_micro)).where(today, t.INTENT_OUT)
    spent = sum(int(c.execute(part).scalar() or 0) for part in (filled, promised))
    held = read(PositionRecord).where(t.positions.c.portfolio == name)
    out = _ASKED.where(mine, t.intents.c.state.in_(("pending", "working")))
    counted = c.execute(select(t.intents.c.token_id, func.count()).where(buys).group_by(t.intents.c.token_id))
    return PortfolioState(
        name=name,
        bankroll=bankroll,
        cash=bankroll + int(moved or 0),
        policy=policy,
        positions=tuple(map(position_of, read_rows(c, PositionRecord, held))),
        intents=tuple(map(_order, read_rows(c, _Asked, out.order_by(t.intents.c.id)))),
        pending=_pending(c, name),
        recent=_recent(c, name, at - REORG_REACH),
        orders=_orders(c, name, at, trades or {})
        if pairs is None
        else tuple(sorted((o for pair in pairs for o in _orders_of(c, name, at, *pair)), key=lambda o: o.decision_id)),
        spent_day=day,
        spent_today=spent,
        buys=tuple((r[0], r[1]) for r in counted),
        follows=_follows(c, name),
        saved=_saved(c, name),
        day_equity=_day_equity(c, name, day * DAY),
        missed=_missed(c, name),
        taken=_taken(c, name),
        **_extremes(c, name),
    )


def _saved(c: Connection, name: str) -> tuple[tuple[str, str, int], ...]:
    s = t.savings.c
    rows = read_rows(c, SavingRecord, read(SavingRecord).where(s.portfolio == name, s.usdc_micro > 0))
    return tuple((r.leader, r.token_id, r.usdc_micro) for r in rows)


def _taken(c: Connection, name: str) -> tuple[tuple[str, Side, int, int], ...]:
    q = t.liquidity_taken.c
    levels = read(LevelTaken).where(q.portfolio == name).order_by(q.token_id, q.side, q.price_micro)
    return tuple((r.token_id, r.side, r.price_micro, r.taken_micro) for r in read_rows(c, LevelTaken, levels))


class _OfOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A decision on a fill of a leader's order."""

    id: int
    order_decision_id: int | None
    action: Action
    trade_id: int


def _orders(c: Connection, name: str, at: int, trades: Mapping[int, Trade]) -> tuple[LeaderOrder, ...]:
    """The leaders' orders of which something was filled lately, oldest first, as they would be without a restart."""
    d, tr = t.decisions.c, t.trades.c
    mine = [d.portfolio == name, d.sized_by_order.is_not(None), d.decided_at > func.coalesce(_reset_at(name), 0)]
    lately = or_(tr.traded_at >= at - ORDER_LIFE, d.action == "wait")
    alive = select(func.coalesce(d.order_decision_id, d.id)).join(t.trades, tr.id == d.trade_id).where(*mine, lately)
    theirs = (*mine, or_(d.id.in_(alive), d.order_decision_id.in_(alive)))
    fills = select(d.id, d.order_decision_id, d.action, d.trade_id).join(t.trades, tr.id == d.trade_id).where(*theirs)
    rows = list(read_rows(c, _OfOrder, fills.order_by(d.id)))
    if any(r.trade_id not in trades for r in rows):
        trades = _trades(c, tr.id.in_(select(d.trade_id).where(*theirs)))
    found = _from_fills(rows, trades)
    kept: Counter[tuple[str, str]] = Counter()
    newest = []
    for order in sorted(found.values(), key=lambda o: -o.decision_id):
        kept[(order.leader, order.token_id)] += 1
        if kept[(order.leader, order.token_id)] <= ORDERS_KEPT:
            newest.append(order)
    return tuple(reversed(newest))


def _orders_of(c: Connection, name: str, at: int, leader: str, token_id: str) -> tuple[LeaderOrder, ...]:
    """The same of one leader and token."""
    d = t.decisions.c
    mine = (
        d.portfolio == name, d.leader == leader, d.token_id == token_id, d.sized_by_order.is_not(None),
        d.decided_at > func.coalesce(_reset_at(name), 0),
    )  # fmt: skip
    newest = select(d.id).where(*mine, d.order_decision_id.is_(None)).order_by(d.id.desc()).limit(ORDERS_KEPT)
    firsts = set(c.execute(newest).scalars())
    if not firsts:
        return ()
    fills = select(d.id, d.order_decision_id, d.action, d.trade_id).where(*mine, d.id >= min(firsts)).order_by(d.id)
    rows = [r for r in read_rows(c, _OfOrder, fills) if (r.order_decision_id or r.id) in firsts]
    found = _from_fills(rows, _trades_by(c, t.trades.c.id, {r.trade_id for r in rows}))
    waiting = {r.order_decision_id or r.id for r in rows if r.action is Action.WAIT}
    return tuple(o for n, o in sorted(found.items()) if o.last_at >= at - ORDER_LIFE or n in waiting)


def _from_fills(rows: Iterable[_OfOrder], trades: Mapping[int, Trade]) -> dict[int, LeaderOrder]:
    """Orders by the decision on their first fill, from decisions on their fills in order."""
    found: dict[int, LeaderOrder] = {}
    for r in rows:
        trade, number = trades[r.trade_id], r.order_decision_id or r.id
        order = found.get(number)
        if order is None:
            order = found[number] = begun_by(trade, number)
        order.see(trade)
        order.spent = order.spent or r.action is Action.COPY
    return found


def _missed(c: Connection, name: str) -> tuple[tuple[str, str], ...]:
    d, h, m = t.decisions.c, t.leader_holdings.c, t.markets.c
    bought = select(d.id).where(
        d.leader == h.leader, d.token_id == h.token_id, d.portfolio == name, d.sized_by_order.is_not(None),
        d.decided_at > func.coalesce(_reset_at(name), 0),
    )  # fmt: skip
    # each trade that a BUY was decided on moved a holding: there are far fewer of those than decisions
    query = select(h.leader, h.token_id).outerjoin(t.markets, m.token_id == h.token_id)
    found = c.execute(query.where(m.payout_micro.is_(None), bought.exists()))
    return tuple((leader, token) for leader, token in found)


def _extremes(c: Connection, name: str) -> dict[str, int]:
    e = t.equity_snapshots
    last = select(e.c.peak_micro, e.c.drawdown_micro).where(e.c.portfolio == name).order_by(e.c.id.desc()).limit(1)
    peak, drawdown = c.execute(last).first() or (0, 0)
    return {"peak": peak or 0, "drawdown": drawdown or 0}


def _follows(c: Connection, name: str) -> tuple[str, ...] | None:
    chosen = portfolios_store.follows(c, name)
    return None if chosen is None else tuple(chosen)


def _day_equity(c: Connection, name: str, begin: int) -> int | None:
    """Equity when the UTC day began: the last figure before it, else the first one after."""
    e = t.equity_snapshots
    mine = select(e.c.equity_micro).where(e.c.portfolio == name).limit(1)
    before = c.execute(mine.where(e.c.at < begin).order_by(e.c.at.desc())).scalar()
    return before if before is not None else c.execute(mine.where(e.c.at >= begin).order_by(e.c.at)).scalar()


def _recent(c: Connection, name: str, since: int) -> tuple[tuple[Order, tuple[int, ...]], ...]:
    fills: dict[int, list[int]] = {}
    f = t.fills.c
    filled = select(f.id, f.intent_id).where(f.portfolio == name, f.filled_at >= since)
    for number, intent in sorted(c.execute(filled).all()):
        fills.setdefault(intent, []).append(number)
    i, left = t.intents.c, iter(sorted(fills))
    found: list[tuple[Order, tuple[int, ...]]] = []
    while some := list(islice(left, AT_ONCE)):
        lately = _ASKED.where(i.id.in_(some), i.created_at >= since - DAY, i.trade_id != 0).order_by(i.id)
        found += [(_order(r), tuple(fills[r.id])) for r in read_rows(c, _Asked, lately)]
    return tuple(found)


class _Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that waits."""

    id: int
    trade_id: int | None
    adjustment_id: int | None
    order_decision_id: int | None
    exit_price_micro: Price | None


def _pending(c: Connection, name: str) -> tuple[PendingDecision, ...]:
    d, a = t.decisions.c, t.holding_adjustments.c
    waiting = select(t.decisions).where(d.portfolio == name, d.action == "wait").order_by(d.id)
    exits = read(AdjustmentRecord).join(t.decisions, d.adjustment_id == a.id)
    moved = {r.id: r for r in read_rows(c, AdjustmentRecord, exits.where(d.portfolio == name, d.action == "wait"))}
    return tuple(
        PendingDecision(
            id=r.id,
            portfolio=name,
            trade_id=r.trade_id,
            adjustment_id=r.adjustment_id,
            exit=_exit(moved[r.adjustment_id], r.exit_price_micro or 0) if r.adjustment_id is not None else None,
            order_decision_id=r.order_decision_id,
        )
        for r in read_rows(c, _Waiting, waiting)
    )


def _exit(moved: AdjustmentRecord, price: int) -> Trade:
    """What took a leader's shares away without a trade, as the SELL that it amounts to."""
    return exit_without_trade(
        moved.leader,
        moved.token_id,
        -moved.delta_micro,
        moved.before_micro,
        price,
        moved.at,
        unexplained=moved.cause == GONE,
    )


def _reset_at(name: str) -> ScalarSelect[int | None]:
    return select(t.portfolios.c.reset_at).where(t.portfolios.c.name == name).scalar_subquery()


def _order(r: _Asked) -> Order:
    return order_of(r, r.rule if r.rule or r.trade_id or r.decided_trade is None else "reorg")


class LeaderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A leader as people entered him."""

    wallet: str
    label: str
    status: str
    added_at: Micros


def leaders(c: Connection) -> list[LeaderRow]:
    """All leaders ever entered, removed ones included."""
    return list(read_rows(c, LeaderRow, select(t.leaders).order_by(t.leaders.c.added_at, t.leaders.c.wallet)))


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot said of a holding."""

    token_id: str
    said_micro: Shares
    as_of: Micros
    cause: str


def taken_up(
    c: Connection, leader: LeaderRow, at: int, *, started_at: int, left: bool, warm_sec: int = 0
) -> tuple[LeaderRemoved | None, LeaderFollowed]:
    """How a worker takes up a leader who is followed: after a stop where it left off; from now on where they are new,
    or were left in between. History in between is never copied, and what waited when they were left ends: where no
    worker has seen them left, that is said first.

    ``started_at``: when the worker started (µs): who was entered before that is followed from ``at`` on. ``left``: this
    worker has seen them left. A warm start reads ``warm_sec`` of history, as backfill; a flat one nothing. The holdings
    of a new following are what the books say was held when they were left: its first snapshot corrects them.
    """
    was = follow_again(c, leader, at)
    if was is not None and not left and was.follow_from >= leader.added_at:
        return None, was
    follow_from = leader.added_at if leader.added_at >= started_at else at
    floor = follow_from // SECOND - warm_sec
    now = LeaderFollowed(
        at=at,
        leader=leader.wallet,
        follow_from=follow_from,
        floor_ts=floor,
        cursor_ts=floor,
        is_new=True,
        paused=leader.status == "paused",
        holdings=was.holdings if was is not None else (),
    )
    return (None if was is None or left else LeaderRemoved(at=at, leader=leader.wallet)), now


def follow_again(c: Connection, leader: LeaderRow, at: int) -> LeaderFollowed | None:
    """The event that takes a known leader up where he was left, or ``None`` if he was never followed."""
    cursor = read_row(c, CursorRecord, read(CursorRecord).where(t.cursors.c.leader == leader.wallet))
    if cursor is None:
        return None
    h, moved = t.leader_holdings.c, t.holding_adjustments.c
    held = read(HoldingRecord).where(h.leader == leader.wallet).order_by(h.token_id)
    told = select(t.holding_adjustments).where(
        moved.leader == leader.wallet, moved.as_of.is_not(None), moved.at >= at - KEEP_IDENTITIES
    )
    return LeaderFollowed(
        at=at,
        leader=leader.wallet,
        follow_from=cursor.follow_from,
        floor_ts=cursor.floor_ts,
        cursor_ts=cursor.api_cursor_ts,
        is_new=False,
        paused=leader.status == "paused",
        bootstrapped=cursor.bootstrapped,
        holdings=tuple((r.token_id, r.shares_micro) for r in read_rows(c, HoldingRecord, held)),
        sets=tuple(
            (r.token_id, r.said_micro, r.as_of, r.cause == BOOTSTRAP)
            for r in read_rows(c, _Told, told.order_by(moved.id))
        ),
        value=cursor.positions_value_micro,
        gaps=gaps(c, leader.wallet),
        gone=_gone(c, leader.wallet, at - KEEP_IDENTITIES),
    )


def gaps(c: Connection, wallet: str) -> tuple[tuple[int, int], ...]:
    """What is missing of a leader's history: seconds (from, to)."""
    g = t.history_gaps.c
    missing = read(GapRecord).where(g.leader == wallet, g.is_open).order_by(g.from_ts)
    return tuple((r.from_ts, r.to_ts) for r in read_rows(c, GapRecord, missing))


def _gone(c: Connection, wallet: str, since: int) -> tuple[tuple[str, int], ...]:
    a = t.holding_adjustments.c
    query = select(a.token_id, func.max(a.at)).where(a.leader == wallet, a.cause == GONE, a.at >= since)
    return tuple((token, at) for token, at in c.execute(query.group_by(a.token_id).order_by(a.token_id)))
