"""Parts that pages open in a drawer or show in place: why a trade was copied or not, the fills of an order, what could
not be used."""

from __future__ import annotations

import contextlib
from typing import ClassVar

import msgspec
from fastapi import APIRouter, HTTPException
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core.reasons import OUTCOMES
from pilotfish.store import names
from pilotfish.store.database import snapshot
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.decisions import FEW, TradeTraced, read_decision, read_trade
from pilotfish.store.views.explained import Explained, Group, explained, grouped
from pilotfish.store.views.markets import MarketNamed, read_market
from pilotfish.store.views.order_feed import FILLS, read_fills_of_order
from pilotfish.store.views.our_orders import OurOrderTraced, read_our_order
from pilotfish.store.views.sources import BadInput, read_bad_inputs
from pilotfish.store.views.trades import TradeDecided
from pilotfish.web.api import Id
from pilotfish.web.render import Page
from pilotfish.web.view import Looking

_UNKNOWN = MarketNamed(title="", outcome="", slug=None)


class Seen(msgspec.Struct, frozen=True):
    """When a source showed a trade; where it has not, what is to be said instead."""

    source: str
    at: str | None
    instead: str


class TradePart(Page, frozen=True, kw_only=True):
    """One trade: what each portfolio decided, the chosen one first, and what is known of it. Of many portfolios the
    chosen one and ``main`` are told whole, the ``others`` in groups."""

    template: ClassVar[str] = "trade.html"
    title: ClassVar[str] = "trade"

    trade: TradeTraced
    label: str
    market: MarketNamed
    seen: tuple[Seen, ...]
    decided: tuple[Explained, ...]
    others: list[Group]
    raw: str


class DecisionPart(Page, frozen=True, kw_only=True):
    """A decision without a trade: an exit of our own, or on what moved a leader's holding."""

    template: ClassVar[str] = "decision.html"
    title: ClassVar[str] = "decision"

    label: str
    market: MarketNamed
    explained: Explained


class OrderFills(Page, frozen=True, kw_only=True):
    """The fills of a leader's order, the newest first; ``most``: how many are shown."""

    template: ClassVar[str] = "order_fills.html"
    title: ClassVar[str] = "fills"

    fills: list[TradeDecided]
    most: int


class OurOrderPart(Page, frozen=True, kw_only=True):
    """The history of an order of ours."""

    template: ClassVar[str] = "our_order.html"
    title: ClassVar[str] = "order"

    traced: OurOrderTraced
    ended: str


class BadInputs(Page, frozen=True, kw_only=True):
    """What could not be used, the newest first."""

    template: ClassVar[str] = "bad_inputs.html"
    title: ClassVar[str] = "what could not be used"

    inputs: list[BadInput]


def router() -> APIRouter:
    """``/parts/…``."""
    parts = APIRouter(prefix="/parts", include_in_schema=False)

    @parts.get("/trade/{trade_id}")
    def trade(view: Looking, trade_id: Id) -> Response:
        with snapshot(view.site.database) as c:
            found = read_trade(c, trade_id, whole=(view.portfolio, MAIN))
            if found is None:
                raise HTTPException(404, f"there is no trade {trade_id}")
            return view.piece(_trade(c, found, view.portfolio))

    @parts.get("/decision/{decision_id}")
    def decision(view: Looking, decision_id: Id) -> Response:
        with snapshot(view.site.database) as c:
            found = read_decision(c, decision_id)
            if found is None:
                raise HTTPException(404, f"there is no decision {decision_id}")
            market = read_market(c, found.token_id or "") or _UNKNOWN
            label = names.labels(c).get(found.leader or "", "")
            return view.piece(DecisionPart(label=label, market=market, explained=explained(c, found)))

    @parts.get("/order/{trade_id}")
    def order(view: Looking, trade_id: Id) -> Response:
        with snapshot(view.site.database) as c:
            return view.piece(OrderFills(fills=read_fills_of_order(c, view.portfolio, trade_id), most=FILLS))

    @parts.get("/our-order/{order_id}")
    def our_order(view: Looking, order_id: Id) -> Response:
        with snapshot(view.site.database) as c:
            found = read_our_order(c, order_id)
        if found is None:
            raise HTTPException(404, f"there is no order {order_id}")
        why = found.order.intent_reason
        return view.piece(OurOrderPart(traced=found, ended=OUTCOMES[why] if why is not None else found.order.why or ""))

    @parts.get("/bad-inputs")
    def bad_inputs(view: Looking) -> Response:
        with snapshot(view.site.database) as c:
            return view.piece(BadInputs(inputs=read_bad_inputs(c)))

    return parts


def _trade(c: Connection, r: TradeTraced, portfolio: str) -> TradePart:
    seen = sorted(
        (
            Seen("chain", r.first_seen_by_polygon_at, "not yet" if r.polygon_on else "chain off"),
            Seen("API", r.first_seen_by_api_at, "not yet"),
        ),
        key=lambda one: (one.at is None, one.at),
    )
    decided = sorted(r.decisions, key=lambda d: (d.portfolio != portfolio, d.portfolio != MAIN, d.portfolio))
    many = len(decided) > FEW
    whole = [d for d in decided if not many or d.portfolio in (portfolio, MAIN)]
    return TradePart(
        trade=r, label=names.labels(c).get(r.leader, ""), market=read_market(c, r.token_id) or _UNKNOWN,
        seen=tuple(seen), decided=tuple(explained(c, d) for d in whole),
        others=grouped(d for d in decided if d not in whole), raw=_indented(r.raw or ""),
    )  # fmt: skip


def _indented(raw: str) -> str:
    """A payload so that it can be read; what is no JSON as it came."""
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.format(raw, indent=1)
    return raw
