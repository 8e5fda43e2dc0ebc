"""Markets as Gamma and the CLOB describe them, and frames of the market channel (PROTOCOL.md sections 5 to 7 and 9)."""

from __future__ import annotations

import json
from typing import Any

from tests.payloads.values import DAY_ONE, condition, position, short_condition, token

BOOK = {"bids": (("0.44", "150.5"), ("0.45", "20")), "asks": (("0.49", "1000"), ("0.47", "33.25"))}
"""A book: bids ascend, asks descend, the best last."""


def _event(name: str, title: str, series: str | None) -> dict[str, Any]:
    return {
        "id": "910100", "ticker": name, "slug": name, "title": title, "description": "An invented event.",
        "startDate": "2026-09-01T10:00:00Z", "endDate": "2026-10-01T12:00:00Z", "active": True, "closed": False,
        "archived": False, "liquidity": 1_250.5, "volume": 90_000.125, "enableOrderBook": True, "negRisk": False,
        **({"seriesSlug": series} if series else {}),
    }  # fmt: skip


def _gamma(
    name: str, title: str, outcomes: tuple[str, str], prices: tuple[str, str], *, series: str | None = None, **more: Any
) -> dict[str, Any]:
    """A Gamma market (version v1: lists are JSON inside strings)."""
    return {
        "id": "9200001", "question": title, "conditionId": condition(name), "slug": name, "resolutionSource": "",
        "endDate": "2026-10-01T12:00:00Z", "startDate": "2026-09-01T10:00:00.5Z", "endDateIso": "2026-10-01",
        "description": "An invented market.", "outcomes": json.dumps(outcomes), "outcomePrices": json.dumps(prices),
        "clobTokenIds": json.dumps([token(f"{name} {o}") for o in outcomes]),
        "questionID": condition(f"question {name}"), "version": "v1", "volume": "90000.125", "volumeNum": 90_000.125,
        "liquidity": "1250.5", "liquidityNum": 1_250.5,
        "active": True, "closed": False, "archived": False, "restricted": True, "acceptingOrders": True,
        "acceptingOrdersTimestamp": "2026-09-01T10:05:00Z", "enableOrderBook": True, "negRisk": False,
        "orderPriceMinTickSize": 0.01, "orderMinSize": 5, "spread": 0.01, "bestBid": 0.53, "bestAsk": 0.54,
        "lastTradePrice": 0.54, "createdAt": "2026-09-01T09:00:00Z", "updatedAt": "2026-09-20T09:00:00Z",
        "umaResolutionStatuses": "[]", "feesEnabled": False, "feeType": None,
        "events": [_event(name, title, series)], **more,
    }  # fmt: skip


def _resolved_coin(i: int) -> dict[str, Any]:
    up = i % 3 != 1
    return _gamma(
        f"coin-updown-5m-{DAY_ONE + 300 * i}", f"Coin up or down - window {i}", ("Up", "Down"),
        ("1", "0") if up else ("0", "1"), closed=True, acceptingOrders=False, closedTime="2026-09-21 15:00:16+00",
        umaResolutionStatus="resolved", automaticallyResolved=True, feesEnabled=True, feeType="crypto_fees_v2",
        feeSchedule={"rate": 0.07, "exponent": 1, "takerOnly": True, "rebateRate": 0.2}, makerBaseFee=1000,
        takerBaseFee=1000, orderPriceMinTickSize=0.001, events=None,
    )  # fmt: skip


