"""Leaders' trades: as they are kept, and in pages that are filtered and continued by key, so that a page costs the same
in a million rows as in a hundred."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Connection, Select, and_, select
from sqlalchemy.sql.elements import TextClause

from pilotfish.core.reasons import Action, Reason
from pilotfish.core.records import TradeRecord
from pilotfish.core.trade import Side, Source, TradeClass
from pilotfish.core.units import Micros, Shares, Usdc, price_of
from pilotfish.store import copies, names
from pilotfish.store import tables as t
from pilotfish.store.copies import Became
from pilotfish.store.mapping import read_pairs
from pilotfish.store.views import markets
from pilotfish.store.views.base import Iso, Page, View, decimal, following, iso

Standing: TypeAlias = Literal["active", "retracted"]
"""Whether a trade stands, or was taken back by a reorg."""


class LeaderTrade(View, frozen=True, kw_only=True, rename={"kind": "class"}):
    """A leader's trade."""

    id: int
    leader: str
    tx_hash: str
    token_id: str
    condition_id: str | None
    outcome: str | None
    title: str | None
    side: Side
    shares_micro: Shares
    usdc_micro: Usdc
    price: float
    fee_micro: Usdc | None
    occurrence: int
    order_hash: str | None
    role: str | None
    exchange: str | None
    block_number: int | None
    log_index: int | None
    traded_at: Iso
    traded_at_estimated: bool
    first_source: Source
    first_seen_by_api_at: Iso | None
    first_seen_by_polygon_at: Iso | None
    api_lagged: bool
    is_backfill: bool
    kind: TradeClass
    leader_pre_sell_shares_micro: Shares | None
    status: Standing

    @property
    def order(self) -> str | None:
        """What the leader's order is known by, where a log said it."""
        return self.order_hash


class SeenTrade(LeaderTrade, frozen=True, kw_only=True):
    """A trade with its leader's name, and how long after the match it was first seen."""

    label: str
    lag_ms: int | None


class DecisionOnTrade(Became, frozen=True):
    """One portfolio's decision on a trade, and what became of it."""

    id: int
    action: Action
    reason: Reason
    decided_at: str


class TradeDecided(SeenTrade, frozen=True, kw_only=True):
    """A trade with one portfolio's decision; ``None`` = it has not decided."""

    decision: DecisionOnTrade | None


def leader_trade(r: TradeRecord) -> LeaderTrade:
    """A leader's trade from its row."""
    return LeaderTrade(
        id=r.id,
        leader=r.leader,
        tx_hash=r.tx_hash,
        token_id=r.token_id,
        condition_id=r.condition_id,
        outcome=r.outcome,
        title=r.title,
        side=r.side,
        shares_micro=r.shares_micro,
        usdc_micro=r.usdc_micro,
        price=decimal(price_of(r.usdc_micro, r.shares_micro)),
        fee_micro=r.fee_micro,
        occurrence=r.occurrence,
        order_hash=r.order_hash,
        role=r.role,
        exchange=r.exchange,
        block_number=r.block_number,
        log_index=r.log_index,
        traded_at=iso(r.traded_at),
        traded_at_estimated=r.traded_at_estimated,
        first_source=r.first_source,
        first_seen_by_api_at=iso(r.first_seen_by_api_at),
        first_seen_by_polygon_at=iso(r.first_seen_by_polygon_at),
        api_lagged=r.api_lagged,
        is_backfill=r.trade_class is TradeClass.BACKFILL,
        kind=r.trade_class,
        leader_pre_sell_shares_micro=r.leader_pre_sell_shares_micro,
        status="active" if r.retracted_at is None else "retracted",
    )


