"""Reading the worker's state back at start: portfolios, open business, recent identities. Leaders and their cursors are
``following``'s, what a single event needs is ``recalled``'s."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

import msgspec
from sqlalchemy import Connection, Table, and_, func, select

from pilotfish.core.events import (
    PendingDecision,
    PortfolioState,
    Restored,
)
from pilotfish.core.leading import GONE
from pilotfish.core.orders import Order
from pilotfish.core.recording import order_of, position_of
from pilotfish.core.records import (
    AdjustmentRecord,
    IntentRecord,
    LevelTaken,
    PositionRecord,
    SavingRecord,
)
from pilotfish.core.settings import Globals, Policy
from pilotfish.core.trade import Side, Trade, exit_without_trade
from pilotfish.core.units import SECOND, Price
from pilotfish.store import portfolios_store
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text, spelled
from pilotfish.store.known import (
    AT_ONCE,
    DAY,
    KEEP_IDENTITIES,
    orders,
    orders_of,
    reset_at,
    trades_by,
    trades_where,
    whole_keys,
    whose_orders,
)
from pilotfish.store.mapping import read, read_rows

SEEN_LATELY = 20_000
"""Trades of one source that are looked through for what the other is late with."""
REORG_REACH = DAY // 24
"""How far back a reorg is reckoned with after a restart: an hour is far beyond the deepest ones."""


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
    late, and those that something waits for; who drives the engine brings the others by ``recalled.past``."""
    tr = t.trades.c
    oldest = c.execute(select(func.min(t.cursors.c.api_cursor_ts))).scalar()
    since = min(at - KEEP_IDENTITIES, ((oldest or at // SECOND) - 7200) * SECOND) if keep is None else at - keep
    waits = select(t.decisions.c.trade_id).where(t.decisions.c.action == "wait")
    working = select(t.intents.c.trade_id).where(t.INTENT_OUT)
    ids = {n for query in (waits, working) for n in c.execute(query).scalars() if n}
    ids |= set() if keep is None else _unconfirmed(c, since)
    trades = trades_where(c, tr.traded_at >= since)
    trades |= trades_by(c, tr.id, ids - trades.keys())
    lone = {x.tx_hash for x in trades.values() if x.occurrence > 1 or x.traded_at_estimated or x.traded_at < since}
    trades |= trades_by(c, tr.tx_hash, lone)
    pairs = None if keep is None else {(x.leader, x.token_id) for n in ids if (x := trades.get(n)) is not None}
    theirs: dict[str, list[tuple[str, str]]] = {}
    for pair in sorted(pairs or ()):
        for name in whose_orders(c, policies, *pair):
            theirs.setdefault(name, []).append(pair)
    return Restored(
        at=at,
        portfolios=tuple(
            portfolio(c, name, policy, at, trades, None if pairs is None else theirs.get(name, ()))
            for name, policy in sorted(policies.items())
        ),
        globals=globals_,
        trades=whole_keys(tuple(trades[n] for n in sorted(trades))),
        keep=keep or 0,
        recalled=tuple(sorted(pairs or ())),
        last_trade_id=_last(c, t.trades),
        last_decision_id=_last(c, t.decisions),
        last_intent_id=_last(c, t.intents),
        last_fill_id=_last(c, t.fills),
        last_entry_id=_last(c, t.ledger_entries),
        last_adjustment_id=_last(c, t.holding_adjustments),
    )


def _unconfirmed(c: Connection, since: int) -> set[int]:
    """Trades that the other source may still be late with: a lag to be told of, or a log that is missing."""
    tr = t.trades.c
    once = select(tr.id, tr.first_seen_by_api_at, tr.api_lagged).where(t.SEEN_ONCE).order_by(tr.id.desc())
    found = c.execute(once.limit(SEEN_LATELY)).all()
    return {n for n, api, lagged in found if (not lagged if api is None else api >= since)}


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
    out = _ASKED.where(mine, t.INTENT_OUT)
    counted = c.execute(select(t.intents.c.token_id, func.count()).where(buys).group_by(t.intents.c.token_id))
    return PortfolioState(
        name=name,
        bankroll=bankroll,
        cash=bankroll + int(moved or 0),
        policy=policy,
        positions=tuple(map(position_of, sorted(read_rows(c, PositionRecord, held), key=_opened))),
        intents=tuple(map(_order, read_rows(c, _Asked, out.order_by(t.intents.c.id)))),
        pending=_pending(c, name),
        recent=_recent(c, name, at - REORG_REACH),
        orders=orders(c, name, at, trades or {})
        if pairs is None
        else tuple(sorted((o for pair in pairs for o in orders_of(c, name, at, *pair)), key=lambda o: o.decision_id)),
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


def _opened(p: PositionRecord) -> tuple[int, str, str]:
    """Positions are gone through in the order in which they were opened, as without a restart: a database gives rows
    that nobody ordered as it likes."""
    return p.opened_at, p.leader, p.token_id


def _saved(c: Connection, name: str) -> tuple[tuple[str, str, int], ...]:
    s = t.savings.c
    rows = read_rows(c, SavingRecord, read(SavingRecord).where(s.portfolio == name, s.usdc_micro > 0))
    return tuple((r.leader, r.token_id, r.usdc_micro) for r in rows)


def _taken(c: Connection, name: str) -> tuple[tuple[str, Side, int, int], ...]:
    q = t.liquidity_taken.c
    levels = read(LevelTaken).where(q.portfolio == name).order_by(spelled(q.token_id), as_text(q.side), q.price_micro)
    return tuple((r.token_id, r.side, r.price_micro, r.taken_micro) for r in read_rows(c, LevelTaken, levels))


def _missed(c: Connection, name: str) -> tuple[tuple[str, str], ...]:
    d, tr, h, m = t.decisions.c, t.trades.c, t.leader_holdings.c, t.markets.c
    bought = select(d.id).join(t.trades, tr.id == d.trade_id).where(
        tr.leader == h.leader, tr.token_id == h.token_id, t.unindexed(d.portfolio) == name,
        d.sized_by_order.is_not(None), d.decided_at > func.coalesce(reset_at(name), 0),
    )  # fmt: skip
    decided_on = select(d.id).where(d.portfolio == name, d.leader == t.leaders.c.wallet).exists()
    theirs = h.leader.in_(select(t.leaders.c.wallet).where(decided_on))
    # each trade that a BUY was decided on moved a holding: there are far fewer of those than decisions; of many
    # portfolios each has decided on few leaders
    query = select(h.leader, h.token_id).outerjoin(t.markets, m.token_id == h.token_id)
    found = c.execute(query.where(theirs, m.payout_micro.is_(None), bought.exists()))
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


def _order(r: _Asked) -> Order:
    return order_of(r, r.rule if r.rule or r.trade_id or r.decided_trade is None else "reorg")