def _gammas() -> dict[str, Any]:
    coin = _gamma("coin-updown-5m-open", "Coin up or down - the open window", ("Up", "Down"), ("0.515", "0.485"),
                  series="coin-up-or-down-5m", feesEnabled=True, feeType="crypto_fees", takerBaseFee=1000)  # fmt: skip
    sports = _gamma(
        "table-tennis-semifinal", "Table tennis: North Club or South Club", ("North Club", "South Club"), ("0", "1"),
        series="table-tennis", closed=True, acceptingOrders=False, closedTime="2026-09-21 19:37:33+00", secondsDelay=3,
        sportsMarketType="moneyline", gameStartTime="2026-09-21 17:00:00+00", umaResolutionStatus="resolved",
        feesEnabled=True, feeType="sports_fees", orderPriceMinTickSize=0.001,
        feeSchedule={"rate": 0.05, "exponent": 1, "takerOnly": True, "rebateRate": 0.25},
    )  # fmt: skip
    closed: dict[str, Any] = {"closed": True, "closedTime": "2026-09-15 02:07:01+00"}
    yes_no = ("Yes", "No")
    newer = _gamma("a-newer-market", "Will the newer kind of market work?", yes_no, ("0.61", "0.39"), version="v2",
                   feesEnabled=True, feeType="tech_fees",
                   feeSchedule={"rate": 0.04, "exponent": 1, "takerOnly": True, "rebateRate": 0.25})  # fmt: skip
    newer |= {"condition": short_condition("newer"), "outcomes": list(yes_no), "outcomePrices": ["0.61", "0.39"],
              "positionIds": [position("newer yes", 1), position("newer no", 1)]}  # fmt: skip
    del newer["conditionId"], newer["clobTokenIds"]
    return {
        "gamma_market.json": coin,
        "gamma_market_open.json": _gamma("will-the-bridge-open", "Will the bridge open?", yes_no, ("0.535", "0.465")),
        "gamma_market_sports_market_money_line.json": sports,
        "gamma_market_closed_binary.json": _gamma(
            "will-it-hold", "Will it hold?", yes_no, ("1", "0"), **closed, feesEnabled=False
        ),
        "gamma_market_fifty_fifty.json": _gamma(
            "called-off", "Called off", yes_no, ("0.5", "0.5"), **closed, umaResolutionStatus="resolved"
        ),
        "gamma_market_protocol_v2.json": newer,
        "gamma_markets_crypto_resolved.json": [_resolved_coin(i) for i in range(6)],
    }


def _clob_market() -> dict[str, Any]:
    names = ("Yes", "No")
    return {
        "accepting_order_timestamp": "2026-09-01T10:05:00Z", "accepting_orders": True, "active": True,
        "archived": False, "closed": True, "condition_id": condition("will-it-hold"),
        "description": "An invented market.",
        "enable_order_book": False, "end_date_iso": "2026-10-01T00:00:00Z", "fpmm": "", "icon": "", "image": "",
        "is_50_50_outcome": False, "maker_base_fee": 0, "market_slug": "will-it-hold", "minimum_order_size": 5,
        "minimum_tick_size": 0.01, "neg_risk": False, "neg_risk_market_id": "", "neg_risk_request_id": "",
        "notifications_enabled": True, "question": "Will it hold?", "question_id": condition("question will-it-hold"),
        "rewards": {"max_spread": 3.5, "min_size": 200, "rates": []}, "seconds_delay": 0, "tags": ["Science"],
        "taker_base_fee": 0,
        "tokens": [{"outcome": o, "price": 1 - i, "token_id": token(f"will-it-hold {o}"), "winner": i == 0}
                   for i, o in enumerate(names)],
    }  # fmt: skip


def _levels(side: str) -> list[dict[str, str]]:
    return [{"price": p, "size": s} for p, s in BOOK[side]]


def _book() -> dict[str, Any]:
    return {
        "market": condition("framed"), "asset_id": token("framed Yes"), "timestamp": f"{DAY_ONE}123", "hash": "ab" * 20,
        "bids": _levels("bids"), "asks": _levels("asks"), "min_order_size": "5", "tick_size": "0.01", "neg_risk": False,
        "last_trade_price": "",
    }  # fmt: skip


def _frames() -> dict[str, Any]:
    market = {"market": condition("framed"), "timestamp": f"{DAY_ONE}456"}
    yes, no = token("framed Yes"), token("framed No")
    changes = [
        {"asset_id": yes, "price": "0.45", "size": "0", "side": "BUY", "best_bid": "0.44", "best_ask": "0.47"},
        {"asset_id": no, "price": "0.55", "size": "12.5", "side": "SELL", "best_bid": "0.53", "best_ask": "0.55"},
    ]
    return {
        "ws_market_book_msg.json": [{"event_type": "book", **_book()}],
        "ws_market_price_change_msg.json": {"event_type": "price_change", **market, "price_changes": changes},
        "ws_market_tick_size_change_msg.json": {
            "event_type": "tick_size_change", **market, "asset_id": yes, "old_tick_size": "0.01",
            "new_tick_size": "0.001",
        },
        "ws_market_best_bid_ask_msg.json": {
            "event_type": "best_bid_ask", **market, "asset_id": yes, "best_bid": "0.44", "best_ask": "0.47",
            "spread": "0.03",
        },
        "ws_market_resolved_msg.json": {
            "event_type": "market_resolved", "id": "9200077", **market, "assets_ids": [yes, no], "winning_asset_id": no,
            "winning_outcome": "No", "tags": ["science"],
        },
    }  # fmt: skip


def files() -> dict[str, Any]:
    """File name -> payload."""
    return {
        **_gammas(),
        "clob_market_closed_binary_accepting_true.json": _clob_market(),
        "clob_book.json": _book(),
        **_frames(),
    }