def lag_ms(traded_at: int, *seen_at: int | None) -> int | None:
    """How long after the match a trade was first seen, given when each source saw it."""
    seen = [at for at in seen_at if at is not None]
    return max(0, (min(seen) - traded_at) // 1000) if seen else None


class TradeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which trades; ``None`` or empty = any. ``portfolio`` is whose decisions are shown, and filtered by; ``state`` is
    what became of them (:class:`~pilotfish.store.copies.State`; all but ``reset``); ``market`` is any token of the
    market whose outcomes are all asked for."""

    portfolio: str = "main"
    leader: str | None = None
    token_id: str | None = None
    market: str | None = None
    words: str | None = None
    side: str | None = None
    source: str | None = None
    kind: str | None = None
    action: str | None = None
    reason: str | None = None
    status: str | None = None
    state: str | None = None


class _Beside(msgspec.Struct, frozen=True):
    """A portfolio's decision on a trade, and the token's market, where there are any."""

    decision_id: int | None
    action: Action | None
    reason: Reason | None
    decided_at: Micros | None
    market_title: str | None
    market_outcome: str | None


class Selection(NamedTuple):
    """Trades that a filter lets through, each with the portfolio's decision and the token's market, where there are
    any; and the number that they go by, the trade's."""

    statement: Select[tuple[object, ...]]
    number: ColumnElement[int]


def read_trades(c: Connection, f: TradeFilter, *, limit: int, before: int | None = None) -> Page[TradeDecided]:
    """Leaders' trades, newest first, each with the decision of the portfolio and the market's title."""
    return read_selected(c, selection(c, f), limit=limit, before=before)


def read_selected(
    c: Connection, chosen: Selection | None, *, limit: int, before: int | None = None
) -> Page[TradeDecided]:
    """The newest trades of a selection; of none where there is none."""
    if chosen is None:
        return Page(data=[], next_before=None)
    statement = chosen.statement if before is None else chosen.statement.where(chosen.number < before)
    newest = statement.order_by(chosen.number.desc()).limit(limit + 1)
    rows = list(read_pairs(c, TradeRecord, _Beside, newest))
    page = rows[:limit]
    became = copies.of(c, [(x.decision_id, x.action) for _, x in page if x.decision_id is not None and x.action])
    labels = names.labels(c)
    return Page(
        data=[_decided(r, x, became, labels) for r, x in page], next_before=following([r for r, _ in rows], limit)
    )


def selection(c: Connection, f: TradeFilter) -> Selection | None:
    """The trades of a filter, begun from the table whose index finds them; ``None`` = no market is of its words."""
    tr, d, i = t.trades.c, t.decisions.c, t.intents.c
    action, order_state = asked_for(f)
    by_decision = bool(action or f.reason)
    of_leader = i.leader if order_state else d.leader if by_decision else tr.leader
    wanted: list[ColumnElement[bool] | TextClause] = [
        column == value
        for column, value in (
            (of_leader, f.leader), (tr.token_id, f.token_id), (tr.side, f.side), (tr.first_source, f.source),
            (tr["class"], f.kind), (d.action, action), (d.reason, f.reason),
        )
        if value
    ]  # fmt: skip
    if f.status:
        wanted.append(tr.retracted_at.is_(None) if f.status == "active" else tr.retracted_at.is_not(None))
    if f.market:
        wanted.append(tr.token_id.in_(markets.tokens_beside(c, f.market)))
    if f.words:
        tokens = markets.tokens_by_words(c, f.words)
        if not tokens:
            return None
        wanted.append(tr.token_id.in_(tokens))
    of_market = (t.markets, t.markets.c.token_id == tr.token_id)
    of_portfolio = and_(d.trade_id == tr.id, d.portfolio == f.portfolio)
    columns = select(
        t.trades, d.id.label("decision_id"), d.action, d.reason, d.decided_at,
        t.markets.c.title.label("market_title"), t.markets.c.outcome.label("market_outcome"),
    )  # fmt: skip
    if order_state:
        of_orders = t.intents.join(t.trades, tr.id == i.trade_id).join(t.decisions, d.id == i.decision_id)
        wanted += [i.portfolio == f.portfolio, copies.CONDITIONS[order_state]]
        return Selection(columns.select_from(of_orders.outerjoin(*of_market)).where(*wanted), i.trade_id)
    if by_decision:
        of_decisions = t.decisions.join(t.trades, d.trade_id == tr.id)
        wanted.append(d.portfolio == f.portfolio)
        return Selection(columns.select_from(of_decisions.outerjoin(*of_market)).where(*wanted), d.trade_id)
    of_trades = t.trades.outerjoin(t.decisions, of_portfolio)
    return Selection(columns.select_from(of_trades.outerjoin(*of_market)).where(*wanted), tr.id)


def asked_for(f: TradeFilter) -> tuple[str | None, copies.State | None]:
    """The action, and the state of the order, that a filter asks for."""
    if not f.state:
        return f.action, None
    state = copies.State(f.state)
    if state in copies.CONDITIONS:
        return f.action, state
    return {copies.State.SKIPPED: "skip", copies.State.WAITING: "wait"}[state], None


def _decided(r: TradeRecord, x: _Beside, became: dict[int, Became], labels: dict[str, str]) -> TradeDecided:
    decided = None
    if x.decision_id is not None:
        assert x.action is not None and x.reason is not None and x.decided_at is not None, "a decision has them all"
        decided = DecisionOnTrade(
            id=x.decision_id, action=x.action, reason=x.reason, decided_at=iso(x.decided_at),
            **asdict(became[x.decision_id]),
        )  # fmt: skip
    of_market = {"title": r.title or x.market_title, "outcome": r.outcome or x.market_outcome}
    return TradeDecided(
        **(asdict(leader_trade(r)) | of_market),
        label=labels.get(r.leader, ""),
        lag_ms=lag_ms(r.traded_at, r.first_seen_by_api_at, r.first_seen_by_polygon_at),
        decision=decided,
    )
