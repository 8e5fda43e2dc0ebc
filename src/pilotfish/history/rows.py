"""Rows of the venue as records of history. Nothing but ``RowError`` comes out of a parser, whatever a row holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND, micro_from_decimal, price_from, shown
from pilotfish.history.records import Deed, PastMarket, PricePoint, Print
from pilotfish.polymarket import wire
from pilotfish.polymarket.gamma import MarketError, parse_market, parse_time, string_list
from pilotfish.polymarket.rows import (
    MOVES,
    RowError,
    TokenInfo,
    as_row,
    condition_of,
    kind_of,
    parse_resolution,
    parse_timestamp,
    parse_trade_row,
)
from pilotfish.polymarket.wire import first


def parse_deed(row: object, wallet: str) -> Deed:
    """A row of activity of any type, known or not. Raises :class:`RowError`."""
    row = as_row(row)
    kind = kind_of(row)
    if kind == "TRADE":
        fill = parse_trade_row(row, wallet)
        size, price, given = row.get("size"), row.get("price"), first(row, "usdc_size", "usdcSize")
        return Deed(
            kind=kind,
            at=(fill.traded_at or 0) // SECOND,
            tx_hash=fill.tx_hash,
            condition_id=fill.condition_id or "",
            token_id=fill.token_id,
            side=fill.side,
            shares=fill.shares,
            usdc=fill.usdc,
            usdc_size=fill.usdc if given is None else _amount(row, "usdc_size", "usdcSize"),
            size=str(size),
            price=str(price),
            is_combo=fill.is_combo,
            **_texts(row),
        )
    amount = abs(_amount(row, "usdc_size", "usdcSize", "size"))
    token = wire.text_of(first(row, "token_id", "tokenId", "asset"))
    return Deed(
        kind=kind,
        at=parse_timestamp(row.get("timestamp")),
        tx_hash=wire.text_of(first(row, "transaction_hash", "transactionHash"), 66).lower(),
        condition_id=condition_of(first(row, "condition_id", "conditionId")) or "",
        token_id=token if wire.is_digits(token) else "",
        shares=amount if kind in MOVES else 0,
        usdc_size=amount,
        size=_number(row.get("size")),
        price=_number(row.get("price")),
        is_combo=wire.is_true(first(row, "is_combo", "isCombo")),
        **_texts(row),
    )


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "outcome": wire.text_of(row.get("outcome")),
        "title": wire.text_of(row.get("title")),
        "slug": wire.text_of(row.get("slug"), 300),
        "event_slug": wire.text_of(first(row, "event_slug", "eventSlug"), 300),
    }


def _number(value: object) -> str:
    return "" if value is None else str(value)[:100]


def _amount(row: Mapping[str, Any], *names: str) -> int:
    value = first(row, *names)
    try:
        return micro_from_decimal(value if value is not None and value != "" else 0)
    except ValueError as problem:
        raise RowError(f"{names[0]}: {problem}") from None


def parse_print(row: object) -> Print:
    """A row of a market's tape, v2 or v1. Raises :class:`RowError`."""
    row = as_row(row)
    wallet = wire.text_of(first(row, "proxy_wallet", "proxyWallet")).lower()
    fill = parse_trade_row(row, wallet)
    try:
        price = price_from(row.get("price"))
    except ValueError as problem:
        raise RowError(f"price: {problem}") from None
    return Print(
        at=(fill.traded_at or 0) // SECOND,
        tx_hash=fill.tx_hash,
        wallet=wallet,
        condition_id=fill.condition_id or "",
        token_id=fill.token_id,
        side=Side(fill.side),
        shares=fill.shares,
        price=price,
    )


def parse_point(row: object) -> PricePoint:
    """A price, as ``{timestamp, price}`` or ``{t, p}``. Raises :class:`RowError`."""
    row = as_row(row)
    try:
        return PricePoint(parse_timestamp(first(row, "timestamp", "t")), price_from(first(row, "price", "p")))
    except RowError:
        raise
    except ValueError as problem:
        raise RowError(f"price: {problem}") from None


