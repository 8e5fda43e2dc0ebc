"""Leaders' orders and trades as lines of a file: what the page shows, in plain units."""

from __future__ import annotations

from pilotfish.core.units import price_of
from pilotfish.store.views.base import View
from pilotfish.store.views.order_rows import OrderDecided, OrderRow
from pilotfish.store.views.our_orders import OurOrder
from pilotfish.store.views.trades import DecisionOnTrade, TradeDecided
from pilotfish.web.csv_files import amount
from pilotfish.web.telling import told


class Came(View, frozen=True, kw_only=True):
    """What became of it in the portfolio: in a word, by its code, and what was got; empty where nothing was decided."""

    result: str
    reason: str
    our_shares: str
    our_price: str
    our_usdc: str
    why: str


class Order(Came, frozen=True):
    """A leader's order. Times are UTC; ``skipped_fills`` were not copied though a size was left for them."""

    began_at: str
    newest_fill_at: str
    leader: str
    wallet: str
    side: str
    market: str
    outcome: str
    fills: int
    shares: str
    price: str
    usdc: str
    seen_after_seconds: float | None
    skipped_fills: int
    trade: int | None


class Fill(Came, frozen=True):
    """A leader's trade. Times are UTC."""

    traded_at: str
    leader: str
    wallet: str
    side: str
    market: str
    outcome: str
    shares: str
    price: str
    usdc: str
    seen_after_seconds: float | None
    first_seen_by: str
    kind: str
    on_chain: str
    trade: int
    transaction: str


def order(r: OrderRow) -> Order:
    """An order's line."""
    return Order(
        began_at=r.began_at, newest_fill_at=r.at, leader=r.label, wallet=r.leader, side=r.side, market=r.title,
        outcome=r.outcome, fills=r.fills, shares=amount(r.shares_micro), usdc=amount(r.usdc_micro),
        price=_price(r.usdc_micro or 0, r.shares_micro), seen_after_seconds=_seconds(r.lag_ms),
        skipped_fills=sum(r.decision.skipped.values()) if r.decision else 0, trade=r.trade_id,
        **came(r.decision),
    )  # fmt: skip


def fill(r: TradeDecided) -> Fill:
    """A trade's line."""
    return Fill(
        traded_at=r.traded_at, leader=r.label, wallet=r.leader, side=r.side, market=r.title or "",
        outcome=r.outcome or "", shares=amount(r.shares_micro), usdc=amount(r.usdc_micro),
        price=_price(r.usdc_micro, r.shares_micro), seen_after_seconds=_seconds(r.lag_ms), first_seen_by=r.first_source,
        kind=r.kind, on_chain="stands" if r.status == "active" else "taken back", trade=r.id,
        transaction=r.tx_hash, **came(r.decision),
    )  # fmt: skip


def came(d: OrderDecided | DecisionOnTrade | OurOrder | None) -> dict[str, str]:
    """What became of it, as fields of :class:`Came`."""
    if d is None:
        return dict.fromkeys(Came.__struct_fields__, "")
    return {
        "result": told(d).text, "reason": d.reason, "our_shares": amount(d.our_shares_micro),
        "our_price": _price(d.our_usdc_micro or 0, d.our_shares_micro or 0), "our_usdc": amount(d.our_usdc_micro),
        "why": d.why or "",
    }  # fmt: skip


def _price(usdc: int, shares: int) -> str:
    return amount(price_of(usdc, shares)) if usdc and shares else ""


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
