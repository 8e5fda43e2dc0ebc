"""What an event needs of what is no longer in memory (``core/recall.py``), from the store."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, and_, func, select

from pilotfish.core.events import Past
from pilotfish.core.leading import BOOTSTRAP
from pilotfish.core.recall import Forgotten
from pilotfish.core.trade import Trade
from pilotfish.core.units import SECOND
from pilotfish.store import tables as t
from pilotfish.store.known import Told, orders_of, trades_by, trades_where, whole_keys, whose_orders
from pilotfish.store.mapping import read_rows


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
        found = trades_where(c, mine)
        found |= trades_by(c, tr.tx_hash, {x.tx_hash for x in found.values() if x.occurrence > 1})
        trades = whole_keys(
            tuple(x for _, x in sorted(found.items()) if x.leader == what.leader and x.token_id == what.token_id)
        )
        told = select(t.holding_adjustments).where(
            moved.leader == what.leader, moved.token_id == what.token_id, moved.as_of >= since
        )
        sets = tuple((r.said_micro, r.as_of, r.cause == BOOTSTRAP) for r in read_rows(c, Told, told.order_by(moved.id)))
    orders = (
        [
            (name, o)
            for name in whose_orders(c, portfolios, what.leader, what.token_id)
            for o in orders_of(c, name, at, what.leader, what.token_id)
        ]
        if what.orders
        else []
    )
    return Past(leader=what.leader, token_id=what.token_id, since=since, trades=trades, sets=sets, orders=tuple(orders))