def parse_past_market(row: object) -> PastMarket:
    """A market object of Gamma, as it is known in the end. Raises :class:`RowError`.

    Markets of one neg-risk event are settled together; of any other, the event that Gamma names.
    """
    row = as_row(row)
    condition = condition_of(first(row, "conditionId", "condition"))
    if condition is None:
        raise RowError(f"conditionId: {shown(first(row, 'conditionId', 'condition'), 80)}")
    try:
        tokens = string_list(row.get("clobTokenIds"), "clobTokenIds") or string_list(row.get("positionIds"), "ids")
        if not tokens or not all(map(wire.is_digits, tokens)):
            raise RowError(f"clobTokenIds: {shown(row.get('clobTokenIds'), 80)}")
        sides = [parse_market(row, token, 0) for token in tokens]
    except MarketError as problem:
        raise RowError(str(problem)) from None
    payouts = [side.payout for side in sides]
    paid = tuple(p for p in payouts if p is not None)
    one = sides[0]
    return PastMarket(
        condition_id=condition,
        tokens=tuple(tokens),
        outcomes=tuple(side.outcome or "" for side in sides),
        title=one.title or "",
        slug=one.slug or "",
        event=_event(row) or condition,
        category=one.category,
        tags=one.tags,
        fee=one.fee,
        tick=one.tick,
        delay_ms=one.delay_ms,
        end_at=_second(one.end_at),
        closed_at=_second(parse_time(row.get("closedTime"))) if one.closed else None,
        resolved_at=_second(parse_time(row.get("umaEndDate"))) if len(paid) == len(tokens) else None,
        payouts=paid if len(paid) == len(tokens) else None,
    )


def _event(row: Mapping[str, Any]) -> str:
    events = row.get("events")
    for event in events if isinstance(events, list) else ():
        if isinstance(event, Mapping):
            named = wire.text_of(event.get("slug"), 300) or wire.text_of(event.get("id"))
            if named:
                return named
    shared = wire.text_of(row.get("negRiskMarketID"), 80) if wire.is_true(row.get("negRisk")) else ""
    return shared or wire.text_of(row.get("eventSlug"), 300)


def _second(micros: int | None) -> int | None:
    return None if micros is None else micros // MICRO


def market_of_tokens(tokens: Sequence[TokenInfo], event: str = "") -> PastMarket:
    """A market as ``/v2/tokens`` tells it, where Gamma does not list it: what is unknown stays at its default."""
    ordered = sorted(tokens, key=lambda t: (t.index if t.index >= 0 else 999, t.token_id))
    one = ordered[0]
    payouts = tuple(t.payout for t in ordered if t.payout is not None)
    return PastMarket(
        condition_id=one.condition_id,
        tokens=tuple(t.token_id for t in ordered),
        outcomes=tuple(t.outcome for t in ordered),
        title=one.title,
        slug=one.slug,
        event=event or one.condition_id,
        payouts=payouts if len(payouts) == len(ordered) and len(ordered) > 1 else None,
        is_combo=any(t.is_combo for t in ordered),
    )


def parse_resolved(row: object) -> tuple[str, tuple[int, ...] | None, int | None]:
    """Of a row of ``/v2/resolutions``: condition, payouts in millionths a share (``None`` = not settled), and since
    when. Raises :class:`RowError`."""
    row = as_row(row)
    condition = condition_of(row.get("condition_id"))
    if condition is None:
        raise RowError(f"condition_id: {shown(row.get('condition_id'), 80)}")
    payouts = parse_resolution(row)
    since = first(row, "resolved_at", "last_update_timestamp")
    if payouts is None or since is None:
        return condition, payouts, None
    try:
        return condition, payouts, parse_timestamp(since)
    except RowError:
        return condition, payouts, _second(parse_time(since))
