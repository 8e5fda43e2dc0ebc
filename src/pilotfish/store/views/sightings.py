"""When trades were seen: what a backtest models its delay by."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Select, select

from pilotfish.core.trade import Side, TradeClass
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows

SAMPLE = 20_000


class _Row(msgspec.Struct, frozen=True):
    tx_hash: str
    token_id: str
    side: Side
    shares_micro: int
    occurrence: int
    traded_at: int
    first_seen_by_api_at: int | None
    first_seen_by_polygon_at: int | None
    kind: TradeClass

    @property
    def seen_at(self) -> int | None:
        """When the first source showed it (µs)."""
        both = (self.first_seen_by_api_at, self.first_seen_by_polygon_at)
        return min((at for at in both if at is not None), default=None)


def first_seen(c: Connection, wallet: str, *, late: bool = False) -> dict[tuple[str, str, Side, int, int], int]:
    """When each trade of a leader was seen first (µs), by transaction, token, side, shares and which of identical fills
    it is; of those that came in time, with ``late`` also of those that were made up for."""
    classes = (TradeClass.LIVE, TradeClass.CATCH_UP) if late else (TradeClass.LIVE,)
    query = _columns().where(t.trades.c.leader == wallet, t.trades.c.retracted_at.is_(None))
    return {
        (r.tx_hash, r.token_id, r.side, r.shares_micro, r.occurrence): at
        for r in read_rows(c, _Row, query)
        if r.kind in classes and (at := r.seen_at) is not None
    }


def delays(c: Connection) -> list[int]:
    """How long after its block each of the newest trades that came in time was seen (µs), least first; whoever's."""
    query = _columns().where(t.trades.c["class"] == TradeClass.LIVE.value).order_by(t.trades.c.id.desc()).limit(SAMPLE)
    found = ((r.seen_at, r.traded_at) for r in read_rows(c, _Row, query))
    return sorted(max(0, seen - traded) for seen, traded in found if seen is not None)


def _columns() -> Select[Any]:
    tr = t.trades.c
    return select(
        tr.tx_hash, tr.token_id, tr.side, tr.shares_micro, tr.occurrence, tr.traded_at, tr.first_seen_by_api_at,
        tr.first_seen_by_polygon_at, tr["class"].label("kind"),
    )  # fmt: skip
